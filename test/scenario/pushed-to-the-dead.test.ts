/**
 * Found by random programs: a worker died between its grant and the first push. The frame was
 * never sent, and the simulated network said that it could not be had back: the task was charged
 * for an attempt that nobody had begun.
 */
import { expect, test } from "vitest";
import { get } from "#api/get.ts";
import { remote } from "#api/remote.ts";
import type { Fault } from "#sim/faults/fault.ts";
import { simulate } from "#sim/simulate.ts";

const once = remote({ maxRetries: 0 }, (n: number) => n + 1);

test("what is pushed to a worker that has just died runs elsewhere, at no cost", async () => {
  const faults: Fault[] = [{ at: 0, kind: "crashWorker", node: 0, worker: 0 }];
  for (let seed = 0; seed < 50; seed++) {
    const report = await simulate({ seed, nodes: 1, faults }, () => get(once.remote(seed)));
    expect(report.check()).toBe(seed + 1);
  }
});
