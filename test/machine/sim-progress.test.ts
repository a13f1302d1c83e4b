/** The progress of a run set: one line that is rewritten on a terminal, plain lines elsewhere. */
import { expect, test } from "vitest";
import { SimProgress } from "../../src/cli/sim-progress.ts";
import { TallyCounter } from "#sim/run-set/tally.ts";
import type { SeedResult } from "#sim/run-set/seed-run.ts";

const result: SeedResult = {
  program: "p",
  seed: 1,
  runs: 1,
  events: 100,
  virtualMs: 10,
  faultsFired: 2,
  faultsByKind: { pause: 1, collect: 1 },
  reached: ["crashedWhileRunning"],
  failures: [],
  isMismatch: false,
  replay: "",
  faults: [],
  reproFile: null,
  notSaved: null,
  explanation: "",
};

function progressOf(isTTY: boolean) {
  const written: string[] = [];
  const clock = { nowMs: 0 };
  const out = { isTTY, columns: 40, write: (text: string) => void written.push(text) };
  const counter = new TallyCounter();
  for (const seed of [1, 2, 3]) counter.add({ ...result, seed });
  const progress = new SimProgress(out, () => clock.nowMs);
  const updateAt = (nowMs: number): void => {
    clock.nowMs = nowMs;
    progress.update(() => counter.tally());
  };
  return { written, progress, updateAt };
}

test("a terminal: the line is cut to its width, and makes room for what is printed", () => {
  const { written, progress, updateAt } = progressOf(true);
  for (const nowMs of [100, 250, 300, 460]) updateAt(nowMs);
  expect(written).toHaveLength(2);
  expect(written[0]).toMatch(/^\r\u001b\[K3 seeds · \d+\/s · .{1,30}$/);
  expect(written[0]?.length).toBeLessThanOrEqual("\r\u001b[K".length + 39);
  progress.print("FAILED");
  expect(written.slice(2)).toEqual(["\r\u001b[K", "FAILED\n"]);
  progress.end();
  expect(written).toHaveLength(4);
});

test("elsewhere: a whole line every five seconds", () => {
  const { written, updateAt } = progressOf(false);
  for (let nowMs = 0; nowMs <= 11_000; nowMs += 500) updateAt(nowMs);
  expect(written).toHaveLength(2);
  expect(written[0]).toMatch(/^3 seeds · .* events\/s · failed 0 · faults collect 3, pause 3 · /);
  expect(written[0]).toMatch(/ · reached crashedWhileRunning 3\n$/);
});

test("sums", () => {
  const counter = new TallyCounter();
  const failures = [{ oracle: "1 tasks", entity: "t", message: "m" }];
  counter.add(result);
  counter.add({ ...result, runs: 2, failures, isMismatch: true, reached: [] });
  expect(counter.tally()).toMatchObject({
    seeds: 2,
    runs: 3,
    events: 200,
    virtualMs: 20,
    failed: 1,
    mismatches: 1,
    faultsFired: 4,
    faultsByKind: { collect: 2, pause: 2 },
    reached: { crashedWhileRunning: 1 },
  });
  expect(counter.hasReached("crashedWhileRunning")).toBe(true);
  expect(counter.hasReached("other")).toBe(false);
});
