/**
 * Seed 72 of test/simulation/objects: with pipelineAheadMs 0 and tasks that took 0 ms the number of
 * tasks for one lease was 0/0, which is no bound: nine went to a worker that may have one.
 */
import { expect, test } from "vitest";
import { simulate } from "#sim/simulate.ts";
import { get } from "#api/get.ts";
import { remote } from "#api/remote.ts";

const at = remote({ schedulingStrategy: "SPREAD" }, (i: number) => i);

test.each([1, 2])("no work ahead is one task at a time, of at most %i", async (most) => {
  const systemConfig = { pipelineAheadMs: 0, pipelineDepthMax: most };
  const options = { seed: 72, nodes: 2, init: { numCpus: 1, systemConfig } };
  const report = await simulate(options, async () => {
    await get(at.remote(-1));
    return get(Array.from({ length: 12 }, (_, i) => at.remote(i)));
  });
  expect(report.check()).toHaveLength(12);
});
