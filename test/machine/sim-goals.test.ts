/** What `bench/sim.ts` says of the simulator's promises, from figures that are given. */
import { expect, test } from "vitest";
import { renderGoals } from "../../bench/report.ts";
import { judgeSimGoals } from "../../bench/sim-goals.ts";
import { summarize } from "../../bench/measure.ts";

const world = (nodes: number, tasks: number, seeds: number, events: number) => ({
  nodes,
  tasks,
  seedsPerSecond: summarize([seeds]),
  eventsPerSecond: summarize([events]),
});

test("every world is judged by its events, the promised one by its seeds", () => {
  const lines = renderGoals(judgeSimGoals([world(3, 20, 50, 99_999), world(3, 2_000, 1, 100_000)]));
  const withoutRange = lines.trim().replaceAll(/ \(.*\), required/g, "");
  expect(withoutRange.split("\n")).toEqual([
    "Goals",
    "missed  engine events a second and core, 3 nodes, 20 tasks: 99999 >= 100000",
    "met     engine events a second and core, 3 nodes, 2000 tasks: 100000 >= 100000",
    "met     seeds a second and core, 3 nodes, 20 tasks: 50.0 >= 50",
  ]);
  expect(renderGoals(judgeSimGoals([world(3, 20, 49.9, 100_000)]))).toMatch(/missed {2}seeds/);
});

test("a figure that was not measured meets nothing", () => {
  const [goal] = judgeSimGoals([]);
  expect(goal).toMatchObject({ measured: null, met: false });
});
