/**
 * The rules of holds, model-checked at random: nothing is freed early and nothing leaks, whatever
 * the order and whoever dies; and without any one of the rules something goes wrong.
 */
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { allRules, HoldModel, type Rules } from "./hold-model.ts";

const steps = fc.array(fc.tuple(fc.nat(16), fc.nat(97), fc.nat(97)), {
  maxLength: 120,
  size: "max",
});

function modelOf(rules: Rules, reached: Set<string>) {
  return fc.property(fc.integer({ min: 3, max: 5 }), steps, (processCount, taken) => {
    const model = new HoldModel(processCount, rules);
    for (const step of taken) model.step(step);
    model.toQuiet();
    for (const state of model.reached) reached.add(state);
  });
}

test("never freed early, and nothing leaks", () => {
  const reached = new Set<string>();
  fc.assert(modelOf(allRules, reached), { numRuns: 4_000 });
  expect([...reached].sort()).toEqual(["abandoned", "asked", "deleted after a query"]);
});

test.each<[keyof Rules, RegExp]>([
  ["waits", /was freed while|the object was gone|never confirmed/],
  ["queries", /was freed while/],
  ["fences", /was freed while/],
  ["abandons", /never confirmed|is held 2 times/],
])("each rule is needed: %s", (rule, message) => {
  const rules = { ...allRules, [rule]: false };
  const { failed, errorInstance } = fc.check(modelOf(rules, new Set()), {
    numRuns: 20_000,
    seed: 1,
    endOnFailure: true,
  });
  expect(failed).toBe(true);
  expect(String(errorInstance)).toMatch(message);
});
