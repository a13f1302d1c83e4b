/** What a bench case is, and the ways its samples are taken. One case a file in `cases/`. */
import { runCalls, type Calls } from "./calls.ts";
import type { CounterActor, System, TaskPool } from "./system.ts";

export interface Figure {
  readonly key: string;
  readonly unit: "calls/s" | "us/call" | "ms" | "x";
  readonly heading: string;
  /** Whether the table compares it with the peers' figure. */
  readonly compared?: boolean;
}

export interface Sample {
  /** By figure key. */
  readonly values: Readonly<Record<string, number>>;
  readonly wrong: number;
}

/** One row of a case: the round-robin takes one sample of each lane a round. */
export interface Lane {
  readonly row: string;
  sample(calls: number): Promise<Sample>;
}

export interface BenchCase {
  readonly name: string;
  readonly title: string;
  /** Measured calls of one sample, the same for every system. */
  readonly calls: Readonly<Record<Size, number>>;
  readonly figures: readonly Figure[];
  /** Empty where the system has nothing to measure. */
  lanes(system: System): readonly Lane[];
}

export type Size = "full" | "quick";

/** Starts a fresh pool, uses it, and stops it whatever happened. */
export async function withPool<T>(
  system: System,
  threads: number,
  use: (pool: TaskPool) => Promise<T>,
): Promise<T> {
  if (system.startPool === undefined) throw new Error(`${system.name} has no pool`);
  const pool = await system.startPool(threads);
  try {
    return await use(pool);
  } finally {
    await pool.stop();
  }
}

/** As `withPool`, for an actor. */
export async function withActor<T>(
  system: System,
  use: (actor: CounterActor) => Promise<T>,
): Promise<T> {
  if (system.startActor === undefined) throw new Error(`${system.name} has no actor`);
  const actor = await system.startActor();
  try {
    return await use(actor);
  } finally {
    await actor.stop();
  }
}

export interface Rate {
  readonly perSecond: number;
  readonly usPerCall: number;
  readonly wrong: number;
}

/** Fresh threads have nothing compiled: each system gets this long, whatever its rate. */
const warmUpMs = 1_200;

/**
 * Half as many calls to warm up, and more until `warmUpMs`; then the measured ones. All are
 * checked.
 */
export async function measureRate(calls: Calls): Promise<Rate> {
  const startMs = performance.now();
  let warmUpWrong = 0;
  do {
    const warmUp = await runCalls({ ...calls, count: Math.ceil(calls.count / 2) });
    warmUpWrong += warmUp.wrong;
  } while (performance.now() - startMs < warmUpMs);
  const { elapsedMs, wrong } = await runCalls(calls);
  return {
    perSecond: (calls.count / elapsedMs) * 1000,
    usPerCall: (elapsedMs / calls.count) * 1000,
    wrong: warmUpWrong + wrong,
  };
}

/** No-op calls on a pool: the answer proves which call it belongs to. */
export function measureNoop(pool: TaskPool, count: number, inFlight: number): Promise<Rate> {
  return measureRate({
    count,
    inFlight,
    call: (index) => pool.noop(index),
    expected: (index) => index + 1,
  });
}

/** Calls of one actor run in order: the n-th answers with the total of n calls. */
export async function measureActor(system: System, count: number, inFlight: number): Promise<Rate> {
  return withActor(system, (actor) => {
    let totalBefore = 0;
    let asked = 0;
    return measureRate({
      count,
      inFlight,
      call(index) {
        if (index === 0) totalBefore = asked; // the measured calls follow the warm-up's
        asked += 1;
        return actor.increment(1);
      },
      expected: (index) => totalBefore + index + 1,
    });
  });
}
