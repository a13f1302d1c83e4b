/** What the seeds of a run set add up to, so far. */
import type { SeedResult } from "./seed-run.ts";

export interface RunSetTally {
  /** Pairs of program and seed. */
  readonly seeds: number;
  /** Twice the seeds when each runs twice. */
  readonly runs: number;
  readonly events: number;
  readonly virtualMs: number;
  readonly failed: number;
  readonly mismatches: number;
  readonly faultsFired: number;
  readonly faultsByKind: Readonly<Record<string, number>>;
  /** In how many seeds each rare state was reached. */
  readonly reached: Readonly<Record<string, number>>;
  readonly elapsedMs: number;
  /** CPU time of this process with all its threads. */
  readonly cpuMs: number;
  readonly seedsPerSecond: number;
  readonly eventsPerSecond: number;
  readonly seedsPerCpuSecond: number;
  readonly eventsPerCpuSecond: number;
}

export class TallyCounter {
  readonly #startedMs = performance.now();
  readonly #startedCpu = process.cpuUsage();
  readonly #faultsByKind = new Map<string, number>();
  readonly #reached = new Map<string, number>();
  #sums = { seeds: 0, runs: 0, events: 0, virtualMs: 0, failed: 0, mismatches: 0, faultsFired: 0 };

  add(result: SeedResult): void {
    const sums = this.#sums;
    sums.seeds += 1;
    sums.runs += result.runs;
    sums.events += result.events;
    sums.virtualMs += result.virtualMs;
    sums.faultsFired += result.faultsFired;
    if (result.failures.length > 0) sums.failed += 1;
    if (result.isMismatch) sums.mismatches += 1;
    for (const [kind, count] of Object.entries(result.faultsByKind)) {
      addTo(this.#faultsByKind, kind, count);
    }
    for (const name of result.reached) addTo(this.#reached, name, 1);
  }

  tally(): RunSetTally {
    const elapsedMs = performance.now() - this.#startedMs;
    const { user, system } = process.cpuUsage(this.#startedCpu);
    const cpuMs = (user + system) / 1_000;
    const { seeds, events } = this.#sums;
    const rate = (count: number, ms: number): number => (ms === 0 ? 0 : (count / ms) * 1_000);
    return {
      ...this.#sums,
      faultsByKind: sorted(this.#faultsByKind),
      reached: sorted(this.#reached),
      elapsedMs,
      cpuMs,
      seedsPerSecond: rate(seeds, elapsedMs),
      eventsPerSecond: rate(events, elapsedMs),
      seedsPerCpuSecond: rate(seeds, cpuMs),
      eventsPerCpuSecond: rate(events, cpuMs),
    };
  }

  hasReached(name: string): boolean {
    return this.#reached.has(name);
  }
}

function addTo(counts: Map<string, number>, name: string, count: number): void {
  counts.set(name, (counts.get(name) ?? 0) + count);
}

/** Equal sets print equally. */
function sorted(counts: ReadonlyMap<string, number>): Record<string, number> {
  return Object.fromEntries([...counts].sort(([a], [b]) => (a < b ? -1 : 1)));
}
