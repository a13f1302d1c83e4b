/**
 * One seed run twice must be one run: the two are compared event by event, and where they part is
 * told with both sides.
 *
 * What makes them differ comes from outside of the world: a real clock, real randomness, real
 * garbage collection, real IO, state that the program keeps from one run to the next.
 */
import type { SimOptions, SimReport, Simulation } from "#sim/options.ts";
import { Report } from "./report.ts";
import { simulate } from "#sim/simulate.ts";
import { firstDivergence, formatLine, type TraceLine } from "./trace.ts";

const linesBefore = 6;

export interface Divergence {
  /** Number of the first event that differs, from 1; 0 when only what came out differs. */
  readonly eventId: number;
  /** Null when that run had ended. */
  readonly first: TraceLine | null;
  readonly second: TraceLine | null;
  /** The last events that both have, oldest first. */
  readonly before: readonly TraceLine[];
  /** All of it, for a person. */
  readonly text: string;
}

export interface DeterminismReport<R> {
  readonly first: SimReport<R>;
  readonly second: SimReport<R>;
  /** Null when both runs are the same, to the last event. */
  readonly divergence: Divergence | null;
}

/** Runs the program twice from the same options. */
export async function checkDeterminism<R>(
  options: SimOptions,
  program: (sim: Simulation) => Promise<R>,
): Promise<DeterminismReport<R>> {
  const first = await simulate(options, program);
  const second = await simulate(options, program);
  return { first, second, divergence: compareRuns(first, second) };
}

export function compareRuns<R>(first: SimReport<R>, second: SimReport<R>): Divergence | null {
  const traces = [Report.traceOf(first), Report.traceOf(second)] as const;
  const eventId = firstDivergence(...traces);
  if (eventId === 0) return compareOutcomes(first, second);
  const [one, two] = traces.map((trace) => trace.lineOf(eventId) ?? null);
  const before: TraceLine[] = [];
  for (let id = Math.max(1, eventId - linesBefore); id < eventId; id++) {
    const line = traces[0].lineOf(id) ?? traces[1].lineOf(id);
    if (line !== undefined) before.push(line);
  }
  const side = (line: TraceLine | null | undefined, index: 0 | 1): string => {
    if (line !== null && line !== undefined) return formatLine(line);
    const { count } = traces[index];
    return eventId > count ? `(ended after ${count} events)` : "(too long ago: not kept)";
  };
  const text = [
    `not deterministic: event ${eventId} differs between two runs of one seed`,
    ...before.map((line) => `    both ${formatLine(line)}`),
    `   first ${side(one, 0)}`,
    `  second ${side(two, 1)}`,
  ].join("\n");
  return { eventId, first: one ?? null, second: two ?? null, before, text };
}

/** The same events, and still another result: it was taken from outside and never sent anywhere. */
function compareOutcomes<R>(first: SimReport<R>, second: SimReport<R>): Divergence | null {
  const one = outcomeOf(first);
  const two = outcomeOf(second);
  if (one === two) return null;
  const text = [
    "not deterministic: all events are the same, what came out is not",
    `   first ${one}`,
    `  second ${two}`,
  ].join("\n");
  return { eventId: 0, first: null, second: null, before: [], text };
}

function outcomeOf({ result, error, violations }: SimReport<unknown>): string {
  const told = violations.map(({ oracle, entity, message }) => ({ oracle, entity, message }));
  return textOf({ result, error, violations: told });
}

/** Without stacks, which tell where a program stood, and not what came out. */
function textOf(value: unknown): string {
  const seen = new Set<unknown>();
  return JSON.stringify(value, (_, item: unknown) => {
    if (item instanceof Error) return `${item.name}: ${item.message}`;
    if (typeof item === "bigint") return `${item}n`;
    if (typeof item === "number" && !Number.isFinite(item)) return String(item);
    if (typeof item !== "object" || item === null) return item;
    // Shared or cyclic: named once.
    if (seen.has(item)) return "(as above)";
    seen.add(item);
    if (item instanceof Map || item instanceof Set) return [...item];
    if (item instanceof Uint8Array) return String(item);
    return item;
  });
}
