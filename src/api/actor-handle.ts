/**
 * Handles of actors: every string property is a method with `.remote()`; what it was told apart by
 * is hidden.
 */
import type { ActorClient } from "#engine/core-worker/actor-submitter.ts";
import type { CallShape, CoreWorkerClient } from "#engine/services/core-worker-client.ts";
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
}

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
    checkSameRuntime(this.#handle, client);
    const { args: encoded, refs } = values.encodeArguments(args);
    const { actorId, className } = this.#handle.actor;
    const actor = client.core.actors.clientOf(actorId, className);
    const call = { args: encoded, refs, depth, parent: context === null ? null : context.task };
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

export function makeHandle(client: ActorClient, owner: CoreWorkerClient): AnyActorHandle {
  const inside = { actor: client, owner };
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
