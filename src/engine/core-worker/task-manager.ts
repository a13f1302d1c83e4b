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
import { managedSegment } from "#engine/protocol/arena.ts";
import type { HeldRef } from "#engine/protocol/hold.ts";
import { FailedValue, InlineValue, noArguments, StoredValue } from "#engine/protocol/outcome.ts";
import type { Outcome } from "#engine/protocol/outcome.ts";
import { ownOutcome, ownSpecials } from "#engine/protocol/own-value.ts";
import type { ActorHandles } from "./actor-handles.ts";
import { specialsOf } from "./contained-refs.ts";
import type { CopyArrivals } from "./copy-arrivals.ts";
import { EndedTasks } from "./ended-tasks.ts";
import type { HoldMaker } from "./hold-maker.ts";
import { heldRefs, HoldWait } from "./hold-wait.ts";
import type { MemoryStore } from "./memory-store.ts";
import { GetRequest } from "./memory-store.ts";
import { RemoteWaiter, TaskRecord, type ObjectEntry, type Waiter } from "./object-entry.ts";
import type { ObjectTable } from "./object-table.ts";
import type { Out, ProcessContext } from "./process-context.ts";
import type { ReferenceCounter } from "./reference-counter.ts";
import { freeArguments } from "./stored-arguments.ts";
import type { TaskLineage } from "./task-lineage.ts";

export class TaskManager {
  readonly #context: ProcessContext;
  readonly #references: ReferenceCounter;
  readonly #holds: HoldMaker;
  readonly #memoryStore: MemoryStore;
  readonly #lineage: TaskLineage;
  readonly #objects: ObjectTable;
  readonly #arrivals: CopyArrivals;
  readonly #handles: ActorHandles;
  readonly #slab = new ByteSlab();
  /** Tasks whose last missing argument has come: `onDependenciesResolved` is due. */
  readonly #resolved = new Deque<TaskRecord>();
  #unfinishedCount = 0;
  readonly ended: EndedTasks;

  constructor(parts: {
    context: ProcessContext;
    references: ReferenceCounter;
    holds: HoldMaker;
    memoryStore: MemoryStore;
    lineage: TaskLineage;
    objects: ObjectTable;
    arrivals: CopyArrivals;
    handles: ActorHandles;
  }) {
    this.#context = parts.context;
    this.ended = new EndedTasks(parts.context.config);
    this.#references = parts.references;
    this.#holds = parts.holds;
    this.#memoryStore = parts.memoryStore;
    this.#lineage = parts.lineage;
    this.#objects = parts.objects;
    this.#arrivals = parts.arrivals;
    this.#handles = parts.handles;
  }

  /** Tasks of this process that have no outcome yet. */
  get unfinishedCount(): number {
    return this.#unfinishedCount;
  }

  onSubmitted(): void {
    this.#unfinishedCount += 1;
  }

  /** It runs again, with the arguments that it had. */
  resubmit(task: TaskRecord): void {
    this.#resolved.push(task);
  }

  /**
   * `outcomes` are the further returns of a task with numReturns ≠ 1. Of a task that was cancelled
   * while it ran nothing is taken.
   */
  finish(task: TaskRecord, outcome: Outcome, outcomes: readonly Outcome[] | null, out: Out): void {
    assert(task.stream === null, "a finished task is in no stream");
    if (task.isCancelled) this.#refuse(task, outcome, outcomes);
    else this.#end(task, outcome, outcomes, out);
    // Last: what the returns name may be kept by the arguments only.
    if (!this.#lineage.keep(task)) this.#releaseArguments(task);
  }

  /** Its refs end now. One that runs keeps its arguments: they are let go when it has ended. */
  cancel(task: TaskRecord, outcome: FailedValue, out: Out): void {
    assert(!task.isCancelled && task.state === "PENDING", "a task is cancelled once");
    task.markCancelled();
    this.#end(task, outcome, null, out);
    if (task.stream === null) this.#releaseArguments(task);
  }

  #end(task: TaskRecord, outcome: Outcome, outcomes: readonly Outcome[] | null, out: Out): void {
    this.#unfinishedCount -= 1;
    this.ended.onEnded(task, outcome);
    this.#settleReturn(task, outcome, out);
    const more = task.moreReturns;
    if (more !== null) {
      for (let i = 0; i < more.length; i++) {
        const value = outcome instanceof FailedValue ? outcome : outcomes?.[i];
        this.#settleReturn(more[i] as ObjectEntry, value, out);
      }
    }
  }

