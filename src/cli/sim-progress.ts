/** How far a run set is: one line written again and again on a terminal, else one now and then. */
import type { RunSetReport } from "#sim/run-set/run-set.ts";
import type { RunSetTally } from "#sim/run-set/tally.ts";

const terminalEveryMs = 200;
const linesEveryMs = 5_000;
const clearLine = "\r\u001b[K";

interface Output {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

export class SimProgress {
  readonly #out: Output;
  readonly #everyMs: number;
  readonly #clock: () => number;
  #nextMs: number;
  #hasLine = false;

  constructor(out: Output, clock = () => performance.now()) {
    this.#out = out;
    this.#clock = clock;
    this.#everyMs = out.isTTY === true ? terminalEveryMs : linesEveryMs;
    this.#nextMs = clock() + this.#everyMs;
  }

  update(tally: () => RunSetTally): void {
    const nowMs = this.#clock();
    if (nowMs < this.#nextMs) return;
    this.#nextMs = nowMs + this.#everyMs;
    const line = progressLine(tally());
    if (this.#out.isTTY === true) {
      this.#out.write(clearLine + line.slice(0, (this.#out.columns ?? 80) - 1));
      this.#hasLine = true;
    } else this.#out.write(`${line}\n`);
  }

  /** Above the line. */
  print(text: string): void {
    this.end();
    this.#out.write(`${text}\n`);
  }

  end(): void {
    if (this.#hasLine) this.#out.write(clearLine);
    this.#hasLine = false;
  }
}

function progressLine(tally: RunSetTally): string {
  const { seeds, seedsPerSecond, eventsPerSecond, failed, faultsByKind, reached } = tally;
  return [
    `${seeds} seeds`,
    `${seedsPerSecond.toFixed(0)}/s`,
    `${short(eventsPerSecond)} events/s`,
    `failed ${failed}`,
    `faults ${counts(faultsByKind)}`,
    `reached ${counts(reached)}`,
  ].join(" · ");
}

/** The end of a run set, in a few lines. */
export function summaryOf(report: RunSetReport): string {
  const { seeds, runs, events, elapsedMs, failed, mismatches, notReached, endedEarly } = report;
  const twice = runs > seeds ? `, ${runs} runs, ${mismatches} mismatches` : "";
  const { seedsPerSecond, eventsPerSecond, seedsPerCpuSecond, eventsPerCpuSecond } = report;
  const lines = [
    `${seeds} seeds${twice}, ${failed} failed, ${(elapsedMs / 1_000).toFixed(1)} s`,
    `speed: ${seedsPerSecond.toFixed(1)} seeds/s, ${short(eventsPerSecond)} events/s on ` +
      `${report.workers} threads; a second of CPU: ${seedsPerCpuSecond.toFixed(1)} seeds, ` +
      `${short(eventsPerCpuSecond)} events`,
    `${short(events)} events, ${(report.virtualMs / 1_000).toFixed(0)} s of virtual time`,
    `faults: ${counts(report.faultsByKind)}`,
    `reached: ${counts(report.reached)}`,
  ];
  if (endedEarly) lines.push(`ended early: ${failed} seeds have failed, the others did not begin`);
  const before = endedEarly ? "before that " : "";
  if (notReached.length > 0) lines.push(`FAILED: ${before}never reached ${notReached.join(", ")}`);
  return lines.join("\n");
}

function counts(byName: Readonly<Record<string, number>>): string {
  const entries = Object.entries(byName);
  return entries.length === 0 ? "none" : entries.map(([name, n]) => `${name} ${n}`).join(", ");
}

function short(value: number): string {
  if (value >= 1e6) return `${(value / 1e6).toFixed(1)}M`;
  return value >= 1e4 ? `${(value / 1e3).toFixed(0)}k` : value.toFixed(0);
}
