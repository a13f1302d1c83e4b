/**
 * Objects of this owner whose last copy is gone: AVAILABLE → PENDING, while the task that made them
 * runs again → AVAILABLE with another version, or FAILED with the reason why not.
 *
 * A recovering object is pending like a new one, so whoever comes waits for it as for a first
 * value; what it is recovering from is known here.
 *
 * State:  none of its own: what runs again, and why, is noted in its kept spec.
 * In/out: lastCopyLost → tasks to the TaskManager, their arguments first; outcomes.
 * Bounds: one recovery an object, a run a task for all that it lost meanwhile; each costs a retry.
 *         Arguments of arguments are a work list, not a stack.
 * Errors: OBJECT_RECONSTRUCTION_FAILED with the reason in `detail`.
 * Source: Ray object_recovery_manager, ResubmitTask; protocols §4 Object. Another copy of the same
 *         version comes first: that is the business of who keeps the locations, and tells of it
 *         only when there is none.
 */
import { engineError } from "#engine/common/error-type.ts";
import { argumentsIndex, objectIdHex, objectKey } from "#engine/common/ids.ts";
import { FailedValue, StoredValue } from "#engine/protocol/outcome.ts";
import type { LastCopyLost } from "./calls.ts";
import type { DependencyResolver } from "./dependency-resolver.ts";
import { type ObjectEntry, taskOf, type TaskRecord } from "./object-entry.ts";
import type { Out, ProcessContext } from "./process-context.ts";
import type { ReferenceCounter } from "./reference-counter.ts";
import type { KeptSpec, TaskLineage } from "./task-lineage.ts";
import type { TaskManager } from "./task-manager.ts";
import { hasRetryLeft } from "./task-retries.ts";
import { hasLostBuffers } from "./transferred-buffers.ts";

type Reason =
  | "PUT"
  | "BORROWED"
  | "MAX_ATTEMPTS_EXCEEDED"
  | "RETRIES_DISABLED"
  | "BUFFERS_TRANSFERRED"
  | "LINEAGE_EVICTED"
  | "DEPENDENCY_FAILED";

const words: Readonly<Record<Reason, string>> = {
  PUT: "it was put, not made by a task that could run again: put it where it is needed again",
  BORROWED: "only its owner could make it anew",
  MAX_ATTEMPTS_EXCEEDED: "its task has no retry left; raise maxRetries",
  RETRIES_DISABLED: "its task may not run again (maxRetries 0, or a call of an actor)",
  BUFFERS_TRANSFERRED: "its task may not run again: its transferred buffers went with it",
  LINEAGE_EVICTED: "what its task was given has been forgotten; raise systemConfig.maxLineageBytes",
  DEPENDENCY_FAILED: "an argument of its task could not be made anew",
};

/** Then what was missing is what it was given: of what lies on the owner's node little is kept. */
function mayRunAgain(entry: ObjectEntry): boolean {
  const task = taskOf(entry);
  return task !== undefined && task.actor === null && task.template.retry.maxRetries !== 0;
}

/** They were moved to the process that ran it, so nobody has them any more. */
function wasGivenBuffers(entry: ObjectEntry): boolean {
  const task = taskOf(entry);
  return task !== undefined && hasLostBuffers(task);
}

export class ObjectRecovery {
  readonly counts = { recovered: 0, failed: 0 };
  readonly #context: ProcessContext;
  readonly #references: ReferenceCounter;
  readonly #lineage: TaskLineage;
  readonly #manager: TaskManager;
  readonly #dependencies: DependencyResolver;
  readonly #toRun: KeptSpec[] = [];

  constructor(parts: {
    context: ProcessContext;
    references: ReferenceCounter;
    lineage: TaskLineage;
    manager: TaskManager;
    dependencies: DependencyResolver;
  }) {
    this.#context = parts.context;
    this.#references = parts.references;
    this.#lineage = parts.lineage;
    this.#manager = parts.manager;
    this.#dependencies = parts.dependencies;
  }

  onLastCopyLost({ entry, why }: LastCopyLost, out: Out): void {
    if (entry.state !== "AVAILABLE" || !(entry.outcome instanceof StoredValue)) return;
    this.#recover(entry, why);
    for (let spec = this.#toRun.pop(); spec !== undefined; spec = this.#toRun.pop()) {
      this.#runAgain(spec, out);
    }
  }

  /** Why the task runs, if that is to make something anew; "" otherwise. */
  reasonOf(task: TaskRecord): string {
    const spec = this.#lineage.find(task);
    return spec?.isRunning === true ? `runs again to make what was lost (${spec.why})` : "";
  }

  /** An argument of a task has failed: its outcome. A lost object says what that means for it. */
  failureOf(task: TaskRecord, failed: FailedValue): FailedValue {
    if (this.#lineage.find(task)?.isRunning !== true) return failed;
    this.counts.failed += 1;
    return this.#failure(task, "DEPENDENCY_FAILED", failed.error.message);
  }

  /** The object becomes pending, and its task is to run; or it has failed for good. */
  #recover(entry: ObjectEntry, why: string): void {
    const spec = this.#lineage.find(entry);
    const reason = this.#whyNot(entry, spec);
    if (reason !== null || spec === undefined) {
      this.counts.failed += 1;
      const failed = this.#failure(entry, reason ?? "RETRIES_DISABLED", why);
      this.#references.dropContained(entry.outcome);
      entry.outcome = failed;
      entry.state = "FAILED";
      return;
    }
    // The old place of its bytes stays: executors that were told of it ask for it by name.
    entry.state = "PENDING";
    this.counts.recovered += 1;
    if (spec.isRunning) return;
    spec.isRunning = true;
    spec.why = why;
    this.#toRun.push(spec);
  }

  #whyNot(entry: ObjectEntry, spec: KeptSpec | undefined): Reason | null {
    if (entry.owner !== this.#context.self) return "BORROWED";
    if (entry.index === 0 || entry.index === argumentsIndex) return "PUT";
    if (wasGivenBuffers(entry)) return "BUFFERS_TRANSFERRED";
    if (spec === undefined) return mayRunAgain(entry) ? "LINEAGE_EVICTED" : "RETRIES_DISABLED";
    if (spec.isEvicted) return "LINEAGE_EVICTED";
    return spec.isRunning || hasRetryLeft(spec.task) ? null : "MAX_ATTEMPTS_EXCEEDED";
  }

  #runAgain(spec: KeptSpec, out: Out): void {
    const { task, why } = spec;
    task.attempt += 1;
    task.retriesUsed += 1;
    this.#lineage.run(spec, (argument) => this.#recover(argument, why));
    this.#manager.onSubmitted();
    if (this.#dependencies.recheck(task, out)) this.#manager.resubmit(task);
  }

  #failure({ owner, serial, index }: ObjectEntry, reason: Reason, why: string): FailedValue {
    const subject = objectIdHex(owner, objectKey(serial, index));
    const message = `object ${subject} is lost and cannot be made anew: ${words[reason]} (${why})`;
    // To whoever looks at it in a program it is one of those.
    const detail = reason === "BUFFERS_TRANSFERRED" ? "RETRIES_DISABLED" : reason;
    const error = engineError("OBJECT_RECONSTRUCTION_FAILED", message, subject, detail);
    return new FailedValue(error, null);
  }
}
