/**
 * Disks that lose, tear and spoil what is spilled to them: checksums find it, what was made is made
 * anew, what was put says that it is lost. What fails for a moment only costs another try.
 */
import { describe, expect, test } from "vitest";
import { ObjectReconstructionFailedError } from "#api/errors.ts";
import { get, put, wait } from "#api/get.ts";
import { remote } from "#api/remote.ts";
import type { ObjectRef } from "#api/types.ts";
import type { Fault } from "#sim/faults/fault.ts";
import { simulate } from "#sim/simulate.ts";

const length = 100_000;
const count = 20;
const textOf = (n: number): string => `${n} `.repeat(length).slice(0, length);
const make = remote((n: number) => textOf(n));
const init = { objectStoreMemory: 1 << 20 };
const seeds = [1, 2, 3];

async function spillAll(): Promise<{ made: ObjectRef<string>[]; own: ObjectRef<string>[] }> {
  const own = Array.from({ length: 5 }, (_, n) => put(textOf(n)));
  const made = Array.from({ length: count }, (_, n) => make.remote(n));
  await wait([...own, ...made], { numReturns: own.length + count });
  return { made, own };
}

/** Whether what was put is what it was, or lost. */
async function readAll({ made, own }: Awaited<ReturnType<typeof spillAll>>): Promise<string[]> {
  for (const [n, ref] of made.entries()) expect(await get(ref)).toBe(textOf(n));
  const outcomes = await Promise.allSettled(own.map((ref) => get(ref)));
  return outcomes.map((one, n) => {
    if (one.status === "fulfilled") return one.value === textOf(n) ? "right" : "wrong";
    return one.reason instanceof ObjectReconstructionFailedError ? "lost" : String(one.reason);
  });
}

describe.each(seeds)("seed %d", (seed) => {
  test.each(["tornWrite", "lostFsync"] as const)("%s is found by the checksum", async (what) => {
    const faults: Fault[] = [{ at: 0, kind: "disk", node: 0, what, forMs: 400 }];
    const report = await simulate({ seed, nodes: 1, init, faults }, async (sim) => {
      const all = await spillAll();
      await sim.sleep(600 - sim.nowMs);
      return readAll(all);
    });
    for (const outcome of report.check()) expect(["right", "lost"]).toContain(outcome);
    const reached = ["spillCorrupt", "spillLost", "objectRecovered"];
    expect(report.reached).toEqual(expect.arrayContaining(reached));
  });

  test("what was written before a sync is lost goes with it, too", async () => {
    const faults: Fault[] = [{ at: 500, kind: "disk", node: 0, what: "lostFsync", forMs: 1 }];
    const report = await simulate({ seed, nodes: 1, init, faults }, async (sim) => {
      const all = await spillAll();
      await sim.sleep(600 - sim.nowMs);
      return readAll(all);
    });
    for (const outcome of report.check()) expect(["right", "lost"]).toContain(outcome);
    expect(report.reached).toEqual(expect.arrayContaining(["spillCorrupt", "spillLost"]));
  });

  test("an error that passes costs nothing but time", async () => {
    const faults: Fault[] = [{ at: 500, kind: "disk", node: 0, what: "ioError", forMs: 120 }];
    const report = await simulate({ seed, nodes: 1, init, faults }, async (sim) => {
      const all = await spillAll();
      await sim.sleep(505 - sim.nowMs);
      return readAll(all);
    });
    expect(report.check()).toEqual(["right", "right", "right", "right", "right"]);
    const reached = ["spillReadFailed", "spillReadAgain"];
    expect(report.reached).toEqual(expect.arrayContaining(reached));
    expect(report.reached).not.toContain("spillLost");
  });

  test.each([true, false])("a machine comes back, and keeps its disk: %s", async (keepDisk) => {
    const crash: Fault = { at: 500, kind: "crash", node: 1, restartAfterMs: 100, keepDisk };
    const nodes = [{}, { resources: { there: 1 } }];
    const report = await simulate({ seed, nodes, init, faults: [crash] }, async (sim) => {
      const there = make.options({ resources: { there: 0.1 } });
      const refs = Array.from({ length: count }, (_, n) => there.remote(n));
      await wait(refs, { numReturns: count, fetchLocal: false });
      await sim.sleep(501 - sim.nowMs);
      for (const [n, ref] of refs.entries()) expect(await get(ref)).toBe(textOf(n));
    });
    // The oracles look whether any file of its former life is left.
    report.check();
    expect(report.reached).toEqual(expect.arrayContaining(["spilled", "nodeRestarted"]));
    expect(report.reached.includes("formerFilesRemoved")).toBe(keepDisk);
  });
});
