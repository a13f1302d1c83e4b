/**
 * Large arguments of calls in a store that has no room: they lie beside it, or in files, and what
 * waits in a queue goes to the disk as other values do.
 */
import { describe, expect, test } from "vitest";
import { ObjectStoreFullError } from "#api/errors.ts";
import { get } from "#api/get.ts";
import { remote } from "#api/remote.ts";
import type { Fault } from "#sim/faults/fault.ts";
import { simulate } from "#sim/simulate.ts";

const length = 100_000;
const count = 30;
const textOf = (n: number): string => `${n} `.repeat(length).slice(0, length);
const init = { objectStoreMemory: 1 << 20, numCpus: 1 };
const seeds = [1, 2, 3];

const isOf = remote(async (text: string, n: number, ms: number) => {
  if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms));
  return text === textOf(n);
});

const shortOf = (n: number): string => textOf(n).slice(0, 30_000);
const isShort = remote(async (text: string, n: number, ms: number) => {
  if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms));
  return text === shortOf(n);
});

class Reader {
  readonly #isWell: boolean;

  constructor(text: string, n: number) {
    this.#isWell = text === textOf(n);
  }

  isWell(): boolean {
    return this.#isWell;
  }

  isOf(text: string, n: number): boolean {
    return text === textOf(n);
  }
}
const RemoteReader = remote({ numCpus: 0 }, Reader);

/** Calls from a task, so that its process has to send what its own node has no room for. */
const callMany = remote({ numCpus: 0 }, async (from: number) => {
  const calls = Array.from({ length: count }, (_, n) => isOf.remote(textOf(from + n), from + n, 0));
  return (await get(calls)).every((one) => one);
});

describe.each(seeds)("a store of a mebibyte, seed %d", (seed) => {
  test("takes thirty calls with a tenth of it each, from two processes", async () => {
    const report = await simulate({ seed, nodes: 1, init }, async () => {
      const others = callMany.remote(100);
      const calls = Array.from({ length: count }, (_, n) => isOf.remote(textOf(n), n, 5));
      return [...(await get(calls)), await get(others)];
    });
    expect(report.check()).not.toContain(false);
    expect(report.reached).toEqual(expect.arrayContaining(["fallback", "spillRestored"]));
  });

  test("takes them for actors, too, and for their constructors", async () => {
    const report = await simulate({ seed, nodes: 1, init }, async () => {
      const readers = Array.from({ length: 12 }, (_, n) => RemoteReader.remote(textOf(n), n));
      const well = readers.map((reader) => reader.isWell.remote());
      const [first] = readers as [(typeof readers)[0]];
      const calls = Array.from({ length: count }, (_, n) => first.isOf.remote(textOf(n), n));
      return [...(await get(well)), ...(await get(calls))];
    });
    expect(report.check()).not.toContain(false);
    expect(report.reached).toContain("fallback");
  });

  test("takes them on other nodes, from its files", async () => {
    const away = isOf.options({ schedulingStrategy: "SPREAD" });
    const report = await simulate({ seed, nodes: 3, init }, async () => {
      const calls = Array.from({ length: count }, (_, n) => away.remote(textOf(n), n, 1));
      return get(calls);
    });
    expect(report.check()).not.toContain(false);
    expect(report.reached).toEqual(expect.arrayContaining(["fallback", "spillServed"]));
  });

  test("spills those that wait in a queue", async () => {
    // Each is cut from a chunk: no process makes segments for them.
    const systemConfig = { inlineBytesMax: 1_000, arenaChunkBytes: 131_072, spillThreshold: 0.3 };
    const options = { seed, nodes: 1, init: { ...init, systemConfig } };
    const report = await simulate(options, async (sim) => {
      const calls = [isShort.remote(shortOf(0), 0, 2_000)];
      for (let n = 1; n < count; n++) {
        await sim.sleep(2);
        calls.push(isShort.remote(shortOf(n), n, 5));
      }
      return get(calls);
    });
    expect(report.check()).not.toContain(false);
    // Nothing else is large.
    expect(report.reached).toContain("spilled");
  });

  test("refuses them as it refuses what is put, when the disk is full as well", async () => {
    const faults: Fault[] = [{ at: 0, kind: "disk", node: 0, what: "full", forMs: 1_000 }];
    const report = await simulate({ seed, nodes: 1, init, faults }, async (sim) => {
      await sim.sleep(1);
      const errors: unknown[] = [];
      const calls = Array.from({ length: count }, (_, n) => {
        try {
          return isOf.remote(textOf(n), n, 0);
        } catch (error) {
          errors.push(error);
          return null;
        }
      }).filter((ref) => ref !== null);
      return { well: await get(calls), errors };
    });
    const { well, errors } = report.check();
    expect(well.length).toBeGreaterThan(0);
    expect(well).not.toContain(false);
    expect(errors.length).toBe(count - well.length);
    for (const error of errors) expect(error).toBeInstanceOf(ObjectStoreFullError);
  });

  test("has nothing left of calls that were never made", async () => {
    const report = await simulate({ seed, nodes: 1, init }, async () => {
      const signal = AbortSignal.abort();
      const aborted = isOf.options({ signal });
      const calls = Array.from({ length: count }, (_, n) => aborted.remote(textOf(n), n, 0));
      const settled = await Promise.allSettled(calls.map((ref) => get(ref)));
      return settled.map(({ status }) => status);
    });
    expect(new Set(report.check())).toEqual(new Set(["rejected"]));
  });
});
