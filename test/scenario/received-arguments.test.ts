/**
 * Ray's #62093: the store of a node is full of arguments that came from other nodes, for tasks that
 * wait there for the rest of theirs. Nothing of that can be spilled or evicted, so none of the
 * tasks ever starts.
 */
import { expect, test } from "vitest";
import { get, wait } from "#api/get.ts";
import { remote } from "#api/remote.ts";
import type { ObjectRef } from "#api/types.ts";
import { simulate } from "#sim/simulate.ts";

const count = 48;
/** One large argument, and small ones: these find room where that one does not. */
const argumentCount = 6;
const textOf = (n: number): string => {
  const length = n % 6 === 0 ? 450_000 : 70_000;
  return `${n} `.repeat(length).slice(0, length);
};
const make = remote((n: number) => textOf(n));
const areOf = remote((numbers: readonly number[], ...texts: string[]) => {
  return texts.every((text, i) => text === textOf(numbers[i] as number));
});
/** Who waits in a circle for so long lets go of all that it has, and asks again. */
const systemConfig = { pullRoomTimeoutMs: 2_000, pullChunkBytes: 20_000 };
const init = { objectStoreMemory: 1 << 20, systemConfig };
const nodes = [
  { numCpus: 2, resources: { here: 4 } },
  { numCpus: 2, resources: { elsewhere: 4 } },
  { numCpus: 4, resources: { there: 4 } },
];

test("tasks whose arguments fill their store together run one after the other", async () => {
  for (let seed = 0; seed < 10; seed++) {
    const report = await simulate({ seed, nodes, init }, async (sim) => {
      await sim.sleep(200);
      const refs = Array.from({ length: count }, (_, n) => {
        const where = n % 2 === 0 ? { here: 0.1 } : { elsewhere: 0.1 };
        return make.options({ resources: where }).remote(n);
      });
      await wait(refs, { numReturns: count, fetchLocal: false });
      const there = areOf.options({ resources: { there: 0.1 } });
      const calls = Array.from({ length: 12 }, (_, i) => {
        const numbers = Array.from({ length: argumentCount }, (__, k) => (i * 6 + k * 7) % count);
        const args = numbers.map((n) => refs[n] as ObjectRef<string>);
        return there.remote(numbers, ...(args as never[]));
      });
      return get(calls);
    });
    expect(report.check()).toEqual(Array.from({ length: 12 }, () => true));
    expect(report.reached).toEqual(expect.arrayContaining(["pulled", "copyEvicted"]));
    expect(report.virtualMs).toBeLessThan(60_000);
  }
});
