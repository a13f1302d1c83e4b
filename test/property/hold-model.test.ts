/**
 * The rules of holds, model-checked at random: nothing is freed early and nothing leaks, whatever
 * the order and whoever dies; and without any one of the rules something goes wrong.
 */
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { allRules, HoldModel, type Rules, type Step } from "./hold-model.ts";

const numRuns = Number(process.env["HOLD_RUNS"] ?? 6_000);

function run(processCount: number, steps: readonly Step[], rules: Rules): HoldModel {
  const model = new HoldModel(processCount, rules);
  for (const step of steps) model.step(step);
  model.toQuiet();
  return model;
}

test("never freed early, and nothing leaks", () => {
  const reached = new Set<string>();
  const number = fc.nat(97);
  const steps = fc.array(fc.tuple(fc.nat(21), number, number), { maxLength: 120, size: "max" });
  const property = fc.property(fc.integer({ min: 3, max: 5 }), steps, (processCount, taken) => {
    for (const state of run(processCount, taken, allRules).reached) reached.add(state);
  });
  fc.assert(property, { numRuns });
  expect([...reached].sort()).toEqual(["abandoned", "asked", "deleted after a query"]);
}, 60_000);

/** Found by search, and shrunk. */
const needed: readonly (readonly [keyof Rules, number, readonly Step[], string])[] = [
  [
    "waits",
    4,
    [
      [9, 0, 2],
      [0, 0, 0],
      [9, 2, 1],
      [18, 0, 0],
      [21, 2, 0],
      [0, 0, 2],
    ],
    "freed while process 1 had a ref",
  ],
  [
    "queries",
    4,
    [
      [9, 0, 3],
      [0, 0, 0],
      [9, 3, 1],
      [0, 0, 0],
      [0, 0, 0],
      [21, 3, 0],
      [0, 0, 1],
      [18, 0, 0],
    ],
    "freed while process 1 had a ref",
  ],
  [
    "fences",
    3,
    [
      ...([
        [9, 0, 1],
        [18, 0, 0],
        [0, 0, 0],
        [9, 1, 2],
        [0, 0, 0],
        [0, 0, 0],
      ] as const),
      ...([
        [21, 1, 0],
        [0, 1, 0],
        [0, 1, 0],
      ] as const),
    ],
    "freed while process 2 had a ref",
  ],
  [
    "abandons",
    4,
    [
      [9, 0, 1],
      [0, 0, 0],
      [9, 1, 3],
      [20, 1, 0],
      [9, 0, 3],
    ],
    "is held 2 times",
  ],
  [
    "replyWaits",
    3,
    [
      [9, 0, 2],
      [18, 0, 0],
      [0, 0, 0],
      [13, 2, 1],
      [0, 0, 0],
      [16, 1, 0],
      [21, 2, 0],
      [0, 1, 3],
    ],
    "freed while process 1 had a ref",
  ],
];

test.each(needed)("each rule is needed: %s", (rule, processCount, steps, message) => {
  expect(() => run(processCount, steps, { ...allRules, [rule]: false })).toThrow(message);
  run(processCount, steps, allRules);
});
