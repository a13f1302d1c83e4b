/**
 * Handles of actors: every string property is a method with `.remote()`; what it was told apart by
 * is hidden. A handle is one count on its actor, given back when it is collected.
 */
import { actorIndex, makerOf } from "#engine/common/ids.ts";
import type { ActorClient } from "#engine/core-worker/actor-client.ts";
import type { ObjectEntry } from "#engine/core-worker/object-entry.ts";
import type { ActorSpecial } from "#engine/protocol/outcome.ts";
import type { CoreWorkerClient } from "#engine/services/core-worker-client.ts";
import type { CallShape } from "#engine/services/task-templates.ts";
import { checkMethodOptions, methodShape } from "./call-shape.ts";
import { type CreationCall, refsOf } from "./object-ref.ts";
import type { Options } from "./option-checks.ts";
import { inert, isOfRuntime, requireClient } from "./runtime.ts";
import { submitWithSignal } from "./signals.ts";
import type { AnyActorHandle } from "./types.ts";

const inspect = Symbol.for("nodejs.util.inspect.custom");
const internals = new WeakMap<object, HandleInternals>();

export interface HandleInternals {
  readonly actor: ActorClient;
  /** Of the process where the handle was made or has arrived. */
  readonly owner: CoreWorkerClient;
  /** What it counts on; null for a detached actor, and for an actor's handle to itself. */
  readonly entry: ObjectEntry | null;
  /** A closure has carried it into another process. */
  isCaptured: boolean;
}

/** Of the store, as it were: whoever makes many actors and drops them collects in time. */
const actorWeightBytes = 4 << 20;

/** What lies behind a handle; undefined for anything else. */
export function handleInternals(value: object): HandleInternals | undefined {
  return internals.get(value);
}

/** In local mode a closure may carry a handle to another worker, but none outlives its runtime. */
export function checkSameRuntime({ actor, owner }: HandleInternals, user: CoreWorkerClient): void {
  if (isOfRuntime(owner, user)) return;
  throw new TypeError(
    `the handle of ${actor.className} ${actor.actorId} belongs to another runtime: an actor ends ` +
      "with the runtime that it was created in",
  );
}

/** The actor as the process knows it that uses the handle. */
function clientIn(user: CoreWorkerClient, handle: HandleInternals): ActorClient {
  checkSameRuntime(handle, user);
  const { actor, owner, entry } = handle;
  if (owner === user) return actor;
  if (entry !== null && !handle.isCaptured) {
    handle.isCaptured = true;
    owner.core.references.nameOutOfBand(entry);
  }
  return user.core.actors.clientOf(actor.actorId, actor.className, actor.isDetached);
}

/** What a value carries for the handle. */
export function actorSpecial(user: CoreWorkerClient, handle: HandleInternals): ActorSpecial {
  const actor = clientIn(user, handle);
  // It must be found by its name from now on.
  user.core.handles.entryOf(actor);
  const { actorId, className, isDetached } = actor;
  const { maker: owner, serial } = makerOf(actorId);
  return { type: "actor", owner, serial, index: actorIndex, className, isDetached };
}

/** What an argument that is the handle uses; null if nobody counts it. */
export function handleEntry(user: CoreWorkerClient, handle: HandleInternals): ObjectEntry | null {
  return user.core.handles.entryOf(clientIn(user, handle));
}

/** One method of one handle. */
class ActorMethod {
  readonly #handle: HandleInternals;
  readonly #method: string;
  readonly #shape: CallShape;
  readonly #options: Options;

  constructor(handle: HandleInternals, method: string, options: Options) {
    this.#handle = handle;
    this.#method = method;
    this.#options = options;
    this.#shape = methodShape(handle.actor.className, method, options);
  }

