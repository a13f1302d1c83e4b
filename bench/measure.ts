/**
 * Takes the samples of a case: systems in turn, round after round, each started and warmed up
 * afresh.
 *
 * A machine may change speed in the middle of a run, so figures of one round are compared with
 * each other (`ratioByRound`); absolute figures are only shown. The order rotates by round.
 */
import { CallsFailedError } from "./calls.ts";
import type { BenchCase, Lane, Sample, Size } from "./case.ts";
import { collectGarbage } from "./collect-garbage.ts";
import type { System } from "./system.ts";

export interface Summary {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  /** By round; shorter than the others' where a later round failed. */
  readonly samples: readonly number[];
}

export interface Row {
  readonly system: string;
  /** By figure key; empty where no round succeeded. */
  readonly figures: Readonly<Record<string, Summary>>;
  /** Answers not as expected, warm-up included; a call that failed counts as one. */
  readonly wrong: number;
  /** Why the row has fewer samples than rounds. */
  readonly error?: string;
}

export interface CaseResult {
  readonly name: string;
  readonly title: string;
  /** Measured calls of one sample; the warm-up comes on top. */
  readonly calls: number;
  readonly figures: BenchCase["figures"];
  readonly rows: readonly Row[];
}

export interface Effort {
  readonly size: Size;
  readonly rounds: number;
}

const sampleLimitMs = 90_000;

export async function measureCase(
  benchCase: BenchCase,
  systems: readonly System[],
  effort: Effort,
): Promise<CaseResult> {
  const lanes = systems.flatMap((system) => benchCase.lanes(system));
  const taken = new Map<Lane, Sample[]>(lanes.map((lane) => [lane, []]));
  const errors = new Map<Lane, unknown>();
  const calls = benchCase.calls[effort.size];
  for (let round = 0; round < effort.rounds; round += 1) {
    for (const lane of rotated(lanes, round)) {
      if (errors.has(lane)) continue;
      try {
        collectGarbage();
        taken.get(lane)?.push(await within(sampleLimitMs, lane.sample(calls)));
      } catch (error) {
        errors.set(lane, error);
      }
    }
  }
  const rows = lanes.map((lane) => {
    return toRow(benchCase, lane, taken.get(lane) ?? [], errors.get(lane));
  });
  const { name, title, figures } = benchCase;
  return { name, title, calls, figures, rows };
}

export function summarize(samples: readonly number[]): Summary {
  const sorted = [...samples].sort((a, b) => a - b);
  const low = sorted[(sorted.length - 1) >> 1] ?? Number.NaN;
  const high = sorted[sorted.length >> 1] ?? Number.NaN;
  return {
    median: (low + high) / 2,
    min: sorted[0] ?? Number.NaN,
    max: sorted[sorted.length - 1] ?? Number.NaN,
    samples,
  };
}

/** a ÷ b round by round, so that both sides of a ratio were measured moments apart. */
export function ratioByRound(a: Summary, b: Summary): Summary {
  const rounds = Math.min(a.samples.length, b.samples.length);
  const ratios: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    ratios.push((a.samples[round] ?? Number.NaN) / (b.samples[round] ?? Number.NaN));
  }
  return summarize(ratios);
}

function toRow(benchCase: BenchCase, lane: Lane, samples: readonly Sample[], error: unknown): Row {
  const figures: Record<string, Summary> = {};
  for (const { key } of samples.length > 0 ? benchCase.figures : []) {
    figures[key] = summarize(samples.map((sample) => sample.values[key] ?? Number.NaN));
  }
  const wrong = samples.reduce((sum, sample) => sum + sample.wrong, 0);
  if (error === undefined) return { system: lane.row, figures, wrong };
  return {
    system: lane.row,
    figures,
    wrong: wrong + (error instanceof CallsFailedError ? 1 : 0),
    error: error instanceof Error ? error.message : String(error),
  };
}

function rotated<T>(items: readonly T[], by: number): readonly T[] {
  const start = items.length === 0 ? 0 : by % items.length;
  return [...items.slice(start), ...items.slice(0, start)];
}

async function within<T>(limitMs: number, sample: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no sample within ${limitMs} ms`)), limitMs);
  });
  try {
    return await Promise.race([sample, limit]);
  } finally {
    clearTimeout(timer);
  }
}
