/**
 * Buffers that were transferred with a task, at its executor: asked for when nothing else that the
 * task needs is missing, so that they stay with the owner for as long as the task may still go
 * elsewhere.
 *
 * State:  in the tasks; those that wait, by the time from which they count as blocked.
 * In/out: tasks that could start → AskBuffers; tasks that have waited too long.
 * Bounds: tasks under way to this worker. The owner is a thread of this process or answers as any
 *         owner: it is asked once, since neither question nor answer is lost while both live.
 * Errors: the end of the owner ends the task.
 */
import { DeadlineQueue } from "#engine/common/deadline-queue.ts";
import { ownEncoded, ownOutcome } from "#engine/protocol/own-value.ts";
import type { Outcome } from "#engine/protocol/outcome.ts";
import type { IncomingTask } from "./incoming-task.ts";
import type { Out, ProcessContext } from "./process-context.ts";

/**
 * An owner that reads its messages answers within a fraction of that: others need not be let in for
 * it, nor threads be started.
 */
const blockedAfterMs = 5;

/** Of one task. */
export class IncomingBuffers {
  state: "needed" | "asked" | "here" = "needed";
  askedAtMs = 0;
  /** Between the question and the answer. The thread did nothing else, so it counts as work. */
  waitedMs = 0;
  /** The memory itself. */
  moved: readonly ArrayBuffer[] | null = null;
  /** Or an encoded list of copies, within reach. */
  copy: Outcome = undefined;
}

export class BufferRequests {
  /** Something was asked for in this event: `flush` is due. */
  hasNews = false;
  readonly #context: ProcessContext;
  readonly #newlyAsked: IncomingTask[] = [];
  readonly #due = new DeadlineQueue<IncomingTask>();

  constructor(context: ProcessContext) {
    this.#context = context;
  }

  /** What the task was pushed with is only lent, and it starts in a later event. */
  ask(task: IncomingTask, buffers: IncomingBuffers, out: Out): void {
    task.args = ownEncoded(task.args);
    task.values = task.values?.map(ownOutcome) ?? null;
    buffers.state = "asked";
    this.#newlyAsked.push(task);
    this.hasNews = true;
    const { stream, seq, owner } = task;
    out.send(owner, { type: "askBuffers", from: this.#context.self, stream, seq });
  }

  /** Ends an event. */
  flush(nowMs: number): void {
    this.hasNews = false;
    for (const task of this.#newlyAsked.splice(0)) {
      if (task.buffers !== null) task.buffers.askedAtMs = nowMs;
      this.#due.add(nowMs + blockedAfterMs, task);
    }
  }

  nextDeadlineMs(): number {
    return this.#due.nextMs();
  }

  /** One that has waited for so long that it counts as blocked. */
  takeBlocked(nowMs: number): IncomingTask | undefined {
    for (let task = this.#due.takeDue(nowMs); task; task = this.#due.takeDue(nowMs)) {
      if (task.buffers?.state === "asked") return task;
    }
    return undefined;
  }
}
