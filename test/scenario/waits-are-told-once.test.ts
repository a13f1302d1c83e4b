/**
 * A task on another node that waits again and again told its owner so each time. While their link
 * is cut all of that was kept for the owner: as many frames as the task had waits, each the same.
 */
import { expect, test } from "vitest";
import type { Fault } from "#sim/faults/fault.ts";
import { simulate } from "#sim/simulate.ts";
import { get } from "#api/get.ts";
import { remote } from "#api/remote.ts";
import { getRuntimeContext } from "#api/runtime-context.ts";

const later = remote(async (ms: number) => {
  await new Promise((resolve) => setTimeout(resolve, ms));
  return ms;
});
const waitOften = remote({ schedulingStrategy: "SPREAD" }, async (times: number) => {
  for (let i = 0; i < times; i++) await get(later.remote(20));
  return getRuntimeContext().nodeId;
});

test("what a task has said of its waits is not said again while its link is cut", async () => {
  const faults: Fault[] = [{ at: 600, kind: "partition", from: [1], to: [0], forMs: 8_000 }];
  const init = { numCpus: 2, systemConfig: { linkTimeoutMs: 1_000 } };
  const report = await simulate({ seed: 3, nodes: 2, init, faults }, async (sim) => {
    await sim.sleep(500);
    const nodes = await get(Array.from({ length: 2 }, () => waitOften.remote(100)));
    return new Set(nodes).size;
  });
  expect(report.check()).toBe(2);
  expect(report.reached).not.toContain("nodeDied");
});
