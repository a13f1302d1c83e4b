/** What a failed case shrinks to is the failure that was found, with nothing but `check()`. */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { choices, faults, simOptions } from "#sim/fast-check.ts";
import type { SimOptions } from "#sim/options.ts";
import { simulate } from "#sim/simulate.ts";

/** Two bugs: one in runs of some size, one in all that are smaller. */
async function runOf(size: number, options: SimOptions): Promise<void> {
  const report = await simulate(options, async () => {
    if (size >= 3) throw new RangeError(`too large: ${size}`);
    throw new TypeError(`too small: ${size}`);
  });
  report.check();
}

/** Of the seeds of fast-check one whose first case is large. */
async function shrunken<T>(
  arbitrary: fc.Arbitrary<T>,
  sizeOf: (value: T) => number,
  run: (value: T) => Promise<void>,
): Promise<{ size: number; message: string; shrinks: number }> {
  const seed = [...Array(50).keys()].find((one) => {
    const [first] = fc.sample(arbitrary, { numRuns: 1, seed: one });
    return sizeOf(first as T) > 3;
  });
  if (seed === undefined) throw new Error("no seed has a large case first");
  const property = fc.asyncProperty(arbitrary, run);
  const { counterexample, errorInstance, numShrinks } = await fc.check(property, { seed });
  const [value] = counterexample as [T];
  return { size: sizeOf(value), message: (errorInstance as Error).message, shrinks: numShrinks };
}

const sizeOfPlan = ({ faults: plan = [] }: SimOptions): number => plan.length;

describe("the failure that was found stays what it was", () => {
  const kept = { size: 3, message: expect.stringContaining("RangeError: too large: 3") };

  test("while the plan of faults shrinks", async () => {
    const run = (options: SimOptions): Promise<void> => runOf(sizeOfPlan(options), options);
    expect(await shrunken(simOptions(), sizeOfPlan, run)).toMatchObject(kept);
  });

  test("of options that were added to", async () => {
    const init = { namespace: "own" };
    const run = (options: SimOptions): Promise<void> =>
      runOf(sizeOfPlan(options), { ...options, init });
    expect(await shrunken(simOptions(), sizeOfPlan, run)).toMatchObject(kept);
  });

  test("while something else shrinks than what the run is made of", async () => {
    const both = fc.tuple(fc.array(fc.nat()), simOptions());
    const sizeOf = ([list]: [number[], SimOptions]): number => list.length;
    const run = ([list, options]: [number[], SimOptions]): Promise<void> =>
      runOf(list.length, options);
    expect(await shrunken(both, sizeOf, run)).toMatchObject(kept);
  });

  test.each([
    ["faults", faults({ nodes: 2 }).map((plan) => ({ seed: 1, nodes: 2, faults: plan }))],
    [
      "choices",
      choices({ maxLength: 9 }).map((list) => ({ seed: 1, nodes: 1, choices: list, faults: [] })),
    ],
  ])("of options made of %s by hand", async (_, arbitrary: fc.Arbitrary<SimOptions>) => {
    const sizeOf = ({ faults: plan = [], choices: list }: SimOptions): number =>
      (list ?? plan).length;
    const run = (options: SimOptions): Promise<void> => runOf(sizeOf(options), options);
    const { message, shrinks } = await shrunken(arbitrary, sizeOf, run);
    expect(message).toContain("RangeError: too large");
    expect(shrinks).toBeGreaterThan(0);
  });
});

test("what is left of a case that failed fails alone, by its path, in the same way", async () => {
  const property = fc.asyncProperty(simOptions(), (options) => runOf(sizeOfPlan(options), options));
  const first = await fc.check(property, { seed: 7 });
  const { seed, counterexamplePath } = first;
  const again = await fc.check(property, { seed, path: counterexamplePath ?? "" });
  expect(again.failed).toBe(true);
  expect(again.errorInstance).toEqual(first.errorInstance);
  expect(again.counterexample).toEqual(first.counterexample);
});

test("another case may fail in another way: each is told as it is", async () => {
  const messages = new Set<string>();
  for (const options of fc.sample(simOptions(), { numRuns: 20, seed: 3 })) {
    const caught = await runOf(sizeOfPlan(options), options).catch((error: unknown) => error);
    messages.add(/too (?:large|small)/.exec(String(caught))?.[0] ?? String(caught));
  }
  expect([...messages].sort()).toEqual(["too large", "too small"]);
});

test("a case that was given by hand shrinks as well", async () => {
  const pause = { at: 1, kind: "pause", node: 1, forMs: 5 } as const;
  const given: SimOptions = {
    seed: 1,
    nodes: 3,
    faults: [pause, pause, pause, pause],
    choices: [],
  };
  const property = fc.asyncProperty(simOptions(), async (options) => {
    const report = await simulate(options, async () => {
      if (sizeOfPlan(options) > 1) throw new RangeError("too many");
    });
    report.check();
  });
  const { counterexample } = await fc.check(property, { examples: [[given]] });
  expect(counterexample?.[0]?.faults).toHaveLength(2);
});
