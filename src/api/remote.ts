/** `remote(fn)` and `remote(Class)`: makes something callable on workers, and calls it. */

import type { FunctionDescriptor } from "#engine/common/function-descriptor.ts";
import { makeRequest } from "#engine/common/resources.ts";
import type { CallShape } from "#engine/services/task-templates.ts";
import { countedHandle, firstHandle } from "./actor-handle.ts";
import {
  checkActorOptions,
  checkTaskOptions,
  namesResources,
  requestOf,
  strategyOf,
  taskShape,
} from "./call-shape.ts";
import { ActorNotFoundError } from "./errors.ts";
import { captureCallSite } from "./identity/call-site.ts";
import {
  findRemote,
  type RegisteredRemote,
  registerRemote,
  type RemoteTarget,
  whyNotOnThreads,
} from "./identity/remote-registry.ts";
import { refsOf } from "./object-ref.ts";
import { checkNamespace, checkOptions, describe, type Options } from "./option-checks.ts";
import { onRevive, remoteInternals, setRemoteInternals } from "./remote-internals.ts";
import { type Caller, inert, never, realmState, requireClient } from "./runtime.ts";
import { submitWithSignal } from "./signals.ts";
import type { RemoteSignature } from "./signatures.ts";

export const remote: RemoteSignature = function remote(first: unknown, second?: unknown): never {
  const hasOptions = typeof first !== "function" && second !== undefined;
  const target = hasOptions ? second : first;
  if (typeof target !== "function") {
    throw new TypeError(
      `remote() takes a function or a class, or options and one; got ${describe(target)}`,
    );
  }
  if (target === first && second !== undefined) {
    throw new TypeError(
      `remote(): options come first: remote(options, fn), got ${describe(second)} second`,
    );
  }
  if (remoteInternals(target) !== undefined) {
    throw new TypeError(`remote(): ${target.name} is remote already: give the function itself`);
  }
  const kind = isClass(target) ? "class" : "function";
  const given = hasOptions ? first : {};
  const options = kind === "class" ? checkActorOptions(given) : checkTaskOptions(given);
  const registered = registerRemote({
    target: target as RemoteTarget,
    kind,
    // A task's name is for people and may repeat; what identifies it is its place in the module.
    name: undefined,
    callSite: captureCallSite(remote),
  });
  return makeRemote(registered, options) as never;
};

function makeRemote(registered: RegisteredRemote, options: Options): unknown {
  return registered.descriptor.kind === "class"
    ? makeActorClass(registered, options)
    : makeRemoteFunction(registered, options);
}

// ---------------------------------------------------------------- functions

function makeRemoteFunction(registered: RegisteredRemote, options: Options): unknown {
  let shape: CallShape | undefined;
  const signal = options["signal"] as AbortSignal | undefined;
  const transferred = options["transfer"] as readonly ArrayBuffer[] | undefined;
  const submit = (...args: unknown[]): unknown => {
    const caller = requireClient("remote");
    if (caller === null) return inert;
    if (shape === undefined) {
      assertReachable(registered);
      shape = taskShape(registered.descriptor, options);
    }
    const { client, values, depth, context } = caller;
    const { args: encoded, refs, written, moved } = values.encodeArguments(args, transferred);
    const parent = context === null ? null : context.task;
    const call = { args: encoded, refs, written, moved, depth, parent };
    try {
      if (transferred !== undefined) call.moved = moveAll(transferred, moved);
    } catch (error) {
      // What was encoded goes with a call that never starts; the buffers stay where they are.
      call.moved = null;
      dispose(refsOf(client.submitAborted(null, shape, call), client, submit));
      throw error;
    }
    const task =
      signal === undefined
        ? client.submitTask(shape, call)
        : submitWithSignal(client, signal, { actor: null, shape, made: call });
    return refsOf(task, client, submit);
  };
  const remoteFunction = (): never => {
    const name = registered.descriptor.displayName;
    throw new TypeError(`${name} is a remote function: call it by .remote(), not directly`);
  };
  const more = (given: unknown): unknown =>
    makeRemoteFunction(registered, { ...options, ...checkTaskOptions(given) });
  return finishRemote(remoteFunction, { registered, options, submit, more });
}

/**
 * All are taken from their sender or none is; the result is those in `needed`, which the arguments
 * refer to.
 */
function moveAll(
  transferred: readonly ArrayBuffer[],
  needed: readonly ArrayBuffer[] | null,
): readonly ArrayBuffer[] | null {
  return structuredClone(needed, { transfer: [...transferred] });
}

/** `refs`: as `refsOf` gives them. */
function dispose(refs: unknown): void {
  for (const ref of [refs].flat()) (ref as Disposable)[Symbol.dispose]();
}

// ---------------------------------------------------------------- classes

