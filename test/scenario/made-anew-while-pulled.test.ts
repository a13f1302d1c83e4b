/**
 * Found by seed 38967529 of test/simulation/objects: a node died while tasks waited for arguments
 * that lay there. The values were made anew and came; since they were not what the tasks had been
 * told of, their owner was asked about them. What starts with its answer, and not with a frame or
 * the copy itself, nobody ran.
 */
import { expect, test } from "vitest";
import { get, put, wait } from "#api/get.ts";
import { remote } from "#api/remote.ts";
import type { ObjectRef } from "#api/types.ts";
import { simulate } from "#sim/simulate.ts";

interface Made {
  readonly bytes: Uint8Array;
  readonly inside: ObjectRef<string>;
}

const make = remote({ resources: { there: 1 } }, (n: number): Made => {
  return { bytes: new Uint8Array(20_000).fill(n), inside: put(`of ${n}`) };
});
const read = remote({ resources: { here: 1 } }, async ({ bytes, inside }: Made) => {
  return `${bytes.reduce((a, b) => a + b)} ${await get(inside)}`;
});

test("who waits for what is lost gets what is made anew, and the refs inside of it", async () => {
  const nodes = [
    { resources: { here: 1 } },
    { resources: { there: 1 } },
    { resources: { here: 1 } },
    { resources: { there: 1 } },
  ];
  const init = { systemConfig: { inlineBytesMax: 64, pullChunkBytes: 1_000 } };
  for (let seed = 0; seed < 20; seed++) {
    const report = await simulate({ seed, nodes, init }, async (sim) => {
      await sim.sleep(100);
      const made = [1, 2].map((n) => make.remote(n));
      await wait(made, { numReturns: 2, fetchLocal: false });
      sim.partition([1], [0, 2, 3]);
      const texts = made.map((ref) => read.remote(ref));
      await sim.sleep(10);
      sim.crash(1);
      const values = await get(made);
      const inside = await get(values.map((value) => value.inside));
      return [...(await get(texts)), ...inside];
    });
    expect(report.check()).toEqual(["20000 of 1", "40000 of 2", "of 1", "of 2"]);
  }
});
