/** Which failures of a run set are the same to a person. */
import { expect, test } from "vitest";
import { FailureList } from "../../src/cli/sim-failures.ts";
import type { SeedFailure, SeedResult } from "#sim/run-set/seed-run.ts";

function resultOf(seed: number, failures: readonly SeedFailure[], program = "p"): SeedResult {
  return {
    program,
    seed,
    runs: 1,
    events: 100,
    virtualMs: 10,
    faultsFired: 0,
    faultsByKind: {},
    reached: [],
    failures,
    isMismatch: false,
    replay: `line --seed ${seed}`,
    faults: [],
    reproFile: null,
    notSaved: null,
    explanation: "",
  };
}

const task = (digit: string): string => digit.repeat(52);
const lost = (id: string): SeedFailure => ({
  oracle: "1 tasks",
  entity: id,
  message: `lost ${id}`,
});
const hygiene = (message: string): SeedFailure => {
  return { oracle: "17 hygiene", entity: "driver", message };
};

test("ids, numbers and events do not make another failure of one", () => {
  const list = new FailureList({ withExplanation: false });
  const differs = (event: number): SeedFailure => {
    return { oracle: "determinism", entity: `event ${event}`, message: `both until ${event}` };
  };
  expect(list.add(resultOf(1, []))).toBeNull();
  expect(list.add(resultOf(2, [lost(task("1"))]))).toContain("FAILED p, seed 2\n  1 tasks");
  expect(list.add(resultOf(3, [lost(task("a"))]))).toBeNull();
  expect(list.add(resultOf(9, [differs(5)]))).toContain("determinism (event 5)");
  expect(list.add(resultOf(5, [differs(77)]))).toBeNull();
  expect(list.add(resultOf(4, [differs(6)]))).toBeNull();
  expect(list.repeated()).toEqual([
    "p: the same as in seed 2 in 1 more seed: 3",
    "p: the same as in seed 9 in 2 more seeds: 4, 5",
  ]);
});

test("another program, oracle, kind of entity or text is another failure", () => {
  const list = new FailureList({ withExplanation: false });
  const results = [
    resultOf(1, [lost(task("1"))]),
    resultOf(2, [lost(task("1"))], "q"),
    resultOf(3, [{ ...lost(task("1")), oracle: "4 no loss" }]),
    resultOf(4, [lost(task("1").slice(0, 40))]),
    resultOf(5, [hygiene("real IO in the program: FSREQPROMISE at readFile")]),
    resultOf(6, [hygiene("unhandled rejection in the program: Error: 5")]),
  ];
  for (const result of results) expect(list.add(result)).toContain(`seed ${result.seed}\n`);
  expect(list.repeated()).toEqual([]);
});

test("what comes beside a failure that is known is told", () => {
  const list = new FailureList({ withExplanation: false });
  expect(list.add(resultOf(1, [lost(task("1"))]))).not.toBeNull();
  const both = resultOf(2, [lost(task("2")), hygiene("unhandled rejection in the program: x")]);
  expect(list.add(both)).toContain("17 hygiene (driver): unhandled");
  expect(list.add(resultOf(3, both.failures))).toBeNull();
  expect(list.repeated()).toEqual(["p: the same as in seed 1 in 1 more seed: 3"]);
});
