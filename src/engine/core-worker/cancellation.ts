/**
 * Cancelled tasks, at their owner and on their way through their executor: the refs end at once,
 * what has not started never does, what runs is told to end, and its calls are cancelled with it.
 *
 * State:  holders' requests to other owners; tasks in flight whose time will be up, or whose thread
 *         will be ended, in one heap.
 * In/out: cancelCall, abortCalls, submitCancelled, CancelObject, CancelTask, TaskStarted, deadlines
 *         → outcomes, CancelTask, CancelObject, CancelTaken, AbortTask, StopLeasedWorker.
 * Bounds: the heap is swept when it has doubled; a request ends with its answer or its owner.
 * Errors: a task that has ended, or that nobody knows, is no error: there is nothing to cancel.
 * Source: Ray task_manager, normal_task_submitter CancelTask; protocols §3 cancelTask, §4 Task
 *         attempt.
 */
import { DeadlineQueue } from "#engine/common/deadline-queue.ts";
import { taskIdHex, type WorkerId } from "#engine/common/ids.ts";
import type {
  CancelObject,
  CancelTaken,
  CancelTask,
  TaskStarted,
} from "#engine/protocol/cancel.ts";
import type { ActorSubmitter } from "./actor-submitter.ts";
import type { AbortCalls, CancelCall, CoreWorkerEvent, SubmitCancelled } from "./calls.ts";
import { type CancelCause, cancelledOutcome } from "./cancelled-outcome.ts";
import { type ObjectEntry, type TaskRecord, taskOf } from "./object-entry.ts";
import type { ObjectRecovery } from "./object-recovery.ts";
import type { Out, ProcessContext } from "./process-context.ts";
import type { PushStream } from "./push-stream.ts";
import type { ReferenceCounter } from "./reference-counter.ts";
import { LeaseStream } from "./scheduling-queue.ts";
import type { TaskManager } from "./task-manager.ts";
import type { IncomingTask } from "./incoming-task.ts";
import type { TaskReceiver } from "./task-receiver.ts";
import type { TaskRetries } from "./task-retries.ts";
import type { TaskSubmitter } from "./task-submitter.ts";

const sweepFrom = 64;

interface Reach {
  readonly force: boolean;
  readonly recursive: boolean;
}

interface CancelOptions extends Reach {
  readonly cause: CancelCause;
}

/** When it happens, and where to say what follows from it. */
interface Turn {
  readonly nowMs: number;
  readonly out: Out;
}

/** One execution of a task that must have ended by a time. */
interface Due {
  readonly task: TaskRecord;
  readonly stream: PushStream;
  readonly seq: number;
  readonly type: "timeout" | "force";
}

export class Cancellation {
  readonly #context: ProcessContext;
  readonly #manager: TaskManager;
  readonly #submitter: TaskSubmitter;
  readonly #actors: ActorSubmitter;
  readonly #receiver: TaskReceiver;
  readonly #references: ReferenceCounter;
  readonly #retries: TaskRetries;
  readonly #recovery: ObjectRecovery;
  readonly #due = new DeadlineQueue<Due>();
  #sweepAt = sweepFrom;
  /** Our requests that their owners have not answered: who that is. */
  readonly #asked = new Map<number, WorkerId>();

  constructor(parts: {
    context: ProcessContext;
    manager: TaskManager;
    submitter: TaskSubmitter;
    actors: ActorSubmitter;
    receiver: TaskReceiver;
    references: ReferenceCounter;
    retries: TaskRetries;
    recovery: ObjectRecovery;
  }) {
    this.#context = parts.context;
    this.#manager = parts.manager;
    this.#submitter = parts.submitter;
    this.#actors = parts.actors;
    this.#receiver = parts.receiver;
    this.#references = parts.references;
    this.#retries = parts.retries;
    this.#recovery = parts.recovery;
  }

