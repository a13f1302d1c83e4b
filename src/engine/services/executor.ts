/**
 * Runs user code for one core worker: resolve the function → decode the arguments → call → encode
 * the result. A plain function ends within the call; an asynchronous one when its promise does.
 *
 * What user code is, where it is found and how values are encoded is the api's business: the
 * UserCode port.
 */
import { Deque } from "#engine/common/deque.ts";
import { engineError, type EngineError } from "#engine/common/error-type.ts";
import { taskIdHex } from "#engine/common/ids.ts";
import { thrownText } from "#engine/common/thrown.ts";
import type { CoreWorkerCall } from "#engine/core-worker/calls.ts";
import type { IncomingActor, IncomingTask } from "#engine/core-worker/incoming-task.ts";
import type { TaskReceiver } from "#engine/core-worker/task-receiver.ts";
import type { Outcome } from "#engine/protocol/outcome.ts";
import { FailedValue } from "#engine/protocol/outcome.ts";
import type { TaskSink } from "./host.ts";

/** A call that is ready to run: `run` enters the task's context and calls the user's function. */
export interface PreparedCall {
  run(): unknown;
  /** Encodes what `run` gave; may be asynchronous when the arena must be asked for room. */
  encode(result: unknown): Outcome | readonly Outcome[] | Promise<Outcome | readonly Outcome[]>;
  encodeError(error: unknown): FailedValue;
  /** The context is left for good. */
  finish(): void;
}

export interface UserCode {
  /**
   * May be asynchronous (a module to import); then it copies what it needs of the task's bytes
   * first.
   */
  prepareTask(
    task: IncomingTask,
    actor: ActorInstance | null,
  ): PreparedCall | Promise<PreparedCall>;
  prepareConstructor(actor: IncomingActor): PreparedCall | Promise<PreparedCall>;
  /** Calls of a class that has async methods run concurrently, as in Ray. */
  defaultConcurrency(instance: object): number;
  encodeError(error: unknown, taskName: string, subject: string): FailedValue;
}

/** The actor of this worker, once constructed. */
export interface ActorInstance {
  readonly actor: IncomingActor;
  readonly instance: object;
}

export class Executor implements TaskSink {
  readonly #receiver: TaskReceiver;
  readonly #userCode: UserCode;
  readonly #report: (event: CoreWorkerCall, nowMs?: number) => void;
  readonly #nowMs: () => number;
  readonly #accepted = new Deque<IncomingTask>();
  #actor: ActorInstance | null = null;

  constructor(parts: {
    receiver: TaskReceiver;
    userCode: UserCode;
    report: (event: CoreWorkerCall, nowMs?: number) => void;
    nowMs: () => number;
  }) {
    this.#receiver = parts.receiver;
    this.#userCode = parts.userCode;
    this.#report = parts.report;
    this.#nowMs = parts.nowMs;
  }

  wantsTask(): boolean {
    return this.#receiver.wantsTask();
  }

  accept(task: IncomingTask): void {
    this.#accepted.push(task);
  }

