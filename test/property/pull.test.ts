/**
 * Objects that move between nodes, over orders of messages, time-outs, deaths of nodes and stores
 * that are too small: every get ends, with the bytes that were made or a true reason, and when
 * nobody holds anything all memory is back.
 *
 * PULL_RUNS=20000 looks longer.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { PullWorld, type PullWorldOptions } from "./pull-world.ts";

const numRuns = Number(process.env["PULL_RUNS"] ?? 200);
const timeoutMs = 20_000 + numRuns * 100;

const worlds = (deaths: boolean, diskFaults = deaths): fc.Arbitrary<PullWorldOptions> =>
  fc.record({
    nodes: fc.integer({ min: 2, max: 4 }),
    storeBytes: fc.constantFrom(1 << 16, 1 << 11, 1 << 10),
    config: fc.record({
      pullChunkBytes: fc.constantFrom(1 << 20, 100, 33),
      pullBytesInFlightMax: fc.constantFrom(1 << 20, 120),
      pullRoomTimeoutMs: fc.constantFrom(10_000, 20),
      copyLingerMs: fc.constantFrom(1_000, 10),
      spillThreshold: fc.constantFrom(0.8, 0.3, 1),
      minSpillBytes: fc.constantFrom(1 << 20, 1, 500),
      ioWorkers: fc.constantFrom(1, 2, 4),
    }),
    deaths: fc.constant(deaths),
    diskFaults: fc.constant(diskFaults),
    draws: fc.array(fc.nat({ max: 0xffff }), { minLength: 50, maxLength: 1_500, size: "max" }),
  });

const reached = new Set<string>();

function run(options: PullWorldOptions): void {
  const world = new PullWorld(options);
  world.run();
  world.checkEmpty();
  for (const state of world.reached) reached.add(state);
}

describe("objects between nodes, in any order of events", () => {
  test(
    "while every node lives",
    () => fc.assert(fc.property(worlds(false), run), { numRuns }),
    timeoutMs,
  );
  test(
    "with deaths of nodes",
    () => fc.assert(fc.property(worlds(true, false), run), { numRuns }),
    timeoutMs,
  );
  test(
    "with deaths of nodes and disks that fail",
    () => fc.assert(fc.property(worlds(true), run), { numRuns }),
    timeoutMs,
  );
  test(
    "with disks that fail",
    () => fc.assert(fc.property(worlds(false, true), run), { numRuns }),
    timeoutMs,
  );
  test("reaches the states that are rare", () => {
    const wanted = ["a chunk", "a lost object", "a node died", "a time-out", "no room"];
    wanted.push("spilledRead", "objectRestored", "a file deleted");
    wanted.push("spillObjects failed", "restoreObject failed");
    const messages = ["copyAdded", "copyGone", "freeObjects", "pinCopy", "unpinObjects"];
    expect([...reached]).toEqual(expect.arrayContaining([...wanted, ...messages]));
  });
});
