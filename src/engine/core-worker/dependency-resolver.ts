/**
 * Waits until every top-level argument of a task has a value.
 *
 * State:  the count of missing arguments, in the task.
 * In/out: submitted tasks, settled objects → tasks that may go; SubscribeObject for borrowed
 *         arguments.
 * Bounds: none of its own: a waiting task is one record.
 * Errors: the first failed argument becomes the outcome of the task, which then does not run.
 * Source: Ray dependency_resolver; protocols §4 WAITING_DEPS.
 */
import type { Outcome, Special } from "#engine/protocol/outcome.ts";
import type { WorkerId } from "#engine/common/ids.ts";
import { FailedValue, StoredValue } from "#engine/protocol/outcome.ts";
import type { HoldMaker } from "./hold-maker.ts";
import type { HoldWait } from "./hold-wait.ts";
import { addWaiter } from "./memory-store.ts";
import type { ObjectEntry, TaskRecord } from "./object-entry.ts";
import type { Out } from "./process-context.ts";
import type { ReferenceCounter } from "./reference-counter.ts";
import { nameArguments } from "./stored-arguments.ts";
import type { ToldValues } from "./told-values.ts";

export class DependencyResolver {
  readonly #references: ReferenceCounter;
  readonly #holds: HoldMaker;
  readonly #told: ToldValues;
  /** Its arguments are about to be told. */
  beforePush: (task: TaskRecord) => void = () => {};

  constructor(references: ReferenceCounter, holds: HoldMaker, told: ToldValues) {
    this.#references = references;
    this.#holds = holds;
    this.#told = told;
  }

  /** Counts the uses of the task's refs, and asks for the missing ones. True if none is missing. */
  resolve(task: TaskRecord, out: Out): boolean {
    const { refs } = task;
    if (refs === null) return true;
    let hasFailed = false;
    for (let i = 0; i < refs.length; i++) {
      const entry = refs[i];
      if (entry === null || entry === undefined) continue;
      entry.uses += 1;
      if (!isTopLevel(task.args.specials[i])) continue;
      if (entry.state === "FAILED") hasFailed = true;
      if (entry.state !== "PENDING") continue;
      task.unresolvedCount += 1;
      addWaiter(entry, task);
      this.#references.subscribe(entry, out);
    }
    // It will not run: no use in waiting for the others.
    if (hasFailed) task.unresolvedCount = 0;
    return task.unresolvedCount === 0;
  }

  /** It is to run again: as `resolve`, for refs that have been counted. */
  recheck(task: TaskRecord, out: Out): boolean {
    task.unresolvedCount = 0;
    for (const [i, entry] of (task.refs ?? []).entries()) {
      if (entry === null || entry.state !== "PENDING") continue;
      if (!isTopLevel(task.args.specials[i])) continue;
      task.unresolvedCount += 1;
      addWaiter(entry, task);
      this.#references.subscribe(entry, out);
    }
    if (failedArgument(task) !== undefined) task.unresolvedCount = 0;
    return task.unresolvedCount === 0;
  }

  /**
   * What pushTask carries beside the encoded arguments, which are as they are told only after this:
   * by position, the value of each top-level ref, and of some of those inside of arguments
   * (ToldValues). What the executor may name in turn is listed; the task's own uses keep it until
   * the reply, which says what the executor goes on using. `executor`: null while nobody knows.
   */
  exportArguments(task: TaskRecord, executor: WorkerId | null): Outcome[] | null {
    const { refs } = task;
    const isStored = task.args instanceof StoredValue;
    // With one of them there is nothing to hold while it stands in line.
    const count = (refs?.length ?? 0) + (isStored ? 1 : 0);
    if (executor !== null && count > 1) this.beforePush(task);
    if (isStored) {
      const isNear = executor !== null && this.#references.isOfThisNode(executor);
      if (!isNear) nameArguments(task, this.#references);
    }
    if (refs === null) return null;
    const values = refs.map((entry, i) => {
      if (entry === null) return undefined;
      const topLevel = isTopLevel(task.args.specials[i]);
      const { outcome } = entry;
      // As a value a ref is named only by who looks at its stored bytes.
      if (topLevel && outcome instanceof StoredValue) this.#references.name(entry);
      return topLevel ? outcome : undefined;
    });
    this.#told.tell(task, values, executor);
    return values;
  }

  /** Holds for an executor that may outlive us, on what the arguments name of third processes. */
  askForHolds(task: TaskRecord, holder: WorkerId, wait: HoldWait): void {
    const { refs } = task;
    for (let i = 0; i < (refs?.length ?? 0); i++) {
      const entry = refs?.[i];
      if (entry === null || entry === undefined) continue;
      const topLevel = isTopLevel(task.args.specials[i]);
      if (!topLevel || entry.outcome instanceof StoredValue) this.#holds.ask(entry, holder, wait);
      if (topLevel) this.#holds.askInside(entry.outcome, holder, wait);
    }
  }
}

/** The error of the first failed top-level argument, or undefined. */
export function failedArgument(task: TaskRecord): FailedValue | undefined {
  const refs = task.refs ?? [];
  for (let i = 0; i < refs.length; i++) {
    const outcome = isTopLevel(task.args.specials[i]) ? refs[i]?.outcome : undefined;
    if (outcome instanceof FailedValue) return outcome;
  }
  return undefined;
}

/** Top-level arguments that have no value yet. */
export function missingArguments(task: TaskRecord): ObjectEntry[] {
  return (task.refs ?? []).filter((entry, i): entry is ObjectEntry => {
    return isTopLevel(task.args.specials[i]) && entry?.state === "PENDING";
  });
}

export function isTopLevel(special: Special | undefined): boolean {
  return special?.type === "ref" && special.topLevel;
}
