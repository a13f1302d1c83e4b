/**
 * Found by seed 1066 of test/simulation/objects: a get of several objects of other nodes kept those
 * that it waited for, and not those that were here already: when one took longer than a copy stays
 * without a user, the get read another object's bytes.
 */
import { expect, test } from "vitest";
import { get, wait } from "#api/get.ts";
import { remote } from "#api/remote.ts";
import { simulate } from "#sim/simulate.ts";

const makeBytes = remote(async (n: number, ms: number) => {
  await new Promise((resolve) => void setTimeout(resolve, ms));
  return new Uint8Array(2_000).fill(n);
});

test("a copy that is here stays while a get waits for others", async () => {
  const there = makeBytes.options({ resources: { there: 1 } });
  const init = { systemConfig: { inlineBytesMax: 64, copyLingerMs: 20 } };
  const nodes = [{}, { resources: { there: 2 } }];
  const report = await simulate({ seed: 1, nodes, init }, async (sim) => {
    await sim.sleep(100);
    const early = there.remote(1, 0);
    const late = there.remote(2, 200);
    // Brings it here, and leaves no view on it.
    await wait([early]);
    const [first, second] = await get([early, late]);
    return [first, second].map((bytes) => bytes.reduce((a, b) => a + b));
  });
  expect(report.check()).toEqual([2_000, 4_000]);
});
