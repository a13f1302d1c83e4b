/**
 * What led to what happened to a task, an object, an actor or a process: the steps that concerned
 * it, what caused each of them, and the faults that hit the machines on which all that took place.
 */
import { type ActorId, makerOf, objectKey, type WorkerId } from "#engine/common/ids.ts";
import type { Trace, TraceLine } from "./trace.ts";

const linesMax = 20;
/** Of one step: what is further back is as a rule everybody's history. */
const depthMax = 12;

/** Hexadecimal digits of ids: of a task or an actor, of an object. */
const taskIdLength = 52;
const objectIdLength = 56;
/** Of one entity: its first steps, and its last. */
const firstKept = 4;
const lastKept = 24;
/** Of all entities the newest, at most twice as many. */
const notesKept = 100_000;

/** The steps of each entity: of a task, an actor or an object several, of all others the last. */
export class EntitySteps {
  readonly #ofTasks = new Notes();
  readonly #ofObjects = new Notes();
  /** Nearly every step is about a process. */
  readonly #ofOthers = new Map<string, number>();

  note(entity: string, stepId: number): void {
    const named = nameIn(entity);
    if (named === null) this.#ofOthers.set(entity, stepId);
    else if (named.index === null) this.noteTask(named.owner, named.serial, stepId);
    else this.noteObject(named.owner, objectKey(named.serial, named.index), stepId);
  }

  /** Or an actor. */
  noteTask(owner: WorkerId, serial: number, stepId: number): void {
    this.#ofTasks.add(owner, serial, stepId);
  }

  noteObject(owner: WorkerId, key: number, stepId: number): void {
    this.#ofObjects.add(owner, key, stepId);
  }

  of(entity: string): readonly number[] {
    const named = nameIn(entity);
    if (named === null) {
      const last = this.#ofOthers.get(entity);
      return last === undefined ? [] : [last];
    }
    const { owner, serial, index } = named;
    if (index === null) return this.#ofTasks.stepsOf(owner, serial);
    return this.#ofObjects.stepsOf(owner, objectKey(serial, index));
  }
}

/**
 * What was noted, in order: a column each for whose it is, its number there, and the step. Written
 * at nearly every step, looked through when something has gone wrong.
 */
class Notes {
  #owners: WorkerId[] = [];
  #numbers: number[] = [];
  #steps: number[] = [];

  add(owner: WorkerId, number: number, stepId: number): void {
    this.#owners.push(owner);
    this.#numbers.push(number);
    this.#steps.push(stepId);
    if (this.#steps.length < 2 * notesKept) return;
    this.#owners = this.#owners.slice(notesKept);
    this.#numbers = this.#numbers.slice(notesKept);
    this.#steps = this.#steps.slice(notesKept);
  }

  /** Oldest first, each once. O(n). */
  stepsOf(owner: WorkerId, number: number): number[] {
    const steps = new Set<number>();
    for (let i = 0; i < this.#steps.length; i++) {
      const isIt = this.#numbers[i] === number && this.#owners[i] === owner;
      if (isIt) steps.add(this.#steps[i] as number);
    }
    const all = [...steps];
    if (all.length > firstKept + lastKept) all.splice(firstKept, all.length - firstKept - lastKept);
    return all;
  }
}

/** Null for what is neither a task or actor nor an object. */
function nameIn(
  entity: string,
): { readonly owner: WorkerId; readonly serial: number; readonly index: number | null } | null {
  if (entity.length !== taskIdLength && entity.length !== objectIdLength) return null;
  const { maker: owner, serial } = makerOf(entity.slice(0, taskIdLength) as ActorId);
  const index = entity.length === taskIdLength ? null : Number.parseInt(entity.slice(-4), 16);
  return { owner, serial, index };
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
    if (line.kind === "fault" && hits(line, places, trace)) rank(line.id, 1);
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
function hits(line: TraceLine, places: ReadonlySet<number>, trace: Trace): boolean {
  const { what, causeId } = line;
  // It hits what its beginning has hit, which names the machines.
  const begin = what.startsWith("end of ") ? trace.lineOf(causeId) : undefined;
  if (begin !== undefined) return begin.kind === "fault" && hits(begin, places, trace);
  if (what.startsWith("fault awaits")) return false;
  const named = [...what.matchAll(/"(?:node|from|to)":(\d+|\[[\d,]*\])/g)];
  const nodes = named.flatMap(([, list]) => (list?.match(/\d+/g) ?? []).map(Number));
  return nodes.length === 0 || nodes.some((node) => places.has(node));
}
