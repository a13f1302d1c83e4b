/** CPU-bound tasks, the same work on one thread and then on two: what the second thread gains. */
import { runCalls } from "../calls.ts";
import { withPool, type BenchCase, type Size } from "../case.ts";
import type { System } from "../system.ts";
import { fib } from "../workers/tasks.mjs";

interface Work {
  readonly tasks: number;
  readonly n: number;
}
interface Elapsed {
  readonly elapsedMs: number;
  readonly wrong: number;
}

async function timeWork(system: System, threads: number, work: Work): Promise<Elapsed> {
  return withPool(system, threads, async (pool) => {
    const warmUp = await runFibs(pool.fib, { tasks: 4 * threads, n: 20 });
    const measured = await runFibs(pool.fib, work);
    return { elapsedMs: measured.elapsedMs, wrong: warmUp.wrong + measured.wrong };
  });
}

function runFibs(call: (n: number) => Promise<number>, { tasks, n }: Work): Promise<Elapsed> {
  const answer = fibOnce(n);
  return runCalls({
    count: tasks,
    inFlight: tasks,
    call: () => call(n),
    expected: () => answer,
  });
}

const fibs = new Map<number, number>();

/** Computed before the clock starts, once. */
function fibOnce(n: number): number {
  const known = fibs.get(n) ?? fib(n);
  fibs.set(n, known);
  return known;
}

interface Scaling {
  readonly name: string;
  readonly title: string;
  readonly calls: Readonly<Record<Size, number>>;
  readonly n: number;
}

function scalingCase({ name, title, calls, n }: Scaling): BenchCase {
  return {
    name,
    title,
    calls,
    figures: [
      { key: "oneThread", unit: "ms", heading: "1 thread" },
      { key: "twoThreads", unit: "ms", heading: "2 threads", compared: true },
      { key: "gain", unit: "x", heading: "gain" },
    ],
    lanes(system) {
      if (system.startPool === undefined) return [];
      return [
        {
          row: system.name,
          async sample(tasks) {
            const one = await timeWork(system, 1, { tasks, n });
            const two = await timeWork(system, 2, { tasks, n });
            return {
              values: {
                oneThread: one.elapsedMs,
                twoThreads: two.elapsedMs,
                gain: one.elapsedMs / two.elapsedMs,
              },
              wrong: one.wrong + two.wrong,
            };
          },
        },
      ];
    },
  };
}

export const cpuScalingLong = scalingCase({
  name: "cpu-scaling",
  title: "CPU-bound tasks, fib(35), about 100 ms each, all in flight",
  calls: { full: 8, quick: 4 },
  n: 35,
});
export const cpuScalingShort = scalingCase({
  name: "cpu-scaling-short",
  title: "CPU-bound tasks, fib(30), about 10 ms each, all in flight",
  calls: { full: 16, quick: 16 },
  n: 30,
});