  /** False for what is no cancel. */
  route(event: CoreWorkerEvent, nowMs: number, out: Out): boolean {
    switch (event.type) {
      case "cancelCall":
        this.onCancelCall(event, nowMs, out);
        return true;
      case "abortCalls":
        this.onAbortCalls(event, nowMs, out);
        return true;
      case "submitCancelled":
        this.onSubmitCancelled(event, out);
        return true;
      case "cancelTask":
        this.onCancelTask(event, nowMs, out);
        return true;
      case "cancelObject":
        this.#references.watchIfFar(event.from as WorkerId, out);
        this.onCancelObject(event, nowMs, out);
        return true;
      case "cancelTaken":
        this.onCancelTaken(event, out);
        return true;
      case "taskStarted":
        this.onTaskStarted(event, nowMs);
        return true;
      case "doomLease":
        this.#receiver.onDoomLease(event, out);
        return true;
      default:
        return false;
    }
  }

  // ------------------------------------------------------------ calls of the api

  onCancelCall(call: CancelCall, nowMs: number, out: Out): void {
    const { requestId, entry, force, recursive } = call;
    const { owner, serial, index } = entry;
    const { self } = this.#context;
    if (owner === self) {
      const refused = this.#cancelObject(entry, call, { nowMs, out });
      out.instruct({ type: "cancelled", requestId, refused });
      return;
    }
    if (entry.state !== "PENDING" || this.#references.ended.has(owner)) {
      out.instruct({ type: "cancelled", requestId, refused: false });
      return;
    }
    this.#references.watch(owner, out);
    this.#asked.set(requestId, owner);
    const object = { serial, index };
    out.send(owner, { type: "cancelObject", from: self, requestId, object, force, recursive });
  }

  onAbortCalls({ tasks }: AbortCalls, nowMs: number, out: Out): void {
    const cause = "the signal in its options was aborted";
    for (const task of tasks) {
      this.#cancel(task, { force: false, recursive: true, cause }, { nowMs, out });
    }
  }

  onSubmitCancelled({ task, cause }: SubmitCancelled, out: Out): void {
    this.#manager.onSubmitted();
    // No use of them was counted.
    task.refs = null;
    if (task.actor !== null) this.#actors.onUnsubmitted(task);
    this.#manager.cancel(task, cancelledOutcome(task, cause), out);
  }

  // ------------------------------------------------------------ messages

