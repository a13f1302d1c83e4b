/**
 * What led to what happened to a task, an object, an actor or a process: the steps that concerned
 * it, what caused each of them, and the faults that hit the machines on which all that took place.
 */
import type { Trace, TraceLine } from "./trace.ts";

const linesMax = 20;
/** Of one step: what is further back is as a rule everybody's history. */
const depthMax = 12;

/** In hexadecimal digits: longer ids are of what lives in a process. */
const processIdLength = 40;

/** The steps of each entity: its first ones, and its last; of a process, the last. */
export class EntitySteps {
  static readonly #firstKept = 4;
  static readonly #kept = 24;
  readonly #steps = new Map<string, number[]>();
  /** Nearly every step is about one of them. */
  readonly #ofProcesses = new Map<string, number>();

  note(entity: string, stepId: number): void {
    if (entity.length <= processIdLength) {
      this.#ofProcesses.set(entity, stepId);
      return;
    }
    const steps = this.#steps.get(entity);
    if (steps === undefined) {
      this.#steps.set(entity, [stepId]);
      return;
    }
    if (steps[steps.length - 1] === stepId) return;
    steps.push(stepId);
    // Seldom, and many at once.
    if (steps.length >= 2 * EntitySteps.#kept) {
      steps.splice(EntitySteps.#firstKept, EntitySteps.#kept);
    }
  }

  of(entity: string): readonly number[] {
    const ofProcess = this.#ofProcesses.get(entity);
    return ofProcess === undefined ? (this.#steps.get(entity) ?? []) : [ofProcess];
  }
}

/** Oldest first; none when nothing in the trace has to do with it. */
export function storyOf(entity: string, steps: readonly number[], trace: Trace): TraceLine[] {
  const named = trace.lastAbout(entity)?.id;
  const own = steps.length > 0 || named === undefined ? steps : [named];
  const ranks = new Map<number, number>();
  const rank = (id: number, value: number): void => {
    if ((ranks.get(id) ?? Infinity) > value) ranks.set(id, value);
  };
  for (const step of own) {
    for (const [depth, { id }] of causesOf(step, trace).entries())
      rank(id, depth === 0 ? 0 : depth + 1);
  }
  const places = new Set<number>();
  for (const id of ranks.keys()) {
    const line = trace.lineOf(id);
    if (line !== undefined) for (const node of nodesIn(line)) places.add(node);
  }
  const last = own.at(-1) ?? 0;
  for (const line of trace.lines()) {
    if (line.id > last) break;
    if (line.kind === "fault" && hits(line, places)) rank(line.id, 1);
  }
  return [...ranks]
    .sort(([a, rankA], [b, rankB]) => rankA - rankB || b - a)
    .slice(0, linesMax)
    .map(([id]) => trace.lineOf(id))
    .filter((line) => line !== undefined)
    .sort((a, b) => a.id - b.id);
}

/** The step itself, and back from there. A timer that only follows its own last is no cause. */
function causesOf(step: number, trace: Trace): TraceLine[] {
  const causes: TraceLine[] = [];
  for (let id = step; id > 0 && causes.length < depthMax;) {
    const line = trace.lineOf(id);
    if (line === undefined) break;
    causes.push(line);
    if (line.kind === "wake" && trace.lineOf(line.causeId)?.kind === "wake") break;
    id = line.causeId;
  }
  return causes;
}

/** The machines that the line names: those of its processes. */
function nodesIn({ where, what }: TraceLine): number[] {
  const text = `${where} ${what}`;
  const others = [...text.matchAll(/\braylet(\d+)/g)].map(([, node]) => Number(node));
  return /\b(?:head|driver)\b|(?<![.\d])\bworker\d/.test(text) ? [0, ...others] : others;
}

/** A fault that names no machine may have hit any. One that only waits for its moment has not. */
function hits({ what }: TraceLine, places: ReadonlySet<number>): boolean {
  if (what.startsWith("fault awaits")) return false;
  const named = [...what.matchAll(/"(?:node|from|to)":(\d+|\[[\d,]*\])/g)];
  const nodes = named.flatMap(([, list]) => (list?.match(/\d+/g) ?? []).map(Number));
  return nodes.length === 0 || nodes.some((node) => places.has(node));
}
