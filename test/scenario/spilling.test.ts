/**
 * More values than a store holds: what is idle is spilled, and comes back as it was. Also Ray's
 * #14788 (map and reduce through a small store), and its tests `test_spill_objects_automatically`,
 * `test_spill_deadlock`, `test_unstable_spill_objects_automatically`. What is put without waiting
 * goes to files at once when memory has no more room.
 */
import { describe, expect, test } from "vitest";
import { ObjectReconstructionFailedError, ObjectStoreFullError, TaskError } from "#api/errors.ts";
import { get, put, wait } from "#api/get.ts";
import { remote } from "#api/remote.ts";
import type { ObjectRef } from "#api/types.ts";
import type { Fault } from "#sim/faults/fault.ts";
import { simulate } from "#sim/simulate.ts";

const length = 100_000;
const count = 30;
const textOf = (n: number): string => `${n} `.repeat(length).slice(0, length);
const make = remote((n: number) => textOf(n));
const first = remote((...texts: string[]) => texts.map((text) => text.split(" ")[0]).join());
const init = { objectStoreMemory: 1 << 20 };
const seeds = [1, 2, 3];

/** Every bit of a disk that lies for a while: some of what is on it is no longer what it was. */
const spoilt = (at: number): Fault[] =>
  Array.from({ length: 40 }, (_, i) => {
    return { at: at + i, kind: "disk", node: 0, what: "bitRot", forMs: 0 } as const;
  });

async function madeAll(): Promise<ObjectRef<string>[]> {
  const refs = Array.from({ length: count }, (_, n) => make.remote(n));
  await wait(refs, { numReturns: count });
  return refs;
}

async function readAll(refs: readonly ObjectRef<string>[]): Promise<void> {
  for (const [n, ref] of refs.entries()) expect(await get(ref)).toBe(textOf(n));
}

