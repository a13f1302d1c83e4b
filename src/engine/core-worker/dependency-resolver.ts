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
import { addWaiter } from "./memory-store.ts";
import type { TaskRecord } from "./object-entry.ts";
import type { Out } from "./process-context.ts";
import type { ReferenceCounter } from "./reference-counter.ts";

export class DependencyResolver {
  readonly #references: ReferenceCounter;

  constructor(references: ReferenceCounter) {
    this.#references = references;
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

  /**
   * What pushTask carries beside the encoded arguments: by position, the value of each top-level
   * ref. What the executor may name in turn is listed; the task's own uses keep it until the reply,
   * which says what the executor goes on using. `executor` is null when nobody knows yet.
   */
  exportArguments(task: TaskRecord, executor: WorkerId | null): Outcome[] | null {
    const { refs } = task;
    if (task.args instanceof StoredValue) {
      const isNear = executor !== null && this.#references.isOfThisNode(executor);
      if (!isNear) this.#references.nameArguments(task);
    }
    if (refs === null) return null;
    return refs.map((entry, i) => {
      if (entry === null) return undefined;
      const topLevel = isTopLevel(task.args.specials[i]);
      const { outcome } = entry;
      if (!topLevel || outcome instanceof StoredValue) this.#references.register(entry, executor);
      if (!topLevel) return undefined;
      this.#references.registerContained(outcome, executor);
      return outcome;
    });
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

function isTopLevel(special: Special | undefined): boolean {
  return special?.type === "ref" && special.topLevel;
}
