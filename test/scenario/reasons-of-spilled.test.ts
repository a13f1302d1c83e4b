/** What a get says whose time is up while its value is on the disk, or has no room here. */
import { describe, expect, test } from "vitest";
import { GetTimeoutError } from "#api/errors.ts";
import { get, wait } from "#api/get.ts";
import { remote } from "#api/remote.ts";
import { list } from "#api/state.ts";
import type { Fault } from "#sim/faults/fault.ts";
import { simulate } from "#sim/simulate.ts";

const length = 100_000;
const count = 30;
const textOf = (n: number): string => `${n} `.repeat(length).slice(0, length);
const make = remote((n: number) => textOf(n));
const makeBytes = remote((n: number) => new Uint8Array(length).fill(n));
const init = { objectStoreMemory: 1 << 20 };

async function messageOf(getting: Promise<unknown>): Promise<string> {
  try {
    await getting;
  } catch (error) {
    if (error instanceof GetTimeoutError) return error.message;
    throw error;
  }
  return "it is there";
}

describe.each([1, 2])("a store of a mebibyte, seed %d", (seed) => {
  test("says that a slow disk is read", async () => {
    const faults: Fault[] = [{ at: 1_000, kind: "disk", node: 0, what: "slow", forMs: 60_000 }];
    const report = await simulate({ seed, nodes: 1, init, faults }, async (sim) => {
      const refs = Array.from({ length: count }, (_, n) => make.remote(n));
      await wait(refs, { numReturns: count });
      await sim.sleep(1_500 - sim.nowMs);
      for (const ref of refs) {
        const message = await messageOf(get(ref, { timeoutMs: 4 }));
        if (message !== "it is there") return message;
      }
      return "";
    });
    expect(report.check()).toContain(": it is being restored from disk");
  });

  test("says that there is no room, and how much is in use", async () => {
    const full = { ...init, systemConfig: { overflowBytesMax: 0 } };
    const report = await simulate({ seed, nodes: 1, init: full }, async () => {
      const refs = Array.from({ length: count }, (_, n) => makeBytes.remote(n));
      await wait(refs, { numReturns: count });
      const views: Uint8Array[] = [];
      for (const ref of refs) {
        const getting = get(ref, { timeoutMs: 1_000 }).then((view) => views.push(view));
        const message = await messageOf(getting);
        if (message !== "it is there") return { message, seen: views.map((view) => view[0]) };
      }
      return { message: "", seen: [] };
    });
    const { message, seen } = report.check();
    expect(seen.length).toBeGreaterThan(5);
    expect(message).toMatch(
      /it was spilled to the disk, and waits for room in the store of node [0-9a-f]{32} \(/,
    );
    expect(message).toMatch(/\(\d+ of 1048576 bytes in use, it needs 100\d+\)/);
  });

  test("counts what went to the disk of each node, and what came back", async () => {
    const report = await simulate({ seed, nodes: 3, init }, async () => {
      const refs = Array.from({ length: count }, (_, n) => make.remote(n));
      await wait(refs, { numReturns: count });
      for (const ref of refs) await get(ref);
      const filled = (await list("nodes")).map(({ nodeId }) =>
        makeBytes.options({ schedulingStrategy: { nodeId } }).remote(1),
      );
      await wait(filled, { numReturns: filled.length });
      const rows = await list("nodes");
      return { rows, filled, missing: rows.missing };
    });
    const { rows, filled, missing } = report.check();
    expect(missing).toEqual([]);
    expect(rows).toHaveLength(3);
    expect(filled).toHaveLength(3);
    for (const { nodeId, objectStore } of rows) {
      expect(objectStore?.capacityBytes).toBe(1 << 20);
      // Its task has left a value: in memory, or on its disk.
      const { usedBytes = 0, spilledObjects = 0 } = objectStore ?? {};
      expect([nodeId, usedBytes > length || spilledObjects > 0]).toEqual([nodeId, true]);
    }
    const store = rows.find(({ isHead }) => isHead)?.objectStore;
    expect(store?.capacityBytes).toBe(1 << 20);
    expect(store?.spilledObjects).toBeGreaterThan(5);
    expect(store?.spilledBytes).toBeGreaterThanOrEqual((store?.spilledObjects ?? 0) * length);
    expect(store?.restoredObjects).toBeGreaterThan(0);
    expect(store?.spillFiles).toBeGreaterThan(0);
  });

  test("names a node that does not answer, and waits for none that has died", async () => {
    const faults: Fault[] = [
      { at: 2_000, kind: "partition", from: [0], to: [1], forMs: 3_000 },
      { at: 2_000, kind: "crash", node: 2 },
    ];
    const init = { systemConfig: { stateTimeoutMs: 300 } };
    const report = await simulate({ seed, nodes: 3, init, faults }, async (sim) => {
      await sim.sleep(1_000);
      const before = await list("nodes");
      await sim.sleep(2_010 - sim.nowMs);
      const began = sim.nowMs;
      const during = await list("nodes");
      const tookMs = sim.nowMs - began;
      await sim.sleep(60_000);
      const after = await list("nodes");
      const storesOf = (rows: typeof before) => rows.filter((row) => row.objectStore).length;
      const counts = [before, during, after].map(storesOf);
      return { counts, missing: [during.missing, after.missing], tookMs };
    });
    const { counts, missing, tookMs } = report.check();
    expect(counts).toEqual([3, 1, 2]);
    expect(missing[0]).toHaveLength(2);
    for (const text of missing[0] ?? []) {
      expect(text).toMatch(/^node [0-9a-f]{32} did not answer within 300 ms .*cannot be reached/);
    }
    expect(tookMs).toBeLessThan(400);
    expect(missing[1]).toEqual([]);
  });
});
