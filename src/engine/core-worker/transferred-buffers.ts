/**
 * Buffers that were transferred with a task, at its owner: kept until the executor asks for them.
 * To one of this node they are moved, and then the task cannot run again. One of another node is
 * given a copy, which is an object of the owner's for as long as the task may need it.
 *
 * State:  in the tasks.
 * In/out: askBuffers → MoveBuffers, or CopyBuffers → buffersStored → buffersCopied.
 * Bounds: those of unfinished tasks. Each is moved or copied once; a repeated question gets the
 *         present answer, or none when they are gone to the one that asks.
 * Errors: no room for the copy is the outcome of the task.
 * Source: none in Ray, whose arguments are always copies.
 */
import { managedSegment } from "#engine/protocol/arena.ts";
import { FailedValue, noSpecials, type Outcome, StoredValue } from "#engine/protocol/outcome.ts";
import type { AskBuffers } from "#engine/protocol/task.ts";
import type { WorkerId } from "#engine/common/ids.ts";
import type { BuffersStored, CoreWorkerEvent } from "./calls.ts";
import type { ObjectEntry, TaskRecord } from "./object-entry.ts";
import type { Out, ProcessContext } from "./process-context.ts";
import type { ReferenceCounter } from "./reference-counter.ts";
import type { TaskSubmitter } from "./task-submitter.ts";

/** Of one task. */
export class TransferredBuffers {
  /** Null when they are with an executor, copied, or of no use any more. */
  buffers: readonly ArrayBuffer[] | null;
  /** With an executor: nobody else can run the task, now or later. */
  areGone = false;
  /** Null until an executor of another node has asked. */
  copy: ObjectEntry | null = null;

  constructor(buffers: readonly ArrayBuffer[]) {
    this.buffers = buffers;
  }
}

/** Why it cannot run again although it has retries left. */
export const wentWithIt = "its transferred buffers went with it";

export function hasLostBuffers({ transferred }: TaskRecord): boolean {
  return transferred !== null && transferred.areGone;
}

/** The task has ended for good, or was cancelled. */
export function releaseBuffers({ transferred }: TaskRecord, references: ReferenceCounter): void {
  if (transferred === null) return;
  const { copy } = transferred;
  transferred.buffers = null;
  transferred.copy = null;
  if (copy !== null) references.dropUse(copy);
}

export class BufferTransfers {
  readonly #context: ProcessContext;
  readonly #references: ReferenceCounter;
  readonly #submitter: TaskSubmitter;

  constructor(parts: {
    context: ProcessContext;
    references: ReferenceCounter;
    submitter: TaskSubmitter;
  }) {
    this.#context = parts.context;
    this.#references = parts.references;
    this.#submitter = parts.submitter;
  }

  /** False for what is of no concern to buffers at their owner. */
  route(event: CoreWorkerEvent, out: Out): boolean {
    switch (event.type) {
      case "askBuffers":
        this.onAskBuffers(event, out);
        return true;
      case "buffersStored":
        this.onBuffersStored(event, out);
        return true;
      default:
        return false;
    }
  }

  onAskBuffers(asked: AskBuffers, out: Out): void {
    const task = this.#askedFor(asked);
    const transferred = task?.transferred ?? null;
    if (task === undefined || transferred === null) return;
    const { copy, buffers } = transferred;
    const to = asked.from as WorkerId;
    if (copy !== null) {
      this.#tellCopy(asked, copy, out);
    } else if (buffers === null) {
      // They are on their way to it.
    } else if (this.#references.isOfThisNode(to)) {
      const { stream, seq } = asked;
      transferred.buffers = null;
      transferred.areGone = true;
      const moved = { from: this.#context.self, serial: task.serial, stream, seq, buffers };
      out.instruct({ type: "moveBuffers", to, moved });
    } else out.instruct({ type: "copyBuffers", asked, buffers });
  }

  /** `stored` has a ref that is nobody's. */
  onBuffersStored({ asked, stored }: BuffersStored, out: Out): void {
    const transferred = this.#askedFor(asked)?.transferred ?? null;
    if (stored instanceof FailedValue) {
      if (transferred !== null) this.#tell(asked, { serial: 0, index: 0 }, stored, out);
      return;
    }
    if (transferred !== null && transferred.buffers !== null) {
      stored.uses += 1;
      transferred.copy = stored;
      transferred.buffers = null;
      // It is asked for by that.
      this.#references.name(stored);
      this.#tellCopy(asked, stored, out);
    }
    this.#references.dropLocalRef(stored);
  }

  /** Not of a push that is over, nor of a task that was cancelled: its executor is told so. */
  #askedFor({ stream, seq, from }: AskBuffers): TaskRecord | undefined {
    const task = this.#submitter.findPushed(stream, seq, from);
    return task?.isCancelled === true ? undefined : task;
  }

  /** Where it lies is its raylet's business: it may be moved to the disk before it is read. */
  #tellCopy(asked: AskBuffers, copy: ObjectEntry, out: Out): void {
    const { outcome } = copy;
    const { raylet } = this.#context;
    const told =
      outcome instanceof StoredValue
        ? new StoredValue(managedSegment, 0, outcome.size, noSpecials, raylet, outcome.version)
        : outcome;
    this.#tell(asked, copy, told, out);
  }

  // oxlint-disable-next-line max-params -- to whom, and the two halves of an object.
  #tell(
    { from, stream, seq }: AskBuffers,
    { serial, index }: { readonly serial: number; readonly index: number },
    outcome: Outcome,
    out: Out,
  ): void {
    const object = { serial, index };
    const { self } = this.#context;
    out.send(from, { type: "buffersCopied", from: self, stream, seq, object, outcome });
  }
}