  /** `calledFrom`: what user code called. */
  remote(args: unknown[], calledFrom: CreationCall): unknown {
    const caller = requireClient("remote");
    if (caller === null) return inert;
    const { client, values, depth, context } = caller;
    const actor = clientIn(client, this.#handle);
    const { args: encoded, refs, written } = values.encodeArguments(args);
    const parent = context === null ? null : context.task;
    const call = { args: encoded, refs, written, depth, parent };
    const signal = this.#options["signal"] as AbortSignal | undefined;
    const task =
      signal === undefined
        ? client.submitActorTask(actor, this.#shape, call)
        : submitWithSignal(client, signal, { actor, shape: this.#shape, made: call });
    return refsOf(task, client, calledFrom);
  }

  options(options: Options): ActorMethod {
    const merged = { ...this.#options, ...checkMethodOptions(options) };
    return new ActorMethod(this.#handle, this.#method, merged);
  }
}

/** What a property of a handle is: called directly it says how it is meant. */
function callableMethod(method: ActorMethod, name: string): object {
  const callable = (): never => {
    throw new TypeError(`${name} is a method of an actor: call it by .remote(), not directly`);
  };
  const remote = (...args: unknown[]): unknown => method.remote(args, remote);
  return Object.defineProperties(callable, {
    name: { value: name },
    remote: { value: remote },
    options: { value: (options: Options) => callableMethod(method.options(options), name) },
  });
}

/**
 * Names that the language calls wherever it finds a function: a handle with a function `then` would
 * look like a promise, and `await` would swallow it.
 */
function isCalledByOthers(name: string): boolean {
  return name === "then" || name === "toJSON";
}

function plainMethod(method: ActorMethod): object {
  const remote = (...args: unknown[]): unknown => method.remote(args, remote);
  return { remote, options: (options: Options) => plainMethod(method.options(options)) };
}

/** A handle in this process to an actor that is known here. */
export function newHandle(client: ActorClient, owner: CoreWorkerClient): AnyActorHandle {
  const entry = owner.core.handles.entryOf(client);
  if (entry !== null) entry.localRefs += 1;
  return countedHandle(client, owner, entry);
}

/** The first handle of an actor that this process has just made; its count is raised. */
export function firstHandle(
  client: ActorClient,
  owner: CoreWorkerClient,
  entry: ObjectEntry | null,
): AnyActorHandle {
  const handle = countedHandle(client, owner, entry);
  const inside = internals.get(handle);
  if (entry !== null && inside !== undefined) owner.reclaimer.weigh?.(inside, actorWeightBytes);
  return handle;
}

/** The entry's count has been raised for it already. */
export function countedHandle(
  client: ActorClient,
  owner: CoreWorkerClient,
  entry: ObjectEntry | null,
): AnyActorHandle {
  const inside = { actor: client, owner, entry, isCaptured: false };
  if (entry !== null) watchHandle(inside, entry, owner);
  return makeHandle(inside);
}

/** An actor's handle to itself: it must not keep the actor that keeps it. */
export function weakHandle(client: ActorClient, owner: CoreWorkerClient): AnyActorHandle {
  return makeHandle({ actor: client, owner, entry: null, isCaptured: false });
}

/**
 * Its methods keep the inside, too, so that is watched. Apart: what is called later must not keep
 * it alive.
 */
function watchHandle(inside: object, entry: ObjectEntry, owner: CoreWorkerClient): void {
  owner.reclaimer.watch(inside, () => owner.dropRef(entry), true);
}

function makeHandle(inside: HandleInternals): AnyActorHandle {
  const { actor: client, owner } = inside;
  const methods = new Map<string, object>();
  const text = (): string => `ActorHandle(${client.className} ${client.actorId})`;
  // Node looks at the target of a proxy, and not by its traps.
  const target = Object.create(null, { [inspect]: { value: text } }) as object;
  const handle = new Proxy(target, {
    get(_, key): unknown {
      if (key === inspect || key === Symbol.toPrimitive) return text;
      if (key === Symbol.asyncDispose) {
        return () => owner.killActor(client.actorId, "its handle was disposed");
      }
      if (typeof key === "symbol") return undefined;
      if (key === "actorId") return client.actorId;
      let method = methods.get(key);
      if (method === undefined) {
        const name = `${client.className}.${key}`;
        const called = new ActorMethod(inside, key, {});
        method = isCalledByOthers(key) ? plainMethod(called) : callableMethod(called, name);
        methods.set(key, method);
      }
      return method;
    },
    has: (_, key) => key === "actorId" || key === Symbol.asyncDispose,
    set(_, key): boolean {
      throw new TypeError(`cannot set ${String(key)} of an actor's handle: call a method instead`);
    },
  });
  internals.set(handle, inside);
  return handle as AnyActorHandle;
}
