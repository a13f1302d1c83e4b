/**
 * The end of a task or object: its outcome is kept, waiters wake, what the task used is let go.
 *
 * State:  none of its own; outcomes live in the entries, bytes in one slab.
 * In/out: outcomes of tasks, of puts and of borrowed objects → Settle, ObjectState, wake-ups of
 *         dependents.
 * Bounds: waking is a loop over a work list, so that a chain of a million failed tasks needs no
 *         stack.
 * Errors: a task whose argument failed does not run; its returns carry that very error.
 * Source: Ray task_manager; protocols §4 Task attempt, Object.
 */
import { assert } from "#engine/common/assert.ts";
import { ByteSlab } from "#engine/common/byte-slab.ts";
import { Deque } from "#engine/common/deque.ts";
import type { WorkerId } from "#engine/common/ids.ts";
import { FailedValue, InlineValue, noArguments, StoredValue } from "#engine/protocol/outcome.ts";
import type { Outcome } from "#engine/protocol/outcome.ts";
import { ownOutcome, ownSpecials } from "#engine/protocol/own-value.ts";
import { specialsOf } from "./contained-refs.ts";
import type { MemoryStore } from "./memory-store.ts";
import { GetRequest } from "./memory-store.ts";
import { RemoteWaiter, TaskRecord, type ObjectEntry, type Waiter } from "./object-entry.ts";
import type { Out, ProcessContext } from "./process-context.ts";
import type { ReferenceCounter } from "./reference-counter.ts";

export class TaskManager {
  readonly #context: ProcessContext;
  readonly #references: ReferenceCounter;
  readonly #memoryStore: MemoryStore;
  readonly #slab = new ByteSlab();
  /** Tasks whose last missing argument has come: `onDependenciesResolved` is due. */
  readonly #resolved = new Deque<TaskRecord>();
  #unfinishedCount = 0;

  constructor(context: ProcessContext, references: ReferenceCounter, memoryStore: MemoryStore) {
    this.#context = context;
    this.#references = references;
    this.#memoryStore = memoryStore;
  }

  /** Tasks of this process that have no outcome yet. */
  get unfinishedCount(): number {
    return this.#unfinishedCount;
  }

  onSubmitted(): void {
    this.#unfinishedCount += 1;
  }

  /** `outcomes` are the further returns of a task with numReturns ≠ 1. */
  finish(task: TaskRecord, outcome: Outcome, outcomes: readonly Outcome[] | null, out: Out): void {
    assert(task.stream === null, "a finished task is in no stream");
    this.#unfinishedCount -= 1;
    this.settle(task, outcome, out);
    const more = task.moreReturns;
    if (more !== null) {
      for (let i = 0; i < more.length; i++) {
        const value = outcome instanceof FailedValue ? outcome : outcomes?.[i];
        this.settle(more[i] as ObjectEntry, value, out);
      }
    }
    // Last: what the returns name may be kept by the arguments only.
    this.#releaseArguments(task);
  }

  /**
   * The first outcome of an entry is final. Bytes of inline values are copied: frames are reused.
   */
  settle(entry: ObjectEntry, outcome: Outcome, out: Out): void {
    if (entry.state !== "PENDING") return;
    entry.outcome = this.#own(outcome);
    entry.state = outcome instanceof FailedValue ? "FAILED" : "AVAILABLE";
    const specials = specialsOf(outcome);
    if (specials.length > 0) this.#references.addContained(specials, out);
    this.#references.directory.onSettled(entry, out);
    if (entry.unwatched !== null) {
      if (holdsSomething(entry)) {
        out.instruct({ type: "watchRef", ref: entry.unwatched, entry });
      }
      entry.unwatched = null;
    }
    if (entry.waiters !== null) this.wakeWaiters(entry, out);
    this.#references.collect(entry);
  }

  wakeWaiters(entry: ObjectEntry, out: Out): void {
    const { waiters } = entry;
    entry.waiters = null;
    if (Array.isArray(waiters)) {
      for (const waiter of waiters) this.#wake(waiter, entry, out);
    } else if (waiters !== null) {
      this.#wake(waiters, entry, out);
    }
  }

  /** A task that has just become ready to go, or undefined. */
  takeResolved(): TaskRecord | undefined {
    return this.#resolved.shift();
  }

  sendObjectState(entry: ObjectEntry, borrower: WorkerId, out: Out): void {
    const { outcome } = entry;
    this.#references.exportContained(outcome, borrower);
    const object = { serial: entry.serial, index: entry.index };
    out.send(borrower, { type: "objectState", from: this.#context.self, object, outcome });
  }

  #wake(waiter: Waiter, entry: ObjectEntry, out: Out): void {
    if (waiter instanceof GetRequest) {
      this.#memoryStore.wake(waiter, entry, out);
    } else if (waiter instanceof RemoteWaiter) {
      // It may have let go meanwhile, or ended.
      if (entry.holders?.has(waiter.borrower) === true) {
        this.sendObjectState(entry, waiter.borrower, out);
      }
    } else if (waiter.unresolvedCount > 0) {
      // A failed argument settles the task, whatever else it waits for.
      waiter.unresolvedCount = entry.state === "FAILED" ? 0 : waiter.unresolvedCount - 1;
      if (waiter.unresolvedCount === 0) this.#resolved.push(waiter);
    }
  }

  #own(outcome: Outcome): Outcome {
    if (outcome instanceof InlineValue) return this.#copy(outcome);
    if (outcome instanceof FailedValue && outcome.cause instanceof InlineValue) {
      return new FailedValue(outcome.error, this.#copy(outcome.cause));
    }
    return specialsOf(outcome).length === 0 ? outcome : ownOutcome(outcome);
  }

  #copy(value: InlineValue): InlineValue {
    const slab = this.#slab;
    slab.append(value.bytes, value.start, value.length);
    const { bytes, start } = slab;
    return new InlineValue(bytes, start, value.length, ownSpecials(value.specials));
  }

  #releaseArguments(task: TaskRecord): void {
    const { refs } = task;
    task.refs = null;
    this.#references.freeArguments(task);
    task.args = noArguments;
    if (refs === null) return;
    for (const entry of refs) {
      if (entry !== null) this.#references.dropUse(entry);
    }
  }
}

/** Whether someone must act when the last ref is gone; other values go with their entry. */
export function holdsSomething({ outcome, registered }: ObjectEntry): boolean {
  return registered || outcome instanceof StoredValue || specialsOf(outcome).length > 0;
}
