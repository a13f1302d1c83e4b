/** User code of a simulated worker, with every start of a task counted for the oracles. */
import { taskIdHex } from "#engine/common/ids.ts";
import type { IncomingActor, IncomingTask } from "#engine/core-worker/task-receiver.ts";
import type { FailedValue } from "#engine/protocol/outcome.ts";
import type { ActorInstance, PreparedCall, UserCode } from "#engine/services/executor.ts";

export interface Start {
  readonly taskId: string;
  readonly taskName: string;
  count: number;
}

/** Executions by task, over the whole run. */
export class StartCounts {
  readonly #starts = new Map<string, Start>();

  add({ owner, serial, definition }: IncomingTask): void {
    const taskId = taskIdHex(owner, serial);
    const start = this.#starts.get(taskId);
    if (start !== undefined) start.count += 1;
    else this.#starts.set(taskId, { taskId, taskName: definition.taskName, count: 1 });
  }

  all(): IterableIterator<Start> {
    return this.#starts.values();
  }
}

export class WatchedUserCode implements UserCode {
  readonly #userCode: UserCode;
  readonly #starts: StartCounts;

  constructor(userCode: UserCode, starts: StartCounts) {
    this.#userCode = userCode;
    this.#starts = starts;
  }

  prepareTask(
    task: IncomingTask,
    actor: ActorInstance | null,
  ): PreparedCall | Promise<PreparedCall> {
    this.#starts.add(task);
    return this.#userCode.prepareTask(task, actor);
  }

  prepareConstructor(actor: IncomingActor): PreparedCall | Promise<PreparedCall> {
    return this.#userCode.prepareConstructor(actor);
  }

  defaultConcurrency(instance: object): number {
    return this.#userCode.defaultConcurrency(instance);
  }

  encodeError(error: unknown, taskName: string, subject: string): FailedValue {
    return this.#userCode.encodeError(error, taskName, subject);
  }
}
