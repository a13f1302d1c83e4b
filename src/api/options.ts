/// <reference lib="esnext.disposable" preserve="true" />
/**
 * Options of every verb, as a user writes them. Resources are decimals with four places, times are
 * milliseconds, sizes are bytes. An unknown option or a wrong kind of value is a TypeError at the
 * call, out of bounds a RangeError.
 */
import type { NodeId, PlacementGroupId } from "./ids.ts";

export type AnyFn = (...args: any[]) => any;
export type AnyClass = abstract new (...args: any[]) => any;
export type ConcreteClass = new (...args: any[]) => any;
/** The public methods of an instance type, by name; symbols never travel. */
export type MethodNames<I> = {
  [K in keyof I]-?: K extends symbol ? never : I[K] extends AnyFn ? K : never;
}[keyof I];

// ---------------------------------------------------------------- waiting

export interface GetOptions {
  timeoutMs?: number;
  /** Aborting stops the waiting, not the task; the wait rejects with the signal's reason. */
  signal?: AbortSignal;
}

export interface WaitOptions extends GetOptions {
  /** Default 1; more than there are refs is a RangeError. */
  numReturns?: number;
  /** Whether a ready value is also brought to this node. Default true. */
  fetchLocal?: boolean;
}

export interface CancelOptions {
  /** A task that ignores its signal loses its thread. */
  force?: boolean;
  /** Also cancels the tasks it submitted. Default true. */
  recursive?: boolean;
}

export interface KillOptions {
  /** Default true: the actor stops for good. */
  noRestart?: boolean;
}

export interface NamespaceOptions {
  namespace?: string;
}

export interface ShutdownOptions {
  /** How long running tasks may go on. */
  graceMs?: number;
}

// ---------------------------------------------------------------- tasks

export interface ResourceOptions {
  /** Tasks: 1. Actors: 1 to be placed, 0 while they run (Ray's rule). */
  numCpus?: number;
  numGpus?: number;
  /** Bytes, a logical resource. */
  memory?: number;
  resources?: Record<string, number>;
  acceleratorType?: string;
  /** `"v"`, `"!v"`, `"in(a,b)"`, `"!in(a,b)"` for each label of a node. */
  labelSelector?: Record<string, string>;
  schedulingStrategy?: SchedulingStrategy;
  runtimeEnv?: RuntimeEnv;
}

export interface TaskOptions extends ResourceOptions {
  name?: string;
  /** The worker ends after this many calls of the function (Ray's recycling); 0 is no bound. */
  maxCalls?: number;
  /** Default 3, for system failures only; -1 is for ever. */
  maxRetries?: number;
  retryExceptions?:
    | boolean
    | ((error: unknown) => boolean)
    | readonly (new (...args: any[]) => Error)[];
  /** Abort cancels the task. */
  signal?: AbortSignal;
  /** Running longer cancels the task with TaskTimeoutError. */
  timeoutMs?: number;
  /** Higher goes first among the waiting tasks of one job; default 0; jobs share fairly. */
  priority?: number;
  generatorBackpressureNumObjects?: number;
  /**
   * Moved, not copied, where the executor is a thread of this process; else copied, and detached
   * all the same.
   */
  transfer?: readonly ArrayBuffer[];
}

export type SchedulingStrategy =
  | "DEFAULT"
  | "SPREAD"
  | NodeAffinitySchedulingStrategy
  | NodeLabelSchedulingStrategy
  | PlacementGroupSchedulingStrategy;
export type NodeAffinitySchedulingStrategy = { nodeId: NodeId; soft?: boolean };
export type NodeLabelSchedulingStrategy = {
  hard?: Record<string, string>;
  soft?: Record<string, string>;
};
export type PlacementGroupSchedulingStrategy = {
  placementGroup: PlacementGroup;
  bundleIndex?: number;
  captureChildTasks?: boolean;
};

