/** What a simulation is asked to do and what its report owes: nothing is ignored, nothing hangs. */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { get } from "#api/get.ts";
import { remote } from "#api/remote.ts";
import { choices, simOptions } from "#sim/fast-check.ts";
import { simulate } from "#sim/simulate.ts";
import type { SimOptions } from "#sim/options.ts";

const add = remote((a: number, b: number) => a + b);
const nothing = (): Promise<void> => Promise.resolve();

describe("a run", () => {
  test("names the functions a program makes in it as in every other run of its seed", async () => {
    const program = (): Promise<number> => get(remote((n: number) => n + 1).remote(1));
    const [first, second] = [
      await simulate({ seed: 4 }, program),
      await simulate({ seed: 4 }, program),
    ];
    expect(first.check()).toBe(2);
    expect(second.check()).toBe(2);
    expect(second.trace()).toBe(first.trace());
    expect(second.traceHash).toBe(first.traceHash);
  });

  test("that rejects with nothing has failed", async () => {
    const report = await simulate({ seed: 1 }, () => Promise.reject());
    expect("error" in report).toBe(true);
    expect(() => report.check()).toThrow(/the program failed: undefined/);
  });

  test("is quiet only when what a fault held for long has come", async () => {
    const faults = [{ at: 0, kind: "hold", from: 0, to: 1, forMs: 200_000 }] as const;
    const report = await simulate({ seed: 2, nodes: 2, faults }, () =>
      Promise.all([1, 2, 3, 4].map((n) => get(add.remote(n, 1)))),
    );
    expect(report.check()).toEqual([2, 3, 4, 5]);
  });
});

describe("bad input is told", () => {
  const refused: readonly [string, Partial<Record<keyof SimOptions, unknown>>, RegExp][] = [
    ["a choice that is no integer", { choices: [0, 1.5] }, /choices\[1\] must be an integer/],
    ["choices that are no list", { choices: 3 }, /choices must be a list/],
    ["choicesOnly that is no boolean", { choicesOnly: 1 }, /choicesOnly must be a boolean/],
    ["no nodes", { nodes: [] }, /nodes must be/],
    ["a misspelt field of chaos", { chaos: { kind: ["pause"] } }, /chaos has no field kind/],
    ["kinds that are no list", { chaos: { kinds: "pause" } }, /chaos\.kinds must be a list/],
    [
      "a kind that every object has",
      { faults: [{ at: 0, kind: "toString" }] },
      /unknown kind "toString"/,
    ],
    [
      "a fault without end",
      { faults: [{ at: 0, kind: "pause", node: 0, forMs: Infinity }] },
      /faults\[0\]\.forMs must be a finite number/,
    ],
    [
      "a clock that leaps",
      { faults: [{ at: 0, kind: "clockDrift", node: 0, ppm: 1e9, forMs: 1 }] },
      /faults\[0\]\.ppm must be above -1000000, at most 1000000/,
    ],
  ];
  test.each(refused)("%s", async (_, options, message) => {
    await expect(simulate({ seed: 1, ...options } as SimOptions, nothing)).rejects.toThrow(message);
  });

  test("sleeps without end, and faults after the world has healed", async () => {
    const report = await simulate({ seed: 1 }, async (sim) => {
      expect(() => sim.sleep(Number.NaN)).toThrow(/sim\.sleep takes finite virtual ms/);
      expect(() => sim.sleep(-1)).toThrow(RangeError);
      await sim.sleep(1);
      sim.heal();
      expect(() => sim.crash(1)).toThrow(/crash after the world has healed/);
      expect(() => sim.partition([0], [1])).toThrow(/partition after the world has healed/);
    });
    report.check();
  });

  test("lengths of lists of choices", () => {
    expect(() => choices({ maxLength: Number.NaN })).toThrow(RangeError);
    expect(() => choices({ maxLength: -1 })).toThrow(RangeError);
  });
});

test("options with a hostile kind are those of a hostile world", () => {
  for (const options of fc.sample(simOptions({ kinds: ["pause", "duplicate"] }), 5)) {
    expect(options.hostile).toBe(true);
  }
  for (const options of fc.sample(simOptions({ kinds: ["pause"] }), 5)) {
    expect(options.hostile).toBeUndefined();
  }
});
