/**
 * Found by the random programs once their times were drawn: a process that keeps a pulled copy for
 * five seconds after its last use had nothing to wake up for but that, and the world took it for
 * one that only looks for deadlocks. So it was at rest, and the raylet still had the copy.
 */
import { expect, test } from "vitest";
import { get } from "#api/get.ts";
import { remote } from "#api/remote.ts";
import { simulate } from "#sim/simulate.ts";

const makeBytes = remote((n: number) => new Uint8Array(1_000).fill(n));
const first = remote((bytes: Uint8Array) => bytes[0]);

test("a world comes to rest once copies that linger have gone", async () => {
  const init = { systemConfig: { inlineBytesMax: 64, copyLingerMs: 5_000 } };
  const nodes = [{ resources: { here: 1 } }, { resources: { there: 1 } }];
  const report = await simulate({ seed: 1, nodes, init }, async (sim) => {
    // Both nodes have joined.
    await sim.sleep(100);
    using made = makeBytes.options({ resources: { there: 1 } }).remote(7);
    return get(first.options({ resources: { here: 1 } }).remote(made));
  });
  expect(report.check()).toBe(7);
  expect(report.reached).toContain("pulled");
});
