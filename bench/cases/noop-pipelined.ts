import { performance } from "node:perf_hooks";
import { measureNoop, withPool, type BenchCase, type Lane } from "../case.ts";
import type { System, TaskPool } from "../system.ts";

/** Empty tasks, 1000 outstanding: how many calls a second a driver and two workers carry. */
export const noopPipelined: BenchCase = {
  name: "noop-pipelined",
  title: "no-op tasks, 1000 in flight, 2 threads",
  calls: { full: 60_000, quick: 10_000 },
  figures: [{ key: "rate", unit: "calls/s", heading: "rate", compared: true }],
  lanes(system) {
    if (system.startPool === undefined) return [];
    const pump: Lane = {
      row: system.name,
      async sample(calls) {
        const rate = await withPool(system, 2, (pool) => measureNoop(pool, calls, 1000));
        return { values: { rate: rate.perSecond }, wrong: rate.wrong };
      },
    };
    return system.name === "mobula" ? [pump, allAtOnce(system)] : [pump];
  },
};

/** Everything submitted, then one wait for all of it: for information, no goal reads it. */
function allAtOnce(system: System): Lane {
  return {
    row: `${system.name}, get(refs)`,
    sample: (calls) =>
      withPool(system, 2, async (pool) => {
        const warmUpWrong = await submitAll(pool, Math.ceil(calls / 2));
        const startMs = performance.now();
        const wrong = await submitAll(pool, calls);
        const rate = (calls / (performance.now() - startMs)) * 1000;
        return { values: { rate }, wrong: warmUpWrong + wrong };
      }),
  };
}

async function submitAll(pool: TaskPool, count: number): Promise<number> {
  const answers = (await pool.noopAll?.(count)) ?? [];
  const right = answers.filter((answer, index) => answer === index + 1).length;
  return count - right;
}