  /** The holds that came with it go by themselves: nothing here names what it names. */
  #refuse(task: TaskRecord, outcome: Outcome, outcomes: readonly Outcome[] | null): void {
    const { serial } = task;
    this.#references.untaken.discardReturn(task, outcome);
    for (const [i, value] of (outcomes ?? []).entries()) {
      this.#references.untaken.discardReturn({ serial, index: i + 2 }, value);
    }
  }

  /**
   * The first outcome of an entry is final. Bytes of inline values are copied: frames are reused.
   */
  settle(entry: ObjectEntry, outcome: Outcome, out: Out): void {
    if (entry.state !== "PENDING") return;
    // Of one that was lost and made anew the value before is still there.
    if (entry.outcome !== undefined) this.#references.dropContained(entry.outcome);
    entry.outcome = this.#own(outcome);
    entry.state = outcome instanceof FailedValue ? "FAILED" : "AVAILABLE";
    const specials = specialsOf(outcome);
    if (specials.length > 0) this.#references.addContained(specials);
    if (outcome instanceof StoredValue) this.#objects.add(entry);
    this.#references.directory.onSettled(entry, out);
    if (entry.unwatched !== null) {
      if (holdsSomething(entry)) {
        out.instruct({ type: "watchRef", ref: entry.unwatched, entry });
      }
      entry.unwatched = null;
    }
    this.#arrivals.onSettled(entry, out);
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

  /** At once, or when what the value names of third processes is held for the borrower. */
  sendObjectState(entry: ObjectEntry, borrower: WorkerId, out: Out): void {
    if (specialsOf(entry.outcome).length > 0) {
      const wait = new HoldWait({ type: "objectState", entry, borrower });
      this.#holds.askInside(entry.outcome, borrower, wait);
      if (wait.missingCount > 0) return;
    }
    this.#sendState(entry, borrower, null, out);
  }

  onStateHeld(wait: HoldWait, entry: ObjectEntry, borrower: WorkerId, out: Out): void {
    // It may have let go meanwhile, or ended.
    if (entry.holders?.has(borrower) !== true) this.#holds.abandon(wait);
    else this.#sendState(entry, borrower, heldRefs(wait), out);
  }

  #sendState(
    entry: ObjectEntry,
    borrower: WorkerId,
    holds: readonly HeldRef[] | null,
    out: Out,
  ): void {
    const { serial, index } = entry;
    const outcome = this.#toldTo(borrower, entry.outcome);
    this.#references.exportContained(outcome, borrower);
    const from = this.#context.self;
    const object = { serial, index };
    out.send(borrower, { type: "objectState", from, object, outcome, holds });
  }

  /**
   * The place of bytes of this node is for processes of this node: others ask for them in any case,
   * and might tell the place to one here when it is no more.
   */
  #toldTo(borrower: WorkerId, outcome: Outcome): Outcome {
    if (!(outcome instanceof StoredValue) || this.#references.isOfThisNode(borrower))
      return outcome;
    const { size, specials, node, version } = outcome;
    const { raylet } = this.#context;
    if (node !== null && node !== raylet) return outcome;
    return new StoredValue(managedSegment, 0, size, specials, raylet, version);
  }

  /** A return that was not lost keeps its value when its task has run again. */
  #settleReturn(entry: ObjectEntry, value: Outcome, out: Out): void {
    if (entry.state === "PENDING") this.settle(entry, value, out);
    else if (!(value instanceof FailedValue)) this.#references.untaken.discardReturn(entry, value);
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
    if (outcome instanceof FailedValue && outcome.cause !== null) {
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
    freeArguments(task, this.#references);
    task.args = noArguments;
    if (refs !== null) {
      for (const entry of refs) if (entry !== null) this.#references.dropUse(entry);
    }
    if (task.actor !== null) this.#handles.onCallEnded(task.actor);
  }
}

/** Whether someone must act when the last ref is gone; other values go with their entry. */
export function holdsSomething({ outcome, registered }: ObjectEntry): boolean {
  return registered || outcome instanceof StoredValue || specialsOf(outcome).length > 0;
}
