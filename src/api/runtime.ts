/**
 * The runtime of this process and the question of every call: who is asking, and may it act now?
 *
 * One state a realm, under a global symbol, so that two copies of the package in a program share
 * it.
 */
import type { CoreWorkerClient } from "#engine/services/core-worker-client.ts";
import { NotInitializedError } from "./errors.ts";
import { moduleUrlsOnStack } from "./identity/call-site.ts";
import { noteParked } from "./identity/parked-modules.ts";
import { currentContext, endImport, ImportContext, TaskContext } from "./task-context.ts";
import type { Runtime } from "./types.ts";
import type { Values } from "./values.ts";

/** One core worker as the api uses it. In local mode a thread has several. */
export interface Process {
  readonly client: CoreWorkerClient;
  readonly values: Values;
}

interface RegisteredProcess extends Process {
  /** Of its runtime. */
  readonly clusterId: string;
}

/** As a caller it is the program outside of any task. */
export interface DriverRuntime extends Caller {
  readonly context: null;
  readonly mode: "local" | "threads";
  readonly namespace: string;
  readonly runtime: Runtime;
  /** Everything behind the machines is built: raylet, GCS, workers may start. */
  readonly ready: Promise<void>;
  /** What started it, for AlreadyInitializedError. */
  readonly startedBy: string;
  shutdown(graceMs: number): Promise<void>;
}

export interface WorkerRuntime extends Process {
  readonly mode: "worker";
  readonly namespace: string;
  readonly runtime: Runtime;
}

interface RealmState {
  driver: DriverRuntime | null;
  worker: WorkerRuntime | null;
  /** The last runtime is being shut down: the next one starts when it has ended. */
  ending: Promise<void> | null;
  /** A runtime was shut down: nothing starts one by itself any more. */
  wasShutDown: boolean;
  /** Starts the default runtime; set by init.ts, absent in workers. */
  autoInit: ((verb: string) => DriverRuntime) | null;
}

const stateKey = Symbol.for("mobula.runtime");

export function realmState(): RealmState {
  const realm = globalThis as { [stateKey]?: RealmState };
  return (realm[stateKey] ??= {
    driver: null,
    worker: null,
    ending: null,
    wasShutDown: false,
    autoInit: null,
  });
}

/** A caller that may act: its process, and how deep its calls are nested. */
export interface Caller extends Process {
  readonly depth: number;
  readonly context: TaskContext | null;
}

export function addProcess(process: Process, clusterId: string): void {
  const registered: RegisteredProcess = { clusterId, ...process };
  process.client.process = registered;
}

/** Whether two processes of this realm are of one runtime. */
export function isOfRuntime(process: CoreWorkerClient, other: CoreWorkerClient): boolean {
  if (process === other) return true;
  const clusterId = registeredOf(process)?.clusterId;
  return clusterId !== undefined && clusterId === registeredOf(other)?.clusterId;
}

function registeredOf(client: CoreWorkerClient): RegisteredProcess | null {
  return client.process as RegisteredProcess | null;
}

/**
 * Who is calling. Null in a module that a worker imports: the call is parked, it must do nothing.
 * Throws NotInitializedError where there is no runtime and none may be started.
 */
export function requireClient(verb: string): Caller | null {
  const context = currentContext();
  if (context instanceof TaskContext) return callerOf(context);
  const state = realmState();
  if (state.worker !== null) {
    if (context === null && !isSelfBooted()) throw outsideTaskError(verb);
    park(verb);
    return null;
  }
  return state.driver ?? autoInit(state, verb);
}

function callerOf(context: TaskContext): Caller {
  if (context.caller !== null) return context.caller;
  const process = registeredOf(context.client);
  if (process === null) throw new NotInitializedError("the task's worker has ended");
  const { client, values } = process;
  const caller: Caller = { client, values, depth: context.depth, context };
  context.caller = caller;
  return caller;
}

function autoInit(state: RealmState, verb: string): DriverRuntime {
  if (state.wasShutDown) {
    throw new NotInitializedError(
      `${verb}: the runtime was shut down; call init() to start another`,
    );
  }
  if (state.autoInit === null) throw new NotInitializedError(`${verb}: call init() first`);
  return state.autoInit(verb);
}

function outsideTaskError(verb: string): NotInitializedError {
  return new NotInitializedError(
    `${verb}: called in a worker thread outside of any task (a timer or event handler that a ` +
      "task or module left behind?); in a worker only tasks and actor methods may call mobula",
  );
}

// ---------------------------------------------------------------- parking

let parkedCallCount = 0;
/** What gives a promise that never settles stops the module; these let it go on. */
const goingOn: ReadonlySet<string> = new Set(["remote", "put", "asCompleted"]);

export function park(verb: string): void {
  parkedCallCount += 1;
  const [moduleUrl] = moduleUrlsOnStack(requireClient);
  noteParked(moduleUrl, verb);
  const context = currentContext();
  if (context instanceof ImportContext && !goingOn.has(verb)) endImport(context);
}

/** A promise of a parked call: the module's evaluation ends here, in a worker. */
export function never<T>(): Promise<T> {
  return new Promise(() => {});
}

/**
 * What a parked call gives: it names nothing, is never used, and any further call on it parks too.
 */
export const inert: unknown = new Proxy(() => {}, {
  get: (_, key) => (key === "then" || typeof key === "symbol" ? undefined : inert),
  apply: () => inert,
});

export function parkedCalls(): number {
  return parkedCallCount;
}

let selfBooted = false;

/** The program's own bundle is the worker's entry: all its top level is a module being imported. */
export function markSelfBooted(): void {
  selfBooted = true;
}

function isSelfBooted(): boolean {
  return selfBooted;
}
