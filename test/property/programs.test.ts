/**
 * Random programs in random worlds, under faults and in any order of steps: every oracle holds, and
 * each ref comes to what the sequential interpreter says, but for what a fault took.
 */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { sameFailure } from "#sim/fast-check.ts";
import { cases } from "./programs/cases.ts";
import { programs } from "./programs/arbitrary.ts";
import {
  agrees,
  type Outcome,
  type Program,
  type Result,
  type Step,
  tooEarly,
} from "./programs/description.ts";
import { interpret } from "./programs/interpreter.ts";
import { judge } from "./programs/judge.ts";

const limitMs = 120_000;
const reached = new Set<string>();

describe("programs in simulated worlds", () => {
  test.each([
    { nodes: 1, numRuns: 100 },
    { nodes: 3, numRuns: 120 },
    { nodes: 4, numRuns: 30 },
  ])("$nodes nodes", { timeout: limitMs }, async ({ nodes, numRuns }) => {
    const check = sameFailure();
    const property = fc.asyncProperty(cases(nodes), async ({ options, program }) => {
      const { report, failures } = await judge(options, program);
      for (const state of report.reached) reached.add(state);
      check(failures);
    });
    await fc.assert(property, { numRuns });
  });

  test("among them some whose tasks run again, whose actors end when nobody has them, …", () => {
    const ofTasks = ["maxRetriesExhausted", "retried", "retriedException"];
    const states = [...ofTasks, "actorJoined", "actorOutOfScope", "waitExplained"];
    expect([...reached]).toEqual(expect.arrayContaining(states));
  });

  test("without faults nothing is lost, whatever the seed", { timeout: limitMs }, async () => {
    const property = fc.asyncProperty(
      fc.nat(),
      programs({ cancels: false }),
      async (seed, program) => {
        const { report, failures } = await judge({ seed, nodes: 1 + (seed % 3) }, program);
        expect(failures).toEqual([]);
        expect(JSON.stringify(report.result)).not.toContain("system");
      },
    );
    await fc.assert(property, { numRuns: 100 });
  });
});

describe("the sequential interpreter", () => {
  const nothing = { returns: [], bytes: 0, firstGood: 0 };
  const put = (n: number, ...nested: number[]): Step => ({ op: "put", n, nested, bytes: 0 });
  const task = (direct: number[], nested: number[], result: object): Step => ({
    op: "task",
    body: { steps: [], result: { type: "value", n: 1, ...nothing, ...result } as Result },
    direct,
    nested,
    cpus: 1,
    returns: 1,
    maxRetries: 1,
    retryExceptions: true,
  });
  const program = (...steps: Step[]): Program => ({
    actorCount: 1,
    killsActors: false,
    body: { steps, result: { type: "value", n: 0, ...nothing } },
  });

  test("values, refs inside values, errors", () => {
    const failing = task([], [], { type: "throw", text: "no" });
    expect(
      interpret(
        program(put(5), put(6, 0), task([0], [1], { returns: [0] }), failing, task([3], [], {})),
      ),
    ).toEqual([
      { n: 5, refs: [], bytes: 0 },
      { n: 6, refs: [{ n: 5, refs: [], bytes: 0 }], bytes: 0 },
      { n: 36, refs: [{ n: 6, refs: [{ n: 5, refs: [], bytes: 0 }], bytes: 0 }], bytes: 0 },
      { errors: ["no"] },
      { errors: ["no"] },
    ]);
  });

  test("an attempt that fails is followed by another while there is a retry left", () => {
    const [once, twice] = [task([], [], { firstGood: 1 }), task([], [], { firstGood: 2 })];
    expect(interpret(program(once, twice))).toEqual([
      { n: 1, refs: [], bytes: 0 },
      { errors: [tooEarly] },
    ]);
  });

  test("a call whose argument is good in another attempt may run where a fault costs one", () => {
    const once = { ...task([], [], { firstGood: 1 }), retryExceptions: false } as Step;
    const call: Step = { op: "call", actor: 0, direct: [0], nested: [], keep: false, ms: 0 };
    const [, , recalled] = interpret(program(once, call, { op: "recall", actor: 0, call: 0 }));
    const ran: Outcome = { n: 0, refs: [], bytes: 0 };
    expect(agrees(recalled as Outcome, ran, true)).toBe(true);
    expect(agrees(recalled as Outcome, ran, false)).toBe(false);
    expect(agrees(recalled as Outcome, { errors: ["not kept"] }, false)).toBe(true);
  });

  test("what a fault took agrees only where there were faults; another value never does", () => {
    const value: Outcome = { n: 1, refs: [], bytes: 0 };
    expect(agrees(value, { system: "WorkerCrashedError" }, true)).toBe(true);
    expect(agrees(value, { system: "WorkerCrashedError" }, false)).toBe(false);
    expect(agrees(value, { ...value, n: 2 }, true)).toBe(false);
    expect(agrees(value, { errors: ["no"] }, true)).toBe(false);
    expect(agrees({ errors: ["a", "b"] }, { errors: ["b"] }, false)).toBe(true);
    expect(agrees({ ...value, refs: [value] }, value, true)).toBe(false);
  });
});