export interface RuntimeEnv {
  envVars?: Record<string, string>;
  /**
   * How code reaches other hosts. `"shared"` (default): same path or same package on every node,
   * checked by content hash. `"push"`: the driver's module graph is bundled once and travels
   * through the object store.
   */
  code?: "shared" | "push";
  /** A module every worker imports before its first task. */
  workerProcessSetupHook?: string | URL;
  /** Shipped as a content-addressed archive; the cwd of the worker where it is a process. */
  workingDir?: string;
}

// ---------------------------------------------------------------- actors

/** `I` is the instance type, so that the keys of `methods` are checked. */
export interface ActorOptions<I = any> extends ResourceOptions {
  name?: string;
  namespace?: string;
  getIfExists?: boolean;
  lifetime?: "detached" | "nonDetached";
  /** Default 0; -1 is for ever. */
  maxRestarts?: number;
  /** Default 0 (at most once); -1 is for ever. */
  maxTaskRetries?: number;
  retryExceptions?: TaskOptions["retryExceptions"];
  /** Default 1 for a class without async methods, 1000 for one with any (Ray's rule). */
  maxConcurrency?: number;
  concurrencyGroups?: Record<string, number>;
  /** -1 is no bound. */
  maxPendingCalls?: number;
  allowOutOfOrderExecution?: boolean;
  methods?: { [K in MethodNames<I>]?: MethodOptions };
  /** `"thread"`: a worker of its own. `"shared"`: many light actors on one thread. */
  isolation?: "thread" | "shared";
}

export interface MethodOptions {
  name?: string;
  generatorBackpressureNumObjects?: number;
  maxTaskRetries?: number;
  retryExceptions?: TaskOptions["retryExceptions"];
  concurrencyGroup?: string;
  signal?: AbortSignal;
  timeoutMs?: number;
}

// ---------------------------------------------------------------- the runtime

export interface InitOptions {
  /**
   * Absent: start an embedded head. `"host:port"`: join that cluster over TCP. `"auto"`:
   * MOBULA_ADDRESS, or the cluster last started on this machine.
   */
  address?: string;
  /** Every task and actor in this thread, by the same engine: breakpoints and closures work. */
  localMode?: boolean;
  numCpus?: number;
  numGpus?: number;
  memory?: number;
  resources?: Record<string, number>;
  labels?: Record<string, string>;
  /** Bytes; default 30 % of the memory this process may use. */
  objectStoreMemory?: number;
  spillDirectory?: string;
  namespace?: string;
  includeDashboard?: boolean;
  dashboardHost?: string;
  dashboardPort?: number;
  logToDriver?: boolean;
  ignoreReinitError?: boolean;
  /**
   * Machines check themselves after every event, sealed objects are digested. Default on in local
   * mode.
   */
  checkInvariants?: boolean;
  runtimeEnv?: RuntimeEnv;
  authToken?: string;
  tls?: { ca: string; cert: string; key: string };
  /** Where GCS tables live: `"memory"`, `"file:DIR"`, `"redis://…"`. */
  storage?: string;
  systemConfig?: Record<string, number | boolean | string>;
}

// ---------------------------------------------------------------- placement groups

/** `{ CPU: 2, GPU: 1, memory: 1e9, custom: 1 }` */
export type Bundle = Record<string, number>;

export interface PlacementGroupOptions {
  strategy?: "PACK" | "SPREAD" | "STRICT_PACK" | "STRICT_SPREAD";
  name?: string;
  lifetime?: "detached";
  bundleLabelSelector?: Record<string, string>[];
}

export interface PlacementGroup extends AsyncDisposable {
  readonly id: PlacementGroupId;
  readonly bundleSpecs: readonly Bundle[];
  /** Resolves when every bundle is reserved: a promise, not a ref as Ray's. */
  ready(options?: GetOptions): Promise<void>;
  /** False when it was not placed in time. */
  wait(timeoutMs?: number): Promise<boolean>;
}