describe.each(seeds)("a store of a mebibyte, seed %d", (seed) => {
  test("gives back three times of what it holds", async () => {
    const report = await simulate({ seed, nodes: 1, init }, async () => {
      const refs = await madeAll();
      await readAll(refs);
      await readAll(refs);
    });
    report.check();
    expect(report.reached).toEqual(expect.arrayContaining(["spilled", "spillRestored"]));
  });

  test("feeds tasks with more than it holds", async () => {
    const report = await simulate({ seed, nodes: 1, init }, async () => {
      const refs = Array.from({ length: count }, (_, n) => make.remote(n));
      const [a, b, c] = [0, 10, 20].map((from) => refs.slice(from, from + 10));
      const joined = refs.slice(0, 10).map((_, i) => {
        const [x, y, z] = [a?.[i], b?.[i], c?.[i]] as ObjectRef<string>[];
        return first.remote(x as never, y as never, z as never);
      });
      return get(joined);
    });
    const expected = Array.from({ length: 10 }, (_, i) => `${i},${i + 10},${i + 20}`);
    expect(report.check()).toEqual(expected);
  });

  test("makes anew what its disk has spoilt, and says so of what was put", async () => {
    const faults = spoilt(500);
    const report = await simulate({ seed, nodes: 1, init, faults }, async (sim) => {
      const own = Array.from({ length: 10 }, (_, n) => put(textOf(n)));
      for (const ref of own) await wait([ref]);
      const refs = await madeAll();
      await sim.sleep(600 - sim.nowMs);
      await readAll(refs);
      const outcomes = await Promise.allSettled(own.map((ref) => get(ref)));
      return outcomes.map((one, n) => {
        if (one.status === "fulfilled") return one.value === textOf(n);
        return one.reason instanceof ObjectReconstructionFailedError;
      });
    });
    expect(report.check()).not.toContain(false);
    expect(report.reached).toContain("spillCorrupt");
  });

  test("waits for a disk that is full, and goes on when there is room", async () => {
    const faults: Fault[] = [{ at: 0, kind: "disk", node: 0, what: "full", forMs: 3_000 }];
    const report = await simulate({ seed, nodes: 1, init, faults }, async (sim) => {
      await readAll(await madeAll());
      return sim.nowMs;
    });
    expect(report.check()).toBeGreaterThan(3_000);
    expect(report.reached).toContain("spillFailed");
  });

  test("says that the disk is full when that lasts", async () => {
    const faults: Fault[] = [{ at: 0, kind: "disk", node: 0, what: "full", forMs: 60_000 }];
    const report = await simulate({ seed, nodes: 1, init, faults }, async () => {
      const refs = Array.from({ length: 12 }, (_, n) => make.remote(n));
      const outcomes = await Promise.allSettled(refs.map((ref) => get(ref)));
      return outcomes.flatMap((one) =>
        one.status === "rejected" ? [one.reason as TaskError] : [],
      );
    });
    const errors = report.check();
    expect(errors.length).toBeGreaterThan(0);
    for (const error of errors) {
      expect(error).toBeInstanceOf(TaskError);
      expect((error.cause as ObjectStoreFullError).name).toBe("OutOfDiskError");
    }
  });

  test("is put more than it holds, while the caller waits for nothing", async () => {
    const report = await simulate({ seed, nodes: 1, init }, async () => {
      const refs = Array.from({ length: count }, (_, n) => put(textOf(n)));
      await readAll(refs);
      const joined = refs.slice(3).map((ref, i) => first.remote(ref, refs[i] as typeof ref));
      return get(joined);
    });
    expect(report.check()).toEqual(Array.from({ length: count - 3 }, (_, i) => `${i + 3},${i}`));
    expect(report.reached).toEqual(expect.arrayContaining(["fallback", "spillRestored"]));
  });

  test("is put no more when its disk is full too, and then again", async () => {
    const faults: Fault[] = [{ at: 0, kind: "disk", node: 0, what: "full", forMs: 1_000 }];
    const report = await simulate({ seed, nodes: 1, init, faults }, async (sim) => {
      await sim.sleep(1);
      const refs: ObjectRef<string>[] = [];
      const errors: unknown[] = [];
      const putAll = (): void => {
        while (refs.length < count && errors.length < 3) {
          try {
            refs.push(put(textOf(refs.length)));
          } catch (error) {
            errors.push(error);
          }
        }
      };
      putAll();
      const before = refs.length;
      await sim.sleep(2_000);
      const seen = errors.splice(0);
      putAll();
      await readAll(refs);
      return { before, seen, after: refs.length, errors };
    });
    const { before, seen, after, errors } = report.check();
    expect(before).toBeLessThan(15);
    expect(after).toBe(count);
    expect(errors).toEqual([]);
    expect(seen).toHaveLength(3);
    for (const error of seen) {
      expect(error).toBeInstanceOf(ObjectStoreFullError);
      expect((error as Error).message).toMatch(
        /no room for .* nor can it be written to the disk: /,
      );
    }
  });

  test("is put nothing larger than one value may be, and says how large that is", async () => {
    const small = { ...init, systemConfig: { overflowBytesMax: 2_000_000 } };
    const report = await simulate({ seed, nodes: 1, init: small }, () => {
      try {
        put("x".repeat(2_000_001));
      } catch (error) {
        return Promise.resolve(error);
      }
      return Promise.resolve(null);
    });
    const error = report.check();
    expect(error).toBeInstanceOf(ObjectStoreFullError);
    expect((error as Error).message).toMatch(/one value may have 2000000 bytes at most: split it/);
  });

  test("serves other nodes from its disk", async () => {
    const nodes = [{ resources: { here: 1 } }, { resources: { there: 1 } }];
    const report = await simulate({ seed, nodes, init }, async () => {
      const there = make.options({ resources: { there: 0.1 } });
      const refs = Array.from({ length: count }, (_, n) => there.remote(n));
      await wait(refs, { numReturns: count, fetchLocal: false });
      await readAll(refs);
    });
    report.check();
    expect(report.reached).toEqual(expect.arrayContaining(["spilled", "spillServed"]));
  });
});
