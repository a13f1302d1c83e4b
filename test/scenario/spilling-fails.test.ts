/**
 * Ray's #25085: a file that cannot be written, since an object of it is gone or since the disk
 * fails, was tried again and again, without an end and without a pause.
 */
import { describe, expect, test } from "vitest";
import { get, put, wait } from "#api/get.ts";
import { remote } from "#api/remote.ts";
import type { ObjectRef } from "#api/types.ts";
import type { Fault } from "#sim/faults/fault.ts";
import { simulate } from "#sim/simulate.ts";

const length = 100_000;
const count = 30;
const textOf = (n: number): string => `${n} `.repeat(length).slice(0, length);
const make = remote((n: number) => textOf(n));
const init = { objectStoreMemory: 1 << 20 };
const failingMs = 4_000;

/** One after the other: all of them have no room at once. */
async function readAll(refs: readonly ObjectRef<string>[], from: number): Promise<boolean> {
  for (const [i, ref] of refs.entries()) if ((await get(ref)) !== textOf(from + i)) return false;
  return true;
}

const writesOf = (trace: string): number[] =>
  [...trace.matchAll(/^ *\d+ +([\d.]+) ms disk head (?:write|statfs) /gm)].map(([, ms]) =>
    Number(ms),
  );

describe.each([1, 2, 3])("seed %d", (seed) => {
  test.each(["ioError", "full"] as const)(
    "a disk that fails is tried now and then: %s",
    async (what) => {
      const faults: Fault[] = [{ at: 0, kind: "disk", node: 0, what, forMs: failingMs }];
      const report = await simulate({ seed, nodes: 1, init, faults }, async (sim) => {
        const refs = Array.from({ length: count }, (_, n) => make.remote(n));
        await sim.sleep(failingMs / 2);
        // Also what was to be written: of the next file it is no part any more.
        for (const ref of refs.slice(0, 4)) ref[Symbol.dispose]();
        return readAll(refs.slice(4), 4);
      });
      expect(report.check()).toBe(true);
      const writes = writesOf(report.trace());
      const inVain = writes.filter((ms) => ms < failingMs);
      expect(inVain.length).toBeGreaterThan(2);
      expect(inVain.length).toBeLessThan(12);
      expect(writes.length).toBeGreaterThan(inVain.length);
    },
  );

  test("what goes while it is written is written, and fails no other", async () => {
    const faults: Fault[] = [{ at: 0, kind: "disk", node: 0, what: "slow", forMs: 2_000 }];
    const report = await simulate({ seed, nodes: 1, init, faults }, async (sim) => {
      const own = Array.from({ length: 8 }, (_, n) => put(textOf(n)));
      const refs = Array.from({ length: count }, (_, n) => make.remote(n));
      for (const ref of own) {
        await sim.sleep(10);
        ref[Symbol.dispose]();
      }
      await wait(refs, { numReturns: count });
      return readAll(refs, 0);
    });
    expect(report.check()).toBe(true);
    expect(report.reached).toContain("spilled");
    expect(report.reached).not.toContain("spillFailed");
  });

  test("who waits for a disk that stays broken hears why, and the store works on", async () => {
    const faults: Fault[] = [{ at: 0, kind: "disk", node: 0, what: "ioError", forMs: 300_000 }];
    const report = await simulate({ seed, nodes: 1, init, faults }, async () => {
      const refs = Array.from({ length: count }, (_, n) => make.remote(n));
      const outcomes = await Promise.allSettled(refs.map((ref) => get(ref)));
      const errors = outcomes.flatMap((one) => (one.status === "rejected" ? [one.reason] : []));
      for (const ref of refs) ref[Symbol.dispose]();
      return { errors: errors.map(String), after: (await get(make.remote(7))) === textOf(7) };
    });
    const { errors, after } = report.check();
    expect(errors.length).toBeGreaterThan(0);
    for (const error of errors) expect(error).toMatch(/input\/output error/);
    expect(after).toBe(true);
  });
});