  /** At the owner: somebody who holds a ref. */
  onCancelObject(message: CancelObject, nowMs: number, out: Out): void {
    const { from, requestId, object } = message;
    const entry = this.#references.find(this.#context.self, object);
    const refused = entry !== undefined && this.#cancelObject(entry, message, { nowMs, out });
    out.send(from, { type: "cancelTaken", from: this.#context.self, requestId, refused });
  }

  /** At the holder. */
  onCancelTaken({ requestId, refused }: CancelTaken, out: Out): void {
    if (this.#asked.delete(requestId)) out.instruct({ type: "cancelled", requestId, refused });
  }

  /** At the executor. */
  onCancelTask(message: CancelTask, nowMs: number, out: Out): void {
    const task = this.#receiver.cancel(message, out);
    if (task !== undefined) this.#endRunning(task, message, { nowMs, out });
  }

  /** At the owner: the executor has begun a task with a time-out. */
  onTaskStarted({ from, stream, seq }: TaskStarted, nowMs: number): void {
    const task =
      this.#submitter.findPushed(stream, seq, from) ?? this.#actors.findPushed(stream, seq, from);
    if (task === undefined || task.stream === null || task.isCancelled) return;
    const { timeoutMs } = task.template.definition;
    this.#addDue(nowMs + timeoutMs, { task, stream: task.stream, seq, type: "timeout" });
  }

  /** Its tasks here are doomed; it answers nothing any more, and has nothing left to cancel. */
  onWorkerDied(workerId: WorkerId, nowMs: number, out: Out): void {
    for (const task of this.#receiver.doom(workerId, out)) {
      this.#endRunning(task, { force: false, recursive: true }, { nowMs, out });
    }
    for (const [requestId, owner] of this.#asked) {
      if (owner !== workerId) continue;
      this.#asked.delete(requestId);
      out.instruct({ type: "cancelled", requestId, refused: false });
    }
  }

  // ------------------------------------------------------------ time

  nextDeadlineMs(): number {
    return this.#due.nextMs();
  }

  onDeadline(nowMs: number, out: Out): void {
    for (;;) {
      const due = this.#due.takeDue(nowMs);
      if (due === undefined) return;
      if (!isOpen(due)) continue;
      const { task, stream } = due;
      if (due.type === "timeout") {
        const cause = "it ran longer than the timeoutMs in its options";
        this.#cancel(task, { force: false, recursive: true, cause }, { nowMs, out });
      } else if (stream instanceof LeaseStream) {
        const subject = taskIdHex(task.owner, task.serial);
        const reason = `cancelled by force: task ${task.template.definition.taskName} (${subject})`;
        // Nothing more is pushed there.
        stream.blocked = true;
        const { stream: leaseId, raylet } = stream;
        out.send(raylet, { type: "stopLeasedWorker", from: this.#context.self, leaseId, reason });
      }
    }
  }

  // ------------------------------------------------------------ a task of ours

  /** Whatever its state; nothing happens to one that has ended. */
  #cancel(task: TaskRecord, options: CancelOptions, turn: Turn): void {
    // It has ended before, and only makes anew what was lost.
    if (this.#recovery.reasonOf(task) !== "") return;
    if (task.state === "PENDING" && !task.isCancelled) {
      if (task.stream === null) this.#cancelWaiting(task, options, turn.out);
      else this.#cancelPushed(task, task.stream, options, turn);
    } else if (task.isCancelled && task.stream !== null) {
      // It still runs: this one may reach further.
      this.#askToEnd(task, task.stream, options, turn);
    }
  }

  /** True when that is not done: force, for a call of an actor. */
  #cancelObject(entry: ObjectEntry, { force, recursive }: Reach, turn: Turn): boolean {
    const task = taskOf(entry);
    if (task === undefined) return false;
    if (force && task.actor !== null) return true;
    this.#cancel(task, { force, recursive, cause: "cancel() was called for it" }, turn);
    return false;
  }

  /** For arguments, in its queue, or for its actor; who else has it asks before it goes on. */
  #cancelWaiting(task: TaskRecord, { cause }: CancelOptions, out: Out): void {
    this.#manager.cancel(task, cancelledOutcome(task, cause), out);
    if (!task.isQueued) this.#retries.onCancelled(task);
    else if (task.actor !== null) this.#actors.onQueuedCancelled(task, out);
    else this.#submitter.onQueuedCancelled(task, out);
  }

  #cancelPushed(task: TaskRecord, stream: PushStream, options: CancelOptions, turn: Turn): void {
    const { nowMs, out } = turn;
    const outcome = cancelledOutcome(task, options.cause);
    if (!out.retract(stream.workerId, stream.positionOf(task.seq))) {
      this.#manager.cancel(task, outcome, out);
      this.#askToEnd(task, stream, options, turn);
      return;
    }
    stream.removeRetracted(task.seq);
    this.#manager.cancel(task, outcome, out);
    if (stream instanceof LeaseStream) this.#submitter.refill(stream, nowMs, out);
    else this.#actors.onRetracted(task, out);
  }

  #askToEnd(task: TaskRecord, stream: PushStream, reach: Reach, { nowMs, out }: Turn): void {
    const { workerId } = stream;
    if (this.#references.ended.has(workerId)) return;
    const { seq } = task;
    const { force, recursive } = reach;
    const from = this.#context.self;
    out.send(workerId, { type: "cancelTask", from, stream: stream.stream, seq, force, recursive });
    // The thread of an actor is not ended for one call.
    if (!force || task.actor !== null) return;
    this.#addDue(nowMs + this.#context.config.forceGraceMs, { task, stream, seq, type: "force" });
  }

  // ------------------------------------------------------------ a task that runs here

  #endRunning(task: IncomingTask, { force, recursive }: Reach, turn: Turn): void {
    turn.out.instruct({ type: "abortTask", task });
    if (!recursive || task.children === null) return;
    const cause = "the task that called it was cancelled";
    for (const child of task.children.unfinished()) {
      this.#cancel(child, { force, recursive, cause }, turn);
    }
  }

  #addDue(atMs: number, due: Due): void {
    if (this.#due.size >= this.#sweepAt) {
      this.#due.retain(isOpen);
      this.#sweepAt = Math.max(sweepFrom, 2 * this.#due.size);
    }
    this.#due.add(atMs, due);
  }
}

function isOpen({ task, stream, seq, type }: Due): boolean {
  if (task.stream !== stream || task.seq !== seq) return false;
  return type === "force" || !task.isCancelled;
}
