/**
 * The sequential reference interpreter (oracle 18): what a program comes to, computed in the order
 * of its text, without time, nodes or faults.
 */
import {
  type Body,
  notKept,
  pingNumber,
  type Outcome,
  type Program,
  type Step,
  tooEarly,
} from "./description.ts";
import { numberOfBody, numberOfCall, pick, pickSome } from "./numbers.ts";

/**
 * An execution, and those whose values it needs: a cancel of any of them, wherever in the text, may
 * come in time.
 */
interface Origin {
  isCancelled: boolean;
  readonly needs: Origin[];
}

/** A value or failure that a ref names; without an origin, one that was put. */
type Cell = (
  | { readonly n: number; readonly refs: readonly Cell[]; readonly bytes: number }
  | { readonly errors: readonly string[] }
) & { readonly origin?: Origin };
type ValueCell = Extract<Cell, { n: number }>;
type Slot = { readonly type: "ref" | "value"; readonly cell: Cell };

class Failed {
  readonly errors: readonly string[];

  constructor(errors: readonly string[]) {
    this.errors = errors;
  }
}

export function interpret(program: Program): Outcome[] {
  const { actorCount } = program;
  const origin = originOf([]);
  const body: BodyState = { slots: [], actorCount, calls: [], isDriver: true, origin };
  for (const step of program.body.steps) {
    try {
      runStep(step, body);
    } catch (error) {
      // What the driver cannot get it goes without.
      if (!(error instanceof Failed)) throw error;
    }
  }
  return body.slots.map(({ cell }) => outcomeOf(cell));
}

function outcomeOf(cell: Cell): Outcome {
  const may = mayBeCancelled(cell.origin, new Set()) ? { mayBeCancelled: true as const } : {};
  if ("errors" in cell) return { errors: cell.errors, ...may };
  return { n: cell.n, refs: cell.refs.map(outcomeOf), bytes: cell.bytes, ...may };
}

function mayBeCancelled(origin: Origin | undefined, seen: Set<Origin>): boolean {
  if (origin === undefined || seen.has(origin)) return false;
  seen.add(origin);
  return origin.isCancelled || origin.needs.some((needed) => mayBeCancelled(needed, seen));
}

function originOf(cells: readonly Cell[]): Origin {
  const needs = cells.flatMap(({ origin }) => (origin === undefined ? [] : [origin]));
  return { isCancelled: false, needs };
}

interface Call {
  readonly actor: number;
  /** Null: it did not run, since an argument had failed with these. */
  readonly kept: readonly Cell[] | null;
  readonly hasFriend: boolean;
  readonly failed: readonly string[];
  readonly origin: Origin;
}

interface BodyState {
  readonly slots: Slot[];
  readonly actorCount: number;
  /** Of this body, in order. */
  readonly calls: Call[];
  readonly isDriver: boolean;
  readonly origin: Origin;
}

function runStep(step: Step, body: BodyState): void {
  const { slots, actorCount, calls } = body;
  const refs = slots.filter(({ type }) => type === "ref");
  const cells = (places: readonly number[]): Cell[] =>
    pickSome(refs, places).map(({ cell }) => cell);
  const add = (cell: Cell): void => void slots.push({ type: "ref", cell });
  switch (step.op) {
    case "put":
      add({ n: step.n, refs: cells(step.nested), bytes: step.bytes });
      return;
    case "task": {
      const { result } = step.body;
      const isGood = result.type === "throw" || result.firstGood <= retriesOf(step);
      const ran = runTask(step.body, cells(step.direct), cells(step.nested), actorCount);
      const { origin } = ran;
      const early = { errors: [tooEarly], ...of(origin) };
      const outcome = isGood || "errors" in ran ? ran : early;
      add(outcome);
      if (step.returns === 1) return;
      add("errors" in outcome ? outcome : { n: outcome.n + 1, refs: [], bytes: 0, ...of(origin) });
      return;
    }
    case "burst": {
      const direct = cells(step.direct);
      const awaited = cells(step.awaited);
      for (let i = 0; i < step.count; i++) {
        add(runShortTask(step.n + i, direct, i === step.count - 1 ? awaited : []));
      }
      return;
    }
    case "call": {
      if (actorCount === 0) return;
      const direct = cells(step.direct);
      const nested = cells(step.nested);
      const failed = errorsOf(direct);
      const kept = step.keep ? nested : [];
      const origin = originOf(direct);
      const hasFriend = step.keep && (step.friend ?? null) !== null;
      calls.push({
        actor: step.actor % actorCount,
        kept: failed === null ? kept : null,
        failed: failed?.errors ?? [],
        hasFriend,
        origin,
      });
      const ns = (direct as ValueCell[]).map(({ n }) => n);
      const outcome = failed ?? { n: numberOfCall(ns, nested.length), refs: [], bytes: 0 };
      add({ ...outcome, origin });
      return;
    }
    case "recall": {
      const ofActor = calls.filter(({ actor }) => actor === step.actor % actorCount);
      const call = pick(ofActor, step.call);
      if (call === undefined) return;
      const { kept, hasFriend } = call;
      const origin = { isCancelled: false, needs: [call.origin] };
      if (kept === null) {
        // A fault that costs an attempt may make the argument good, and the call run.
        const errors = call.failed.includes(tooEarly) ? [notKept, tooEarly] : [notKept];
        add({ errors, origin });
        return;
      }
      const pinged = hasFriend ? [{ n: pingNumber, refs: [], bytes: 0, origin }] : [];
      const own = { n: kept.length, refs: [], bytes: 0 };
      add({ n: kept.length, refs: [...kept, own, ...pinged], bytes: 0, origin });
      return;
    }
    case "join":
      if (actorCount > 0) add({ n: pingNumber, refs: [], bytes: 0, origin: originOf([]) });
      return;
    case "get":
      return runGet(cells(step.of), step.timeoutMs, body);
    case "drop": {
      const slot = pick(refs, step.of);
      if (slot !== undefined) slots.splice(slots.indexOf(slot), 1);
      return;
    }
    case "cancel": {
      const origin = pick(refs, step.of)?.cell.origin;
      if (origin !== undefined) origin.isCancelled = true;
      return;
    }
    case "wait":
    case "sleep":
  }
}

