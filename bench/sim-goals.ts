/** What the project promises of the simulator's speed, on one core, in worlds with user code. */
import { atLeast, type Goal } from "./goals.ts";
import type { Summary } from "./measure.ts";

export interface WorldSpeed {
  readonly nodes: number;
  readonly tasks: number;
  readonly seedsPerSecond: Summary;
  readonly eventsPerSecond: Summary;
}

const eventsPerSecondMin = 100_000;
const seedsPerSecondMin = 50;
/** The world whose seeds are promised by the second. */
const promised = { nodes: 3, tasks: 20 };

/** The events of every world, the seeds of the one they are promised of. */
export function judgeSimGoals(worlds: readonly WorldSpeed[]): readonly Goal[] {
  const small = worlds.find(
    ({ nodes, tasks }) => nodes === promised.nodes && tasks === promised.tasks,
  );
  return [
    ...worlds.map(({ nodes, tasks, eventsPerSecond }) => {
      const name = `engine events a second and core, ${nodes} nodes, ${tasks} tasks`;
      return atLeast(eventsPerSecondMin, name, eventsPerSecond);
    }),
    atLeast(
      seedsPerSecondMin,
      `seeds a second and core, ${promised.nodes} nodes, ${promised.tasks} tasks`,
      small?.seedsPerSecond,
    ),
  ];
}
