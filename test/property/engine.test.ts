/**
 * The whole engine in a small world, over orders of events and crashes: simulation oracles 1
 * (tasks), 3 (values), 5 (references), 6 (resources), 10 (leases) and 16 (no livelock).
 */
import fc from "fast-check";
import { describe, test } from "vitest";
import { checkAtRest, checkEmpty, dropEverything } from "./engine-oracles.ts";
import { userActionNames } from "./engine-program.ts";
import { EngineWorld, type WorldOptions } from "./engine-world.ts";

const runs = Number(process.env["ENGINE_RUNS"] ?? 300);
const seed = process.env["ENGINE_SEED"];

const draws = fc.array(fc.nat({ max: 0xffff }), { minLength: 50, maxLength: 900, size: "max" });

const options = (crashes: boolean): fc.Arbitrary<WorldOptions> =>
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
    // Twice the basic ones, and a subset of all.
    actions: fc
      .subarray(userActionNames)
      .map((names) => [...names, "submitTask", "putValue", "awaitRefs"] as const),
    draws,
  });

function run(world: WorldOptions): EngineWorld {
  const engine = new EngineWorld(world);
  engine.runChaos();
  engine.runToQuiet();
  checkAtRest(engine);
  dropEverything(engine);
  engine.runToQuiet();
  checkEmpty(engine, world.cpus);
  return engine;
}

describe("any order of events", () => {
  const parameters = {
    numRuns: runs,
    ...(process.env["ENGINE_LIMIT"]
      ? { interruptAfterTimeLimit: 1000 * Number(process.env["ENGINE_LIMIT"]) }
      : {}),
    ...(seed === undefined ? {} : { seed: Number(seed) }),
  };
  test("without a crash", () => {
    fc.assert(
      fc.property(options(false), (world) => void run(world)),
      parameters,
    );
  }, 3_600_000);
  test("with crashes of workers", () => {
    fc.assert(
      fc.property(options(true), (world) => void run(world)),
      parameters,
    );
  }, 3_600_000);
});