function runShortTask(n: number, direct: readonly Cell[], awaited: readonly Cell[]): Cell {
  const origin = originOf([...direct, ...awaited]);
  const failed = errorsOf(direct) ?? errorsOf(awaited);
  if (failed !== null) return { ...failed, origin };
  const numbers = (cells: readonly Cell[]): number[] =>
    (cells as readonly ValueCell[]).map((cell) => cell.n);
  return {
    n: numberOfBody(numberOfBody(n, numbers(direct)), numbers(awaited)),
    refs: [],
    bytes: 0,
    origin,
  };
}

/** How often it may run again for what its body throws. */
function retriesOf({ maxRetries, retryExceptions }: Extract<Step, { op: "task" }>): number {
  return retryExceptions === false || retryExceptions === "other" ? 0 : maxRetries;
}

function runGet(of: readonly Cell[], timeoutMs: number | null, body: BodyState): void {
  if (timeoutMs !== null) return;
  body.origin.needs.push(...originOf(of).needs);
  const failed = errorsOf(of);
  if (failed !== null) throw new Failed(failed.errors);
  if (body.isDriver) return;
  for (const cell of of as readonly ValueCell[]) addValue(cell, body.slots);
}

function addValue(cell: ValueCell, slots: Slot[]): void {
  slots.push({ type: "value", cell });
  for (const inner of cell.refs) slots.push({ type: "ref", cell: inner });
}

function runTask(body: Body, direct: Cell[], nested: Cell[], actorCount: number): Cell {
  const origin = originOf(direct);
  const failed = errorsOf(direct);
  if (failed !== null) return { ...failed, origin };
  const slots: Slot[] = nested.map((cell) => ({ type: "ref", cell }));
  for (const cell of direct as ValueCell[]) addValue(cell, slots);
  const state: BodyState = { slots, actorCount, calls: [], isDriver: false, origin };
  try {
    for (const step of body.steps) runStep(step, state);
  } catch (error) {
    if (error instanceof Failed) return { errors: error.errors, origin };
    throw error;
  }
  const { result } = body;
  if (result.type === "throw") return { errors: [result.text], origin };
  const refSlots = slots.filter(({ type }) => type === "ref");
  const values = slots.filter(({ type }) => type === "value").map(({ cell }) => cell as ValueCell);
  const ns = values.map(({ n }) => n);
  return {
    n: numberOfBody(result.n, ns),
    refs: pickSome(refSlots, result.returns).map(({ cell }) => cell),
    bytes: result.bytes,
    origin,
  };
}

function of(origin: Origin | undefined): { readonly origin?: Origin } {
  return origin === undefined ? {} : { origin };
}

function errorsOf(cells: readonly Cell[]): { errors: readonly string[] } | null {
  const errors = cells.flatMap((cell) => ("errors" in cell ? cell.errors : []));
  return errors.length === 0 ? null : { errors: [...new Set(errors)] };
}
