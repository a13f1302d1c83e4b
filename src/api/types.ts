/// <reference lib="esnext.disposable" preserve="true" />
/**
 * Refs, remote functions and handles, as types: how the types of a function's parameters and result
 * become those of a remote call. Nothing here exists at run time.
 */
import type {
  ActorDiedError,
  ActorUnavailableError,
  ActorUnschedulableError,
  DeadlockError,
  GetTimeoutError,
  NodeDiedError,
  ObjectFetchTimedOutError,
  ObjectLostError,
  ObjectReconstructionFailedError,
  OutOfDiskError,
  OutOfMemoryError,
  OwnerDiedError,
  PlacementGroupRemovedError,
  ReferenceCountingAssertionError,
  RuntimeEnvSetupError,
  SerializationError,
  TaskCancelledError,
  TaskError,
  TaskTimeoutError,
  TaskUnschedulableError,
  WorkerCrashedError,
} from "./errors.ts";
import type {
  ActorId,
  ClusterId,
  JobId,
  NodeId,
  ObjectId,
  PlacementGroupId,
  TaskId,
  WorkerId,
} from "./ids.ts";
import type {
  ActorOptions,
  AnyClass,
  AnyFn,
  MethodNames,
  MethodOptions,
  NamespaceOptions,
  TaskOptions,
} from "./options.ts";

// ---------------------------------------------------------------- refs

/** In the type only: it makes refs of different values different types. */
export declare const valueType: unique symbol;

/**
 * A reference to an immutable object, owned by the process (core worker) that made it. Not
 * thenable: an async function may return one without it being unwrapped. Travels inside arguments,
 * results and `put` values.
 */
export interface ObjectRef<out T> extends Disposable {
  readonly id: ObjectId;
  readonly [valueType]: T;
  /**
   * `using ref = ...` releases early; otherwise garbage collection does. Never needed for
   * correctness.
   */
  [Symbol.dispose](): void;
}
export type ValueOf<R extends ObjectRef<any>> = R[typeof valueType];

/**
 * What a generator task returns: refs in yield order, with backpressure; `values` yields the
 * values. One consumer: refs and `values` read the same stream. `break`, `return()` and dispose
 * cancel the task.
 */
export interface ObjectRefGenerator<out T>
  extends AsyncIterableIterator<ObjectRef<T>>, AsyncDisposable {
  readonly values: AsyncIterableIterator<T>;
  /**
   * Settles when the task has finished; its error, if any, is also the last thing the iteration
   * throws.
   */
  completed(): Promise<void>;
}

/**
 * A function that can be asked for refs one after the other or for a value: what `wait` and
 * `cancel` take.
 */
export type AnyRef = ObjectRef<any> | ObjectRefGenerator<any>;

// ---------------------------------------------------------------- from a function to a call

export type IsAny<T> = 0 extends 1 & T ? true : false;
export type Arg<T> = T | ObjectRef<T>;
export type Args<A extends readonly unknown[]> = { [K in keyof A]: Arg<A[K]> };
/**
 * The parameters a caller may give. A top-level ref is resolved before the body runs, so a
 * parameter can never BE a ref: wrap it, `{ ref }` or `[ref]`. Nor a function, which does not
 * clone: pass an actor handle or a remote function.
 */
export type Params<A extends readonly unknown[]> = {
  [K in keyof A]: Exclude<A[K], ObjectRef<any> | AnyFn>;
};

interface Views {
  Int8Array: Int8Array;
  Uint8Array: Uint8Array;
  Uint8ClampedArray: Uint8ClampedArray;
  Int16Array: Int16Array;
  Uint16Array: Uint16Array;
  Int32Array: Int32Array;
  Uint32Array: Uint32Array;
  Float32Array: Float32Array;
  Float64Array: Float64Array;
  BigInt64Array: BigInt64Array;
  BigUint64Array: BigUint64Array;
}
/**
 * A typed array comes back as a view on shared memory, so it does not claim a plain ArrayBuffer
 * (WebCrypto, Blob and TextDecoder refuse shared memory); a Buffer comes back as a Uint8Array. Read
 * only: copy before writing. Seen at the top of a value; inside records write `Uint8Array`, not
 * `Uint8Array<ArrayBuffer>`.
 */
export type Stored<T> = T extends {
  readonly [Symbol.toStringTag]: infer K extends keyof Views;
  readonly buffer: ArrayBufferLike;
}
  ? Views[K]
  : T;

type Streams<Y> = AsyncIterable<Y> | AsyncIterator<Y, any, any> | Iterator<Y, any, any>;
/**
 * Anything with `next()` and any async iterable streams; every other result is one value. Not
 * distributive: a union result is one ref of a union.
 */
export type Returned<R> =
  IsAny<R> extends true
    ? ObjectRef<any>
    : [R] extends [never]
      ? ObjectRef<never>
      : [R] extends [Streams<infer Y>]
        ? ObjectRefGenerator<Stored<Awaited<Y>>>
        : ObjectRef<Stored<Awaited<R>>>;

/**
 * One ref per element, by position for a tuple, N for an array; `never` where the function returns
 * no N values.
 */
export type RefsOf<Out, N extends number> = N extends 1
  ? Out
  : Out extends ObjectRef<infer T extends readonly unknown[]>
    ? number extends T["length"]
      ? Repeat<ObjectRef<T[number]>, N>
      : N extends T["length"]
        ? { -readonly [K in keyof T]: ObjectRef<T[K]> }
        : never
    : never;
