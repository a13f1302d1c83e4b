/** Two runs of a seed, compared event by event: what comes from outside is found where it acts. */
import { describe, expect, test } from "vitest";
import { checkDeterminism, type Divergence } from "#sim/report/determinism.ts";
import type { Simulation } from "#sim/options.ts";
import { firstDivergence, Trace } from "#sim/report/trace.ts";
import * as programs from "../fixtures/simulation/not-deterministic.ts";

const check = async <R>(program: (sim: Simulation) => Promise<R>): Promise<Divergence | null> => {
  const { divergence } = await checkDeterminism({ seed: 11 }, program);
  return divergence;
};

describe("a planted", () => {
  test.each([
    ["Math.random()", programs.usesRealRandom],
    ["Date.now()", programs.usesRealClock],
    ["order of garbage collection", programs.usesCollectedOrder],
  ])("%s is located to the event that carries it", async (_, program) => {
    const divergence = await check<unknown>(program);
    expect(divergence).not.toBeNull();
    const { eventId, first, second, before, text } = divergence as Divergence;
    // The same frame, at the same time, on the same way: only its bytes are others.
    expect(first?.what).toMatch(/^pushTask \d+\.\d+ #/);
    expect(first?.id).toBe(eventId);
    expect(second?.what.replace(/#\w+/, "")).toBe(first?.what.replace(/#\w+/, ""));
    expect(second?.what).not.toBe(first?.what);
    expect(before.map(({ id }) => id)).toEqual([6, 5, 4, 3, 2, 1].map((n) => eventId - n));
    expect(text.split("\n")).toHaveLength(1 + 6 + 2);
    expect(text).toContain(`event ${eventId} differs`);
  });

  test("Math.random() that is sent nowhere shows in the result", async () => {
    const divergence = await check(programs.returnsRealRandom);
    expect(divergence?.eventId).toBe(0);
    expect(divergence?.text).toMatch(/what came out is not\n +first .*"result":0\./);
  });
});

test("what the world gives instead is the same twice", async () => {
  const { first, divergence } = await checkDeterminism(
    { seed: 3, chaos: true },
    programs.isDeterministic,
  );
  expect(divergence).toBeNull();
  expect(first.error).toBeUndefined();
});

describe("the first difference", () => {
  const traceOf = (whats: readonly string[]): Trace => {
    const trace = new Trace();
    for (const [i, what] of whats.entries()) {
      trace.add({
        atMs: i / 3,
        kind: "turn",
        where: "driver",
        what,
        from: "",
        causeId: i,
        isUpkeep: false,
      });
    }
    return trace;
  };
  const many = Array.from({ length: 3_000 }, (_, i) => `step ${i}`);

  test.each([1, 2, 1_024, 1_025, 2_999, 3_000])("at event %i is found", (id) => {
    const other = many.with(id - 1, "another");
    expect(firstDivergence(traceOf(many), traceOf(other))).toBe(id);
    expect(traceOf(many).hash).not.toBe(traceOf(other).hash);
  });

  test("is the end of the shorter run", () => {
    expect(firstDivergence(traceOf(many), traceOf(many.slice(0, 10)))).toBe(11);
    expect(firstDivergence(traceOf([]), traceOf(many))).toBe(1);
    expect(firstDivergence(traceOf(many), traceOf(many))).toBe(0);
    expect(firstDivergence(traceOf([]), traceOf([]))).toBe(0);
  });

  test("is one of time, kind or place as well", () => {
    const one = new Trace();
    one.add({ atMs: 1, kind: "ab", where: "c", what: "", from: "", causeId: 0, isUpkeep: false });
    for (const other of [
      { atMs: 1.000_000_1, kind: "ab", where: "c" },
      { atMs: 1, kind: "a", where: "bc" },
      { atMs: 1, kind: "ab", where: "d" },
    ]) {
      const two = new Trace();
      two.add({ ...other, what: "", from: "", causeId: 0, isUpkeep: false });
      expect(two.hash).not.toBe(one.hash);
      expect(firstDivergence(one, two)).toBe(1);
    }
  });

  test("old lines are let go, the newest stay", () => {
    const trace = new Trace();
    for (let i = 0; i < 200_010; i++) {
      trace.add({
        atMs: i,
        kind: "turn",
        where: "driver",
        what: "",
        from: "",
        causeId: 0,
        isUpkeep: false,
      });
    }
    expect(trace.lineOf(200_010)?.atMs).toBe(200_009);
    expect(trace.lineOf(100_011)?.id).toBe(100_011);
    expect(trace.lineOf(1)).toBeUndefined();
    expect(trace.lineOf(200_011)).toBeUndefined();
  });
});
