/**
 * The whole engine in a small world, over orders of events and crashes: simulation oracles 1
 * (tasks), 3 (values), 5 (references), 6 (resources), 10 (leases) and 16 (no livelock).
 *
 * ENGINE_RUNS=20000 looks longer.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkAtRest, checkEmpty, dropEverything } from "./engine-oracles.ts";
import { userActionNames } from "./engine-program.ts";
import { EngineWorld, type WorldOptions } from "./engine-world.ts";

const numRuns = Number(process.env["ENGINE_RUNS"] ?? 250);
const timeoutMs = 240_000;

/** A failure is shrunk for as long as there is time. */
const limits = { interruptAfterTimeLimit: timeoutMs - 5_000, markInterruptAsFailure: true };

const worlds = (crashes: boolean): fc.Arbitrary<WorldOptions> =>
  fc.record({
    cpus: fc.integer({ min: 1, max: 3 }),
    config: fc.record({
      pipelineDepthMax: fc.constantFrom(1, 2, 1024),
      pendingLeaseRequestsMax: fc.constantFrom(1, 10),
      leaseTurnMs: fc.constantFrom(0, 500),
      taskWorkersMax: fc.constantFrom(1, 2, 64),
    }),
    congestedAt: fc.constantFrom(1, 3, 1000),
    crashes: fc.constant(crashes),
    lateFrames: fc.boolean(),
    // A subset of all, and the basic ones twice.
    actions: fc
      .subarray(userActionNames)
      .map((names) => [...names, "submitTask", "putValue", "awaitRefs"] as const),
    draws: fc.array(fc.nat({ max: 0xffff }), { minLength: 50, maxLength: 900, size: "max" }),
  });

const rareStates = [
  "a link with room again",
  "a peer's death",
  "a retracted frame",
  "an exception looked at",
  "another attempt",
  "retries used up",
  "abandonActor",
  "actorDrained",
  "actorOutOfScope",
  "cancelObject",
  "cancelTask",
  "confirmHolds",
  "createHolds",
  "doomLease",
  "keptRefs",
  "leaseDemand",
  "leaseRevoked",
  "objectState of a failure",
  "releaseHolds",
  "stopActorWorker",
  "subscribeObject",
  "takenBack",
  "watchWorker",
];
const moreRunsMax = 3_000;
const reached = new Set<string>();

function run(options: WorldOptions): void {
  const world = new EngineWorld(options);
  world.runChaos();
  world.runToQuiet();
  checkAtRest(world);
  dropEverything(world);
  world.runToQuiet();
  checkEmpty(world, options.cpus);
  for (const state of world.reached) reached.add(state);
  for (const { client } of world.processes.values()) {
    const { counts } = client.core.retries;
    if (counts.exhausted > 0) reached.add("retries used up");
    if (counts.refused > 0) reached.add("a late reply");
    if (counts.retriedExceptions > 0) reached.add("an exception looked at");
  }
  if (world.links.takenBackCount > 0) reached.add("a retracted frame");
}

describe("any order of events", () => {
  test(
    "without a crash",
    () => void fc.assert(fc.property(worlds(false), run), { numRuns, ...limits }),
    timeoutMs,
  );
  test(
    "with crashes of workers",
    () => void fc.assert(fc.property(worlds(true), run), { numRuns, ...limits }),
    timeoutMs,
  );
  test(
    "reaches the states that are rare",
    () => {
      const missing = (): string[] => rareStates.filter((state) => !reached.has(state));
      // Some come a few times in a thousand worlds: as many more as it takes.
      for (let i = 0; i < moreRunsMax && missing().length > 0; i++) {
        for (const world of fc.sample(worlds(i % 2 === 0), { seed: i, numRuns: 1 })) run(world);
      }
      expect(missing()).toEqual([]);
    },
    timeoutMs,
  );
});
