/**
 * Whether a task whose attempt has failed runs again: at once, after a pause, or not at all.
 *
 * State:  tasks that pause, and tasks whose error the api is looking at; what they have used of
 *         their budgets is in the tasks.
 * In/out: failed attempts, exceptionJudged, deadlines → JudgeException; tasks that run again, or
 *         end, go to the TaskManager with the arguments they had.
 * Bounds: maxRetries for failures of the system and exceptions together, taskOomRetriesMax for
 *         memory. What had not started, or was taken back, costs nothing and never comes here. A
 *         task whose transferred buffers are gone has no retry left.
 * Errors: the last failure is the outcome, with the number of attempts it took.
 * Source: Ray task_manager (RetryTaskIfPossible, FailOrRetryPendingTask); protocols §4.
 */
import { DeadlineQueue } from "#engine/common/deadline-queue.ts";
import { type EngineError, forceCancel } from "#engine/common/error-type.ts";
import { taskIdHex } from "#engine/common/ids.ts";
import { FailedValue } from "#engine/protocol/outcome.ts";
import { ownOutcome } from "#engine/protocol/own-value.ts";
import type { TaskReply } from "#engine/protocol/task.ts";
import type { ExceptionJudged } from "./calls.ts";
import { specialsOf } from "./contained-refs.ts";
import type { DependencyResolver } from "./dependency-resolver.ts";
import type { ObjectRecovery } from "./object-recovery.ts";
import type { TaskRecord } from "./object-entry.ts";
import type { Out, ProcessContext } from "./process-context.ts";
import type { ReferenceCounter } from "./reference-counter.ts";
import type { TaskManager } from "./task-manager.ts";
import { hasLostBuffers, wentWithIt } from "./transferred-buffers.ts";

/** What has happened to attempts so far, for status and tests. */
export interface AttemptCounts {
  retried: number;
  retriedExceptions: number;
  /** Replies of attempts that no longer counted. */
  refused: number;
  /** Tasks that failed for want of another retry. */
  exhausted: number;
}

interface Pause {
  readonly text: string;
  /** Why the attempt before failed. */
  readonly why: string;
}

export class TaskRetries {
  readonly counts: AttemptCounts = { retried: 0, retriedExceptions: 0, refused: 0, exhausted: 0 };
  readonly #context: ProcessContext;
  readonly #manager: TaskManager;
  readonly #references: ReferenceCounter;
  readonly #dependencies: DependencyResolver;
  readonly #recovery: ObjectRecovery;
  readonly #pauses = new DeadlineQueue<TaskRecord>();
  /** Why they pause, for a person. */
  readonly #pausing = new Map<TaskRecord, Pause>();
  readonly #judged = new Map<TaskRecord, FailedValue>();

  constructor(parts: {
    context: ProcessContext;
    references: ReferenceCounter;
    dependencies: DependencyResolver;
    manager: TaskManager;
    recovery: ObjectRecovery;
  }) {
    this.#context = parts.context;
    this.#references = parts.references;
    this.#dependencies = parts.dependencies;
    this.#recovery = parts.recovery;
    this.#manager = parts.manager;
  }

  /** The process in which the task had started, or may have, has died. */
  onWorkerLost(task: TaskRecord, error: EngineError, nowMs: number, out: Out): void {
    if (task.isCancelled) {
      this.#manager.finish(task, undefined, null, out);
      return;
    }
    if (error.type === "OUT_OF_MEMORY") {
      this.#onOutOfMemory(task, error, nowMs, out);
      return;
    }
    const isEndedForOther = error.detail === forceCancel && task.template.retry.maxRetries > 0;
    if (isEndedForOther && !hasLostBuffers(task)) {
      // Ended for another task: that costs it nothing.
      this.#runAgain(task, error.message, out);
      return;
    }
    const isOfTheSystem = error.type === "WORKER_CRASHED" || error.type === "NODE_DIED";
    if (isOfTheSystem && hasRetryLeft(task)) {
      task.retriesUsed += 1;
      this.#runAgain(task, error.message, out);
      return;
    }
    this.#noteExhausted(task);
    this.fail(task, error, isOfTheSystem ? boundOf(task) : "", out);
  }

  /** Takes a task whose attempt has failed, unless that is its outcome as it is. */
  onFailed(task: TaskRecord, failed: FailedValue, out: Out): boolean {
    if (task.isCancelled) return false;
    if (!isOfAnother(task, failed.error)) return this.#onException(task, failed, out);
    // An argument could not be had, which was found out where the task was to run.
    const meant = this.#recovery.failureOf(task, failed);
    if (meant === failed) return false;
    this.#references.untaken.discard(failed);
    this.#manager.finish(task, meant, null, out);
    return true;
  }

