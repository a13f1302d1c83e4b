/** User code of a worker, with every start and end of a task shown to the oracles. */
import { taskIdHex } from "#engine/common/ids.ts";
import type { IncomingActor, IncomingTask } from "#engine/core-worker/incoming-task.ts";
import type { FailedValue, Outcome } from "#engine/protocol/outcome.ts";
import type { ActorInstance, PreparedCall, UserCode } from "#engine/services/executor.ts";

export interface UserCodeWatch {
  /** What it throws fails the task. */
  onStarted(task: IncomingTask): void;
  /** Its returns by position, or its failure alone. */
  onEnded(task: IncomingTask, outcomes: readonly Outcome[]): void;
  onThrown(subject: string): void;
  onConstructing(actor: IncomingActor): void;
}

export class WatchedUserCode implements UserCode {
  readonly #userCode: UserCode;
  readonly #watch: UserCodeWatch;

  constructor(userCode: UserCode, watch: UserCodeWatch) {
    this.#userCode = userCode;
    this.#watch = watch;
  }

  prepareTask(
    task: IncomingTask,
    actor: ActorInstance | null,
  ): PreparedCall | Promise<PreparedCall> {
    const watched = (call: PreparedCall): PreparedCall => new WatchedCall(call, task, this.#watch);
    const neverRan = (error: unknown): never => {
      this.#watch.onEnded(task, []);
      throw error;
    };
    try {
      this.#watch.onStarted(task);
      const prepared = this.#userCode.prepareTask(task, actor);
      return prepared instanceof Promise ? prepared.then(watched, neverRan) : watched(prepared);
    } catch (error) {
      return neverRan(error);
    }
  }

  async prepareConstructor(actor: IncomingActor): Promise<PreparedCall> {
    this.#watch.onConstructing(actor);
    return this.#userCode.prepareConstructor(actor);
  }

  defaultConcurrency(instance: object): number {
    return this.#userCode.defaultConcurrency(instance);
  }

  encodeError(error: unknown, taskName: string, subject: string): FailedValue {
    this.#watch.onThrown(subject);
    return this.#userCode.encodeError(error, taskName, subject);
  }
}

class WatchedCall implements PreparedCall {
  readonly #call: PreparedCall;
  readonly #task: IncomingTask;
  readonly #watch: UserCodeWatch;
  #outcomes: readonly Outcome[] = [];

  constructor(call: PreparedCall, task: IncomingTask, watch: UserCodeWatch) {
    this.#call = call;
    this.#task = task;
    this.#watch = watch;
  }

  run(): unknown {
    return this.#call.run();
  }

  encode(result: unknown): ReturnType<PreparedCall["encode"]> {
    const encoded = this.#call.encode(result);
    if (encoded instanceof Promise) return encoded.then((outcome) => this.#keep(outcome));
    return this.#keep(encoded);
  }

  encodeError(error: unknown): FailedValue {
    this.#watch.onThrown(taskIdHex(this.#task.owner, this.#task.serial));
    const failed = this.#call.encodeError(error);
    this.#outcomes = [failed];
    return failed;
  }

  finish(): ReturnType<PreparedCall["finish"]> {
    this.#watch.onEnded(this.#task, this.#outcomes);
    return this.#call.finish();
  }

  #keep<O extends Outcome | readonly Outcome[]>(outcome: O): O {
    this.#outcomes = Array.isArray(outcome)
      ? (outcome as readonly Outcome[])
      : [outcome as Outcome];
    return outcome;
  }
}
