/**
 * Call signatures of the verbs, apart from their bodies: `export const get: GetSignature = ...`.
 */
import type {
  AnyClass,
  AnyFn,
  ActorOptions,
  Bundle,
  CancelOptions,
  ConcreteClass,
  GetOptions,
  InitOptions,
  KillOptions,
  NamespaceOptions,
  PlacementGroup,
  PlacementGroupOptions,
  ShutdownOptions,
  TaskOptions,
  WaitOptions,
} from "./options.ts";
import type {
  ActorClass,
  ActorHandle,
  AnyActorHandle,
  AnyRef,
  IsAny,
  Many,
  NodeInfo,
  NotStorable,
  ObjectRef,
  Params,
  RefsOf,
  RemoteFunction,
  Returned,
  Runtime,
  RuntimeContext,
  Stored,
  ValueOf,
} from "./types.ts";

// ---------------------------------------------------------------- making things remote

/**
 * Makes a function or a class remote. Called at module top level; a worker finds it again by module
 * URL and the ordinal of the `remote()` call in that module (or by `name`). Calling the result
 * directly does not compile and, at run time, throws TypeError naming `.remote()`.
 */
export interface RemoteSignature {
  <C extends ConcreteClass>(cls: C): ActorClass<C>;
  <C extends ConcreteClass>(options: ActorOptions<InstanceType<C>>, cls: C): ActorClass<C>;
  <A extends unknown[], R>(
    fn: (this: void, ...args: A) => R,
  ): RemoteFunction<Params<A>, Returned<R>>;
  <A extends unknown[], R, const N extends number>(
    options: TaskOptions & Many<Returned<R>, N>,
    fn: (this: void, ...args: A) => R,
  ): RemoteFunction<Params<A>, RefsOf<Returned<R>, N>>;
  <A extends unknown[], R>(
    options: TaskOptions,
    fn: (this: void, ...args: A) => R,
  ): RemoteFunction<Params<A>, Returned<R>>;
}

/**
 * How the own fields of an instance become a value that travels, and back: needed by a class with
 * `#` fields.
 */
export interface ClassCodec<I, W = unknown> {
  serialize(value: I): W;
  deserialize(wire: W): I;
}
/**
 * An instance arrives as a plain object, without its methods, unless its class is registered (at
 * module top level, as `remote`). Error classes too: `TaskError.cause` is then of its own class.
 */
export type RegisterClassSignature = <C extends AnyClass, W = unknown>(
  cls: C,
  codec?: ClassCodec<InstanceType<C>, W>,
) => void;

/** Ends the running method after this call and stops the actor for good. Only inside an actor. */
export type ExitActorSignature = () => never;

// ---------------------------------------------------------------- the runtime

/** Starts or joins. No options: an embedded head on this process, one worker thread per CPU. */
export type InitSignature = (options?: InitOptions) => Promise<Runtime>;
export type IsInitializedSignature = () => boolean;
export type ShutdownSignature = (options?: ShutdownOptions) => Promise<void>;

// ---------------------------------------------------------------- objects

/**
 * Synchronous; copies into the node's object store. Throws ObjectStoreFullError only when memory
 * and spill disk are both full, TypeError for a promise, a function or a ref (Ray's rule).
 */
export interface PutSignature {
  <T>(value: IsAny<T> extends true ? T : never): ObjectRef<any>;
  <T extends ArrayBufferView>(value: T): ObjectRef<Stored<T>>;
  (value: PromiseLike<any> | AnyFn | ObjectRef<any>): NotStorable;
  <T>(value: T): ObjectRef<T>;
}

/**
 * The only way to a value: `await ref` gives the ref itself, at once. An aborted `signal` stops the
 * waiting, not the task, and rejects with its reason.
 */
export interface GetSignature {
  <R extends ObjectRef<any>>(ref: R, options?: GetOptions): Promise<ValueOf<R>>;
  <const T extends readonly ObjectRef<any>[]>(
    refs: T,
    options?: GetOptions,
  ): Promise<{ -readonly [K in keyof T]: ValueOf<T[K]> }>;
}

/**
 * A partition of `refs` in their given order, the very objects given (they are good Map keys); at
 * most `numReturns` ready. A generator is ready when its next item is.
 */
export type WaitSignature = <R extends AnyRef>(
  refs: readonly R[],
  options?: WaitOptions,
) => Promise<[ready: R[], notReady: R[]]>;

/** The refs given, each as its value becomes ready. */
export type AsCompletedSignature = <R extends ObjectRef<any>>(
  refs: Iterable<R>,
  options?: GetOptions,
) => AsyncIterableIterator<R>;

export type CancelSignature = (target: AnyRef, options?: CancelOptions) => Promise<void>;
export type KillSignature = (actor: AnyActorHandle, options?: KillOptions) => Promise<void>;
export type GetActorSignature = <I = any>(
  name: string,
  options?: NamespaceOptions,
) => Promise<ActorHandle<I>>;

// ---------------------------------------------------------------- placement groups

export type PlacementGroupSignature = (
  bundles: readonly Bundle[],
  options?: PlacementGroupOptions,
) => PlacementGroup;
export type GetPlacementGroupSignature = (name: string) => Promise<PlacementGroup>;
export type RemovePlacementGroupSignature = (group: PlacementGroup) => Promise<void>;
export type GetCurrentPlacementGroupSignature = () => PlacementGroup | null;

// ---------------------------------------------------------------- context and cluster

export type GetRuntimeContextSignature = () => RuntimeContext;
export type GetGpuIdsSignature = () => string[];
export type NodesSignature = () => Promise<NodeInfo[]>;
export type ClusterResourcesSignature = () => Promise<Record<string, number>>;
export type AvailableResourcesSignature = ClusterResourcesSignature;
/** Chrome trace events (chrome://tracing, Perfetto). With a path, also writes the file. */
export type TimelineSignature = (path?: string) => Promise<object[]>;
