/** What the project promises of these figures, most of it as ratios taken round by round. */
import type { BenchCase } from "./case.ts";
import { ratioByRound, type CaseResult, type Row, type Summary } from "./measure.ts";

export interface Goal {
  readonly name: string;
  /** As written in the promise: ">= 6" or "<= 0.8". */
  readonly required: string;
  /** The median over the rounds; null where a side of the ratio was not measured. */
  readonly measured: number | null;
  readonly min: number | null;
  readonly max: number | null;
  readonly met: boolean;
}

/** The systems others are compared with in the tables. */
export const piscinaDefault = "piscina";
const mobula = "mobula";
const comlink = "comlink";

/** The row of the peer's settings that does best in this figure. */
export function bestOf(result: CaseResult, peer: string, figure: string): string | undefined {
  const lowerIsBetter = unitOf(result.figures, figure) !== "calls/s";
  const candidates = result.rows.filter((row) => {
    return row.system.startsWith(peer) && row.figures[figure] !== undefined;
  });
  const median = (row: Row): number => row.figures[figure]?.median ?? Number.NaN;
  candidates.sort((a, b) => (lowerIsBetter ? median(a) - median(b) : median(b) - median(a)));
  return candidates[0]?.system;
}

export function judgeGoals(results: readonly CaseResult[]): readonly Goal[] {
  const figures = new Figures(results);
  const pipelined = (peer: string | undefined) => {
    return figures.ratio("noop-pipelined", "rate", peer);
  };
  return [
    atLeast(6, "pipelined no-op tasks, times piscina's default", pipelined(piscinaDefault)),
    atLeast(
      3,
      "pipelined no-op tasks, times piscina's best setting",
      pipelined(figures.best("noop-pipelined", piscinaDefault, "rate")),
    ),
    atMost(
      0.8,
      "one no-op task at a time, 1 thread, latency over piscina's",
      figures.ratio("noop-latency", "oneThread", piscinaDefault),
    ),
    atMost(
      0.8,
      "one no-op task at a time, 2 threads, latency over piscina's",
      figures.ratio("noop-latency", "twoThreads", piscinaDefault),
    ),
    atLeast(
      0.5,
      "1 MB by ref, rate over that of an empty task",
      figures.of("bytes-by-ref", mobula, "ofEmpty"),
    ),
    atLeast(
      1.8,
      "CPU-bound tasks, two threads over one",
      figures.of("cpu-scaling", mobula, "gain"),
    ),
    atLeast(
      3,
      "pipelined actor calls, times comlink",
      figures.ratio("actor-pipelined", "rate", comlink),
    ),
    atMost(
      100,
      "forced cancel of a busy loop, ms to the end of its ref",
      figures.of("force-cancel", mobula, "refMs"),
    ),
  ];
}

class Figures {
  readonly #results: readonly CaseResult[];

  constructor(results: readonly CaseResult[]) {
    this.#results = results;
  }

  of(caseName: string, system: string, figure: string): Summary | undefined {
    const result = this.#results.find((candidate) => candidate.name === caseName);
    return result?.rows.find((row) => row.system === system)?.figures[figure];
  }

  best(caseName: string, peer: string, figure: string): string | undefined {
    const result = this.#results.find((candidate) => candidate.name === caseName);
    return result === undefined ? undefined : bestOf(result, peer, figure);
  }

  /** mobula's figure over the peer's. */
  ratio(caseName: string, figure: string, peer: string | undefined): Summary | undefined {
    const own = this.of(caseName, mobula, figure);
    const other = peer === undefined ? undefined : this.of(caseName, peer, figure);
    return own === undefined || other === undefined ? undefined : ratioByRound(own, other);
  }
}

function unitOf(figures: BenchCase["figures"], key: string): string | undefined {
  return figures.find((figure) => figure.key === key)?.unit;
}

export function atLeast(bound: number, name: string, measured: Summary | undefined): Goal {
  const met = measured !== undefined && measured.median >= bound;
  return toGoal(name, `>= ${bound}`, measured, met);
}

export function atMost(bound: number, name: string, measured: Summary | undefined): Goal {
  const met = measured !== undefined && measured.median <= bound;
  return toGoal(name, `<= ${bound}`, measured, met);
}

function toGoal(name: string, required: string, measured: Summary | undefined, met: boolean): Goal {
  const { median, min, max } = measured ?? { median: null, min: null, max: null };
  return { name, required, measured: median, min, max, met };
}
