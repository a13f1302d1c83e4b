/**
 * Ray's #14788: maps of which one alone nearly fills a store, and reduces of a part of each. Each
 * reduce had some of its parts in the store and waited for room for the others.
 */
import { expect, test } from "vitest";
import { get } from "#api/get.ts";
import { remote } from "#api/remote.ts";
import type { ObjectRef } from "#api/types.ts";
import { simulate } from "#sim/simulate.ts";

const mapCount = 8;
const length = 100_000;
const textOf = (n: number): string => `${n} `.repeat(length).slice(0, length);
type Parts = [string, string, string, string, string, string, string, string];
const spread = { schedulingStrategy: "SPREAD" } as const;
const map = remote({ ...spread, numReturns: 8 }, (n: number) => {
  return Array.from({ length: 8 }, (_, part) => textOf(n * 8 + part)) as Parts;
});
const reduce = remote(spread, (part: number, ...texts: string[]) => {
  return texts.every((text, n) => text === textOf(n * 8 + part));
});
/** Who waits in a circle for so long lets go of all that it has, and asks again. */
const systemConfig = { pullRoomTimeoutMs: 2_000 };
const init = { numCpus: 4, objectStoreMemory: 1 << 20, systemConfig };

test.each([1, 3])("maps and reduces through stores that hold one map, %d nodes", async (nodes) => {
  for (let seed = 0; seed < 10; seed++) {
    const report = await simulate({ seed, nodes, init }, async (sim) => {
      await sim.sleep(200);
      const maps = Array.from({ length: mapCount }, (_, n) => map.remote(n));
      const reduces = Array.from({ length: 8 }, (_, part) => {
        const parts = maps.map((refs) => refs[part] as ObjectRef<string>);
        return reduce.remote(part, ...(parts as never[]));
      });
      return get(reduces);
    });
    expect(report.check()).toEqual(Array.from({ length: 8 }, () => true));
    expect(report.reached).toEqual(expect.arrayContaining(["spilled", "spillRestored"]));
    expect(report.virtualMs).toBeLessThan(60_000);
  }
});
