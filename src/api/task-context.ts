/**
 * In whose name a call of the api is made: the driver, a task, or a module that a worker imports.
 *
 * AsyncLocalStorage makes every await of a thread several times dearer on Node 20 once it is used,
 * so a worker that runs one task at a time keeps it in a plain variable.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { taskIdHex } from "#engine/common/ids.ts";
import type { IncomingActor, IncomingTask } from "#engine/core-worker/incoming-task.ts";
import type { CoreWorkerClient } from "#engine/services/core-worker-client.ts";
import type { ActorClient } from "#engine/core-worker/actor-client.ts";
import { TaskCancelledError } from "./errors.ts";
import type { Caller } from "./runtime.ts";
import type { TaskId } from "./ids.ts";

export class TaskContext {
  readonly client: CoreWorkerClient;
  /** null inside a constructor. */
  readonly task: IncomingTask | null;
  readonly actor: IncomingActor | null;
  /** Calls of get and wait that have not settled. */
  pendingCount = 0;
  /** The raylet has been told that the task waits. */
  isBlocked = false;
  /** The signal of cancellation, made when somebody asks for it. */
  abortController: AbortController | null = null;
  progress: { done: number; total?: number; message?: string } | null = null;
  /** As which it calls the api, once it has. */
  caller: Caller | null = null;

  constructor(client: CoreWorkerClient, task: IncomingTask | null, actor: IncomingActor | null) {
    this.client = client;
    this.task = task;
    this.actor = actor;
  }

  get depth(): number {
    return this.task === null ? 1 : this.task.depth + 1;
  }

  /** The actor it runs in, as others would know it. */
  self(): ActorClient | null {
    if (this.actor === null) return null;
    const { actorId, descriptor, detached } = this.actor.spec;
    return this.client.core.actors.clientOf(actorId, descriptor.displayName, detached);
  }
}

/** What the body of a cancelled task is told, where it waits and by its signal. */
export function cancelledError({ task }: TaskContext): TaskCancelledError {
  const taskName = task?.definition.taskName ?? "";
  const taskId = (task === null ? "" : taskIdHex(task.owner, task.serial)) as TaskId;
  return new TaskCancelledError(`task ${taskName} (${taskId}) was cancelled`, { taskId });
}

/** A worker imports a module: what its top level says is not for a worker. */
export class ImportContext {
  /** It waits for ever at a call of ours: nothing of it runs any more. */
  isOver = false;
}

/** The driver's program inside a simulated world: what is virtual for it is found by this. */
export class ProgramContext {
  readonly world: object;

  constructor(world: object) {
    this.world = world;
  }
}

type Stored = TaskContext | ImportContext | ProgramContext;

const storage = new AsyncLocalStorage<Stored>();
/** The one task of this thread that runs without the storage. */
let lone: TaskContext | null = null;
let storedTaskCount = 0;
let importCount = 0;
/** Local mode: tasks of many workers and the driver share this thread. */
let alwaysStored = false;

export function useStorageAlways(always: boolean): void {
  alwaysStored = always;
}

export function currentContext(): Stored | null {
  return storage.getStore() ?? lone;
}

export function currentTask(): TaskContext | null {
  const context = currentContext();
  return context instanceof TaskContext ? context : null;
}

/** Runs the beginning of a task's body; its continuations find the context until `leaveTask`. */
export function enterTask<T>(context: TaskContext, body: () => T): T {
  if (!alwaysStored && lone === null && storedTaskCount === 0) {
    lone = context;
    return body();
  }
  storedTaskCount += 1;
  return storage.run(context, body);
}

/** Runs code that the body has left behind, such as its listeners, while the body still runs. */
export function insideTask<T>(context: TaskContext, body: () => T): T {
  return lone === context ? body() : storage.run(context, body);
}

export function leaveTask(context: TaskContext): void {
  if (lone === context) {
    lone = null;
    return;
  }
  storedTaskCount -= 1;
  disableUnused();
}

/** Imports a module outside any task: its top level must not act in a task's name. */
export function importOutside<T>(load: () => Promise<T>): Promise<T> {
  const context = new ImportContext();
  importCount += 1;
  return storage.run(context, load).finally(() => endImport(context));
}

/** The module has ended, or has parked. */
export function endImport(context: ImportContext): void {
  if (context.isOver) return;
  context.isOver = true;
  importCount -= 1;
  disableUnused();
}

/** Runs the driver's program of a simulated world. */
export function insideWorld<T>(context: ProgramContext, body: () => T): T {
  return storage.run(context, body);
}

/** Runs code of the engine for which no task is responsible. */
export function outsideTasks<T>(body: () => T): T {
  return storage.exit(body);
}

function disableUnused(): void {
  if (storedTaskCount === 0 && importCount === 0 && !alwaysStored) storage.disable();
}
