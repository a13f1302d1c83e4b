/**
 * A node finds that another has given up its copy, and its news is held up on the way to the owner.
 * Meanwhile the copy has come there again: it must stay in the owner's directory, or nobody would
 * ever free it.
 */
import { expect, test } from "vitest";
import { get, wait } from "#api/get.ts";
import { remote } from "#api/remote.ts";
import type { ObjectRef } from "#api/types.ts";
import { simulate } from "#sim/simulate.ts";

const on = (name: string) => ({ resources: { [name]: 0.1 } });
const bytesMade = 4_000;
const make = remote(on("maker"), () => new Uint8Array(bytesMade).fill(1));
const sum = remote((bytes: Uint8Array) => bytes.reduce((a, b) => a + b));
/** Leaves a copy there, and no view on it. */
const bring = remote(on("holder"), async ([ref]: readonly [ObjectRef<Uint8Array>]) => {
  await wait([ref]);
});
const fill = remote(on("holder"), () => new Uint8Array(100_000));

test("late news that a copy is gone says nothing of the one that came there since", async () => {
  const nodes = ["driver", "holder", "asker", "maker"].map((name) => on(name));
  const systemConfig = {
    inlineBytesMax: 64,
    pullChunkBytes: 1_000,
    copyLingerMs: 5,
    // What is spilled makes room as well.
    spillDiskUsedMax: 0,
    pullRoomTimeoutMs: 5,
  };
  const faults = [
    { at: 390, kind: "hold", from: 2, to: 1, forMs: 610 },
    { at: 800, kind: "hold", from: 2, to: 0, forMs: 1_000 },
  ] as const;
  for (let seed = 0; seed < 5; seed++) {
    const init = { systemConfig, objectStoreMemory: 1 << 20 };
    const report = await simulate({ seed, nodes, faults, init }, async (sim) => {
      await sim.sleep(200);
      const ref = make.remote();
      await wait([ref], { fetchLocal: false });
      await get(bring.remote([ref]));
      await sim.sleep(400 - sim.nowMs);
      // It asks the holder for a part, which arrives when nothing is there any more.
      const asked = sum.options(on("asker")).remote(ref);
      await sim.sleep(300);
      // Until the store of the holder is full.
      const filling = Array.from({ length: 12 }, () => fill.remote());
      await wait(filling, { numReturns: filling.length, fetchLocal: false });
      for (const one of filling) one[Symbol.dispose]();
      await sim.sleep(1_200 - sim.nowMs);
      await get(bring.remote([ref]));
      return get(asked);
    });
    expect(report.check()).toBe(bytesMade);
    expect(report.reached).toEqual(expect.arrayContaining(["copyEvicted", "pullRetried"]));
  }
});