function makeActorClass(registered: RegisteredRemote, options: Options): unknown {
  let shape: CallShape | undefined;
  const create = (...args: unknown[]): unknown => {
    const caller = requireClient("remote");
    if (caller === null) return inert;
    if (shape === undefined) {
      assertReachable(registered);
      shape = taskShape(registered.descriptor, options);
    }
    return createActor({ caller, shape, registered, options, args });
  };
  // A function, not an arrow: `new` must end here too, and say the same.
  const actorClass = function (): never {
    const name = registered.descriptor.displayName;
    throw new TypeError(`${name} is a remote class: create an actor by .remote(), not directly`);
  };
  const more = (given: unknown): unknown =>
    makeActorClass(registered, { ...options, ...checkActorOptions(given) });
  const finished = finishRemote(actorClass, { registered, options, submit: create, more });
  Object.defineProperty(finished, "get", { value: getActor });
  return finished;
}

function createActor(call: {
  caller: Caller;
  shape: CallShape;
  registered: RegisteredRemote;
  options: Options;
  args: unknown[];
}): unknown {
  const { caller, shape, registered, options } = call;
  const { client, values, depth } = caller;
  const name = (options["name"] as string | undefined) ?? "";
  if (options["getIfExists"] === true && name === "") {
    throw new TypeError(
      "getIfExists needs a name: ActorClass.options({ name, getIfExists: true })",
    );
  }
  const { args, refs, written } = values.encodeArguments(call.args);
  const namespace = (options["namespace"] as string | undefined) ?? namespaceOf(caller);
  const className = classNameOf(registered);
  const detached = options["lifetime"] === "detached";
  const { actor, entry } = client.createActor(
    shape,
    { args, refs, written, depth },
    {
      registration: {
        className,
        name,
        namespace,
        getIfExists: options["getIfExists"] === true,
        detached,
      },
      spec: {
        descriptor: registered.descriptor,
        actorName: name,
        namespace,
        detached,
        placementResources: requestOf(options, 1),
        runningResources: namesResources(options) ? requestOf(options, 0) : makeRequest([]),
        strategy: strategyOf(options),
        maxConcurrency: (options["maxConcurrency"] as number | undefined) ?? 0,
      },
    },
  );
  return firstHandle(actor, client, entry);
}

export async function getActor(name: string, options: { namespace?: string } = {}): Promise<never> {
  const caller = requireClient("getActor");
  if (caller === null) return never();
  if (typeof name !== "string" || name === "") {
    throw new TypeError(
      `an actor's name must be a string that is not empty, got ${describe(name)}`,
    );
  }
  checkOptions("getActor", options, ["namespace"]);
  checkNamespace("getActor: namespace", options.namespace);
  const namespace = options.namespace ?? namespaceOf(caller);
  const { client: owner } = caller;
  const { actorId, className, detached } = await owner.getActorByName(name, namespace);
  if (actorId === null) {
    throw new ActorNotFoundError(
      `no live actor is named ${JSON.stringify(name)} in namespace ${JSON.stringify(namespace)}`,
    );
  }
  const { actors, handles } = owner.core;
  const client = actors.clientOf(actorId, className, detached);
  return countedHandle(client, owner, handles.entryOf(client)) as never;
}

function classNameOf({ target, descriptor }: RegisteredRemote): string {
  return target.name || descriptor.displayName;
}

export function namespaceOf(caller: Caller): string {
  const spec = caller.context?.actor?.spec;
  if (spec !== undefined) return spec.namespace;
  const { driver, worker } = realmState();
  return driver?.namespace ?? worker?.namespace ?? "";
}

// ---------------------------------------------------------------- both

function finishRemote(
  callable: () => never,
  fields: {
    registered: RegisteredRemote;
    options: Options;
    submit: (...args: unknown[]) => unknown;
    more: (options: unknown) => unknown;
  },
): unknown {
  const { registered, options, submit, more } = fields;
  Object.defineProperties(callable, {
    name: { value: registered.descriptor.displayName },
    remote: { value: submit },
    options: { value: more },
  });
  setRemoteInternals(callable, { registered, options });
  return callable;
}

/** On threads the function must be found again by those who import its module. */
function assertReachable(registered: RegisteredRemote): void {
  if (realmState().driver?.mode !== "threads") return;
  const reason = whyNotOnThreads(registered);
  if (reason !== undefined) throw new TypeError(reason);
}

onRevive((descriptor: FunctionDescriptor, options: unknown) => {
  const known = findRemote(descriptor);
  const target: RemoteTarget = (): never => {
    throw new TypeError(`${descriptor.displayName} has not been loaded in this thread`);
  };
  const registered = known ?? { descriptor, target, isBelowInit: false, unimportable: "" };
  return makeRemote(registered, options as Options);
});

function isClass(target: object): boolean {
  return /^class\b/.test(Function.prototype.toString.call(target));
}
