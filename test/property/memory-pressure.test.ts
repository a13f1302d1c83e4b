/**
 * Stores that somebody fills for a while, and that may not grow: what has no room waits for it, or
 * fails with that.
 */
import { describe, expect, test } from "vitest";
import { GetTimeoutError, ObjectStoreFullError, TaskError } from "#api/errors.ts";
import { get, put } from "#api/get.ts";
import { remote } from "#api/remote.ts";
import type { ObjectRef } from "#api/types.ts";
import type { Fault } from "#sim/faults/fault.ts";
import type { SimOptions } from "#sim/options.ts";
import { simulate } from "#sim/simulate.ts";

const size = 100_000;
const bytesOf = (n: number): Uint8Array => new Uint8Array(size).fill(n);
const make = remote(bytesOf);
const sum = remote((bytes: Uint8Array) => bytes.reduce((a, b) => a + b, 0));
const there = { resources: { there: 0.1 } };
const here = { resources: { here: 0.1 } };
const nodes = [{ resources: { here: 1 } }, { resources: { there: 1 } }];
const init = {
  objectStoreMemory: 1 << 20,
  systemConfig: { inlineBytesMax: 64, memoryMonitorMs: 0, overflowBytesMax: 0 },
};
const seeds = [1, 2, 3, 4, 5];

/** All that is free, from 100 virtual milliseconds on. */
function pressure(node: number, forMs: number): Pick<SimOptions, "faults" | "init"> {
  const fault: Fault = { at: 100, kind: "memoryPressure", node, bytes: 1 << 30, forMs };
  return { faults: [fault], init };
}

async function failureOf(ref: ObjectRef<unknown>, timeoutMs = Infinity): Promise<unknown> {
  return get(ref, timeoutMs === Infinity ? {} : { timeoutMs }).then(
    () => null,
    (error: unknown) => error,
  );
}

describe.each(seeds)("memory pressure, seed %d", (seed) => {
  test("a result waits for room, and not for ever; later there is room again", async () => {
    const report = await simulate({ seed, nodes: 1, ...pressure(0, 15_000) }, async (sim) => {
      await sim.sleep(150);
      const error = await failureOf(make.remote(1));
      const atMs = sim.nowMs;
      const bytes = await get(make.remote(2));
      return { error, atMs, first: bytes[0] };
    });
    const { error, atMs, first } = report.check();
    expect(atMs).toBeGreaterThan(10_000);
    expect(error).toBeInstanceOf(TaskError);
    expect((error as TaskError).cause).toBeInstanceOf(ObjectStoreFullError);
    expect(first).toBe(2);
    expect(report.reached).toContain("objectStoreFull");
  });

  test("what is on its way here waits for room, a get of it no longer than it said", async () => {
    const report = await simulate({ seed, nodes, ...pressure(0, 3_000) }, async (sim) => {
      const made = make.options(there).remote(1);
      await sim.sleep(150);
      const error = await failureOf(made, 1_000);
      return { error, first: (await get(made))[0], atMs: sim.nowMs };
    });
    const { error, first, atMs } = report.check();
    expect(error).toBeInstanceOf(GetTimeoutError);
    expect(first).toBe(1);
    expect(atMs).toBeGreaterThan(3_100);
    expect(atMs).toBeLessThan(4_000);
  });

  test("… but not for ever", async () => {
    const report = await simulate({ seed, nodes, ...pressure(0, 60_000) }, async (sim) => {
      const made = make.options(there).remote(1);
      await sim.sleep(150);
      return { error: await failureOf(made), atMs: sim.nowMs };
    });
    const { error, atMs } = report.check();
    expect(error).toBeInstanceOf(ObjectStoreFullError);
    expect(atMs).toBeGreaterThan(10_000);
    expect(atMs).toBeLessThan(12_000);
    expect(report.reached).toContain("objectStoreFull");
  });

  test("… nor at all where the store may grow", async () => {
    const systemConfig = { ...init.systemConfig, overflowBytesMax: 1 << 20 };
    const options = { ...pressure(0, 60_000), init: { ...init, systemConfig } };
    const report = await simulate({ seed, nodes, ...options }, async (sim) => {
      const made = make.options(there).remote(1);
      await sim.sleep(150);
      return { first: (await get(made))[0], atMs: sim.nowMs };
    });
    const { first, atMs } = report.check();
    expect(first).toBe(1);
    expect(atMs).toBeLessThan(2_000);
    expect(report.reached).toContain("overflowed");
  });

  test("copies for convenience only make room", async () => {
    const report = await simulate({ seed, nodes, ...pressure(0, 1_000) }, async (sim) => {
      const made = make.options(there).remote(1);
      const before = await get(sum.options(here).remote(made));
      await sim.sleep(3_000);
      return before + (await get(sum.options(here).remote(made)));
    });
    expect(report.check()).toBe(2 * size);
  });

  test("a put does not wait, and is right", async () => {
    const report = await simulate({ seed, nodes: 1, ...pressure(0, 2_000) }, async (sim) => {
      await sim.sleep(150);
      return get(sum.remote(put(bytesOf(3))));
    });
    expect(report.check()).toBe(3 * size);
  });
});