type Repeat<E, N extends number, L extends E[] = []> = number extends N
  ? E[]
  : L["length"] extends N
    ? L
    : Repeat<E, N, [...L, E]>;
/** Accepts `numReturns: N` only where `RefsOf` has an answer. */
export type Many<Out, N extends number> = {
  numReturns: [RefsOf<Out, N>] extends [never] ? never : N;
};

// ---------------------------------------------------------------- remote functions and actors

/** `Out` is an `ObjectRef`, an `ObjectRefGenerator`, or a tuple of refs. */
export interface RemoteFunction<A extends unknown[], Out> {
  /**
   * Top-level ref arguments are resolved to values before the body runs; refs inside values stay
   * refs.
   */
  remote(...args: Args<A>): Out;
  /** `numReturns: n`, a literal: the function returns n values; each becomes a ref of its own. */
  options<const N extends number>(
    options: TaskOptions & Many<Out, N>,
  ): RemoteFunction<A, RefsOf<Out, N>>;
  options(options: TaskOptions): RemoteFunction<A, Out>;
}

export interface ActorClass<C extends AnyClass> {
  remote(...args: Args<Params<ConstructorParameters<C>>>): ActorHandle<InstanceType<C>>;
  options(options: ActorOptions<InstanceType<C>>): ActorClass<C>;
  get(name: string, options?: NamespaceOptions): Promise<ActorHandle<InstanceType<C>>>;
}

export interface ActorMethod<A extends unknown[], Out> {
  remote(...args: Args<A>): Out;
  options<const N extends number>(
    options: MethodOptions & Many<Out, N>,
  ): ActorMethod<A, RefsOf<Out, N>>;
  options(options: MethodOptions): ActorMethod<A, Out>;
}

export interface AnyActorHandle extends AsyncDisposable {
  readonly actorId: ActorId;
}
/**
 * Public methods only. Travels in arguments, results and `put`; calls of one handle run in
 * submission order. An actor that is not detached ends once nobody has a handle to it any more and
 * its calls have ended; disposing of a handle ends the actor, too.
 */
export type ActorHandle<I> = AnyActorHandle &
  (IsAny<I> extends true
    ? { readonly [method: string]: any }
    : {
        readonly [K in MethodNames<I>]: I[K] extends (...args: infer A) => infer R
          ? ActorMethod<Params<A>, Returned<R>>
          : never;
      });
export type HandleOf<C> = C extends ActorClass<infer K> ? ActorHandle<InstanceType<K>> : never;

/**
 * What `put` answers for a value that cannot be stored: no ref, so that `get` of it does not
 * compile.
 */
export interface NotStorable {
  readonly error: "await the promise, pass the ref as it is, or make the function remote";
}

// ---------------------------------------------------------------- the runtime and its context

export interface Runtime extends AsyncDisposable {
  /** `"local"` and `"threads"` when embedded, else `host:port`. */
  readonly address: string;
  readonly nodeId: NodeId;
  readonly clusterId: ClusterId;
  readonly dashboardUrl?: string;
}

export type Language = "TYPESCRIPT";

/**
 * The type of the constant `WorkerMode`: SCRIPT is the driver, WORKER a task or actor, LOCAL one
 * thread for all.
 */
export interface WorkerModes {
  readonly SCRIPT: 0;
  readonly WORKER: 1;
  readonly LOCAL: 2;
  readonly SPILL_WORKER: 3;
  readonly RESTORE_WORKER: 4;
}

export interface RuntimeContext {
  readonly jobId: JobId;
  readonly nodeId: NodeId;
  readonly workerId: WorkerId;
  readonly namespace: string;
  readonly workerMode: WorkerModes[keyof WorkerModes];
  readonly taskId?: TaskId;
  readonly taskName?: string;
  readonly actorId?: ActorId;
  readonly actorName?: string;
  currentActor<I = any>(): ActorHandle<I>;
  readonly placementGroupId?: PlacementGroupId;
  readonly attemptNumber: number;
  readonly wasCurrentActorReconstructed: boolean;
  readonly assignedResources: Record<string, number>;
  readonly acceleratorIds: Record<string, string[]>;
  /**
   * Aborted by cancel(); a task that ignores it beyond the grace time loses its thread when
   * `force`.
   */
  readonly signal: AbortSignal;
  progress(done: number, total?: number, message?: string): void;
}

export interface NodeInfo {
  nodeId: NodeId;
  alive: boolean;
  isHead: boolean;
  address: string;
  hostname: string;
  resources: Record<string, number>;
  labels: Record<string, string>;
  deathReason?: string;
}

/** What `get` may throw, as a union to switch over by `name` (or `_tag`). */
export type GetError =
  | TaskError
  | GetTimeoutError
  | TaskCancelledError
  | TaskTimeoutError
  | TaskUnschedulableError
  | WorkerCrashedError
  | NodeDiedError
  | OutOfMemoryError
  | ActorDiedError
  | ActorUnavailableError
  | ActorUnschedulableError
  | ObjectLostError
  | OwnerDiedError
  | ReferenceCountingAssertionError
  | ObjectFetchTimedOutError
  | ObjectReconstructionFailedError
  | OutOfDiskError
  | PlacementGroupRemovedError
  | RuntimeEnvSetupError
  | SerializationError
  | DeadlockError;