  runAccepted(): boolean {
    if (this.#accepted.size === 0) return false;
    for (let task = this.#accepted.shift(); task; task = this.#accepted.shift()) {
      this.#start(task);
    }
    return true;
  }

  construct(actor: IncomingActor): void {
    const prepare = (): Promise<PreparedCall> | PreparedCall =>
      this.#userCode.prepareConstructor(actor);
    // The constructor runs in a turn of its own, never inside the drain that brought it.
    void Promise.resolve()
      .then(prepare)
      .then((call) => this.#runConstructor(actor, call))
      .catch((error: unknown) => this.#constructorFailed(actor, error));
  }

  #start(task: IncomingTask): void {
    const startMs = this.#nowMs();
    let call: PreparedCall | Promise<PreparedCall>;
    try {
      call = this.#userCode.prepareTask(task, this.#actor);
    } catch (error) {
      this.#failed(task, startMs, error);
      return;
    }
    if (!isThenable(call)) {
      this.#run(task, startMs, call);
      return;
    }
    call.then(
      (prepared) => {
        if (task.isCancelled) this.#neverRan(task, startMs);
        else this.#run(task, this.#nowMs(), prepared);
      },
      (error: unknown) => this.#failed(task, startMs, error),
    );
  }

  #run(task: IncomingTask, startMs: number, call: PreparedCall): void {
    let result: unknown;
    let later: Promise<unknown> | null;
    try {
      result = call.run();
      // Whatever has a `then`: only a promise of our own calls back once.
      later = isThenable(result) ? Promise.resolve(result) : null;
    } catch (error) {
      this.#end(task, startMs, call, errorOf(call, error, task));
      return;
    }
    if (later === null) {
      this.#encode({ task, startMs, call, result });
      return;
    }
    later.then(
      (value: unknown) => this.#encode({ task, startMs, call, result: value }),
      (error: unknown) => this.#end(task, startMs, call, errorOf(call, error, task)),
    );
  }

  #encode(ended: {
    task: IncomingTask;
    startMs: number;
    call: PreparedCall;
    result: unknown;
  }): void {
    const { task, startMs, call, result } = ended;
    let outcome: ReturnType<PreparedCall["encode"]>;
    try {
      outcome = call.encode(result);
    } catch (error) {
      outcome = errorOf(call, error, task);
    }
    if (!(outcome instanceof Promise)) {
      this.#end(task, startMs, call, outcome);
      return;
    }
    outcome.then(
      (encoded) => this.#end(task, startMs, call, encoded),
      (error: unknown) => this.#end(task, startMs, call, errorOf(call, error, task)),
    );
  }

  #end(
    task: IncomingTask,
    startMs: number,
    call: PreparedCall,
    outcome: Outcome | readonly Outcome[],
  ): void {
    call.finish();
    const several = Array.isArray(outcome) ? (outcome as readonly Outcome[]) : null;
    const nowMs = this.#nowMs();
    const finished = {
      type: "taskFinished" as const,
      task,
      durationMs: nowMs - startMs,
      outcome: several === null ? (outcome as Outcome) : several[0],
      outcomes: several === null ? null : several.slice(1),
    };
    this.#report(finished, nowMs);
  }

  /** It was cancelled while its module was imported. */
  #neverRan(task: IncomingTask, startMs: number): void {
    const durationMs = this.#nowMs() - startMs;
    this.#report({ type: "taskFinished", task, durationMs, outcome: undefined, outcomes: null });
  }

  /** The task never ran: its function or its arguments could not be had. */
  #failed(task: IncomingTask, startMs: number, error: unknown): void {
    const { taskName } = task.definition;
    const subject = taskIdHex(task.owner, task.serial);
    const encode = (): FailedValue => this.#userCode.encodeError(error, taskName, subject);
    const outcome = encodedError(encode, error, { taskName, subject });
    const durationMs = this.#nowMs() - startMs;
    this.#report({
      type: "taskFinished",
      task,
      durationMs,
      outcome,
      outcomes: null,
    });
  }

  async #runConstructor(actor: IncomingActor, call: PreparedCall): Promise<void> {
    let instance: unknown;
    try {
      const made = call.run();
      // An actor may have a method `then`: only a promise is waited for.
      instance = made instanceof Promise ? await made : made;
    } catch (error) {
      call.finish();
      throw error;
    }
    call.finish();
    this.#actor = { actor, instance: instance as object };
    const asked = actor.spec.maxConcurrency;
    const maxConcurrency =
      asked > 0 ? asked : this.#userCode.defaultConcurrency(instance as object);
    this.#report({ type: "constructorFinished", actor, failure: null, maxConcurrency });
  }

  #constructorFailed(actor: IncomingActor, thrown: unknown): void {
    const { spec } = actor;
    const className = spec.descriptor.displayName;
    const subject = spec.actorId;
    const encode = (): FailedValue => this.#userCode.encodeError(thrown, className, subject);
    const failed = encodedError(encode, thrown, { taskName: className, subject });
    const error: EngineError = {
      type: "ACTOR_DIED",
      message: `the constructor of ${className} threw: ${failed.error.message}`,
      subject: spec.actorId,
      detail: className,
    };
    const failure = { error, cause: failed.cause };
    this.#report({ type: "constructorFinished", actor, failure, maxConcurrency: 0 });
  }
}

function isThenable<T>(value: T | PromiseLike<T>): value is PromiseLike<T> {
  return (
    typeof value === "object" &&
    value !== null &&
    typeof (value as { then?: unknown }).then === "function"
  );
}

function errorOf(call: PreparedCall, error: unknown, task: IncomingTask): FailedValue {
  const { taskName } = task.definition;
  const subject = taskIdHex(task.owner, task.serial);
  return encodedError(() => call.encodeError(error), error, { taskName, subject });
}

/** No error of user code may end the thread, not even one that cannot be encoded. */
function encodedError(
  encode: () => FailedValue,
  error: unknown,
  failed: { readonly taskName: string; readonly subject: string },
): FailedValue {
  try {
    return encode();
  } catch (notEncodable) {
    const { taskName, subject } = failed;
    const lost = `its error is lost: ${thrownText(notEncodable)}`;
    const message = `${taskName} failed: ${thrownText(error)} (${lost})`;
    return new FailedValue(engineError("TASK_ERROR", message, subject, taskName), null);
  }
}