  /** Takes a task that user code has ended with an exception, if it may run again for that. */
  #onException(task: TaskRecord, failed: FailedValue, out: Out): boolean {
    const { retryExceptions } = task.template.retry;
    if (retryExceptions === false || failed.error.type !== "TASK_ERROR") return false;
    if (!hasRetryLeft(task)) {
      if (task.attempt === 0 && !hasLostBuffers(task)) return false;
      this.#noteExhausted(task);
      this.#end(task, failed, attemptsText(task, boundOf(task)), out);
      return true;
    }
    if (retryExceptions === true) {
      this.#retryException(task, failed, out);
      return true;
    }
    // The bytes are only lent, and what they name is kept by nothing yet.
    const owned = ownOutcome(failed) as FailedValue;
    this.#references.addContained(specialsOf(owned));
    this.#judged.set(task, owned);
    out.instruct({ type: "judgeException", task, failed: owned });
    return true;
  }

  onExceptionJudged({ task, retries, why }: ExceptionJudged, out: Out): void {
    const failed = this.#judged.get(task);
    if (failed === undefined) return;
    this.#judged.delete(task);
    if (task.isCancelled) this.#references.untaken.discard(failed);
    else if (retries) this.#retryException(task, failed, out);
    else this.#end(task, failed, why, out);
    this.#references.dropContained(failed);
  }

  /** It does not run again, whatever it waited for here. */
  onCancelled(task: TaskRecord): void {
    this.#pausing.delete(task);
  }

  /** A reply of an attempt that no longer counts changes nothing: what it stored goes. */
  refuse({ outcome, outcomes }: TaskReply): void {
    this.counts.refused += 1;
    this.#references.untaken.discard(outcome);
    for (const value of outcomes ?? []) this.#references.untaken.discard(value);
  }

  /** Ends the task with a failure that is not its own; `bound` says why it does not run again. */
  fail(task: TaskRecord, error: EngineError, bound: string, out: Out): void {
    const subject = taskIdHex(task.owner, task.serial);
    const name = task.template.definition.taskName;
    const attempts = bound === "" && task.attempt === 0 ? "" : attemptsText(task, bound);
    const message = `task ${name} (${subject}): ${error.message}${attempts}`;
    const failed = new FailedValue({ type: error.type, message, subject, detail: name }, null);
    this.#manager.finish(task, failed, null, out);
  }

  /** Why a task that is neither queued nor pushed has not ended; "" when it is not here. */
  pendingReason(task: TaskRecord): string {
    const pause = this.#pausing.get(task);
    if (pause !== undefined) return `${pause.text}: ${pause.why}`;
    return this.#judged.has(task) ? "waits for what its retryExceptions say of its error" : "";
  }

  /** Tasks that are neither queued nor pushed, for those who list what there is. */
  *unfinished(): IterableIterator<TaskRecord> {
    yield* this.#pausing.keys();
    yield* this.#judged.keys();
  }

  nextDeadlineMs(): number {
    return this.#pauses.nextMs();
  }

  onDeadline(nowMs: number, out: Out): void {
    for (;;) {
      const task = this.#pauses.takeDue(nowMs);
      if (task === undefined) return;
      const pause = this.#pausing.get(task);
      if (pause === undefined) continue;
      this.#pausing.delete(task);
      this.#runAgain(task, pause.why, out);
    }
  }

  #onOutOfMemory(task: TaskRecord, error: EngineError, nowMs: number, out: Out): void {
    const { taskOomRetriesMax, taskOomRetryDelayMs } = this.#context.config;
    const mayNot = task.template.retry.maxRetries === 0 || hasLostBuffers(task);
    const most = mayNot ? 0 : taskOomRetriesMax;
    if (task.outOfMemoryCount >= most) {
      this.#noteExhausted(task);
      const bound = most === 0 ? boundOf(task) : `systemConfig.taskOomRetriesMax ${most}`;
      this.fail(task, error, bound, out);
      return;
    }
    const delayMs = taskOomRetryDelayMs * 2 ** task.outOfMemoryCount;
    task.outOfMemoryCount += 1;
    const next = task.attempt + 2;
    const last = next + most - task.outOfMemoryCount;
    const text = `waits ${delayMs} ms before attempt ${next} of ${last}`;
    this.#pausing.set(task, { text, why: error.message });
    this.#pauses.add(nowMs + delayMs, task);
  }

  #retryException(task: TaskRecord, failed: FailedValue, out: Out): void {
    this.#references.untaken.discard(failed);
    this.counts.retriedExceptions += 1;
    task.retriesUsed += 1;
    this.#runAgain(task, failed.error.message, out);
  }

  #noteExhausted({ attempt }: TaskRecord): void {
    if (attempt > 0) this.counts.exhausted += 1;
  }

  /** With the arguments that it had, once they are there: one may be lost, and be made anew. */
  #runAgain(task: TaskRecord, why: string, out: Out): void {
    this.counts.retried += 1;
    this.#manager.ended.onAttemptFailed(task, why);
    task.attempt += 1;
    if (this.#dependencies.recheck(task, out)) this.#manager.resubmit(task);
  }

  #end(task: TaskRecord, { error, cause }: FailedValue, more: string, out: Out): void {
    const message = `${error.message}${more}`;
    this.#manager.finish(task, new FailedValue({ ...error, message }, cause), null, out);
  }
}

/** The error is that of an argument. */
function isOfAnother({ owner, serial }: TaskRecord, { subject }: EngineError): boolean {
  return subject !== "" && !subject.startsWith(taskIdHex(owner, serial));
}

export function hasRetryLeft(task: TaskRecord): boolean {
  return hasBudgetLeft(task) && !hasLostBuffers(task);
}

function hasBudgetLeft({ retriesUsed, template }: TaskRecord): boolean {
  return retriesUsed < template.retry.maxRetries;
}

/** The attempt that has just failed was the last. */
function attemptsText({ attempt }: TaskRecord, bound: string): string {
  const made = attempt + 1;
  return ` (attempt ${made} of ${made}${bound === "" ? "" : `; ${bound}`})`;
}

function boundOf(task: TaskRecord): string {
  if (hasLostBuffers(task) && hasBudgetLeft(task)) return wentWithIt;
  return `maxRetries ${task.template.retry.maxRetries}`;
}
