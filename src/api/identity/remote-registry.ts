/**
 * The remote functions and classes of this realm, from the `remote()` call that registers one to
 * the task that looks it up. One table a realm: two copies of the package in a program share it.
 */
import type { FunctionDescriptor } from "#engine/common/function-descriptor.ts";
import { type CallSite, describeLocation, shortModuleName } from "./call-site.ts";
import { sourceHashOf } from "./code-transform.ts";

/** A function or a class; what it takes is known only to the types of the public API. */
export type RemoteTarget =
  | ((...args: never[]) => unknown)
  | (abstract new (...args: never[]) => unknown);

/** The part of a descriptor that finds the function. */
export type RemoteId = Pick<FunctionDescriptor, "moduleUrl" | "name" | "ordinal">;

export interface RegisteredRemote {
  readonly descriptor: FunctionDescriptor;
  readonly target: RemoteTarget;
  /** The module had called `init()` before: a worker parks there and never gets this far. */
  readonly isBelowInit: boolean;
  /** What the caller is when no worker can import it; else "". */
  readonly unimportable: string;
}

export interface RemoteRegistration {
  readonly target: RemoteTarget;
  readonly kind: FunctionDescriptor["kind"];
  readonly name?: string | undefined;
  readonly callSite: CallSite;
}

type RegistrationListener = (remote: RegisteredRemote) => void;

interface RealmRegistry {
  /** By module URL, then by key within the module; in order of registration. */
  readonly modules: Map<string, Map<string, RegisteredRemote>>;
  /** What was found by an id, for the next call that brings it; forgotten with a registration. */
  found: WeakMap<RemoteId, RegisteredRemote>;
  /** By evaluation of a module and name. */
  readonly nextOrdinals: Map<string, number>;
  /** Modules that called `init()`. */
  readonly initializedModules: Set<string>;
  readonly listeners: Set<RegistrationListener>;
}

const registryKey = Symbol.for("mobula.remotes");

export function registerRemote(registration: RemoteRegistration): RegisteredRemote {
  const { target, kind, callSite } = registration;
  const { moduleUrl } = callSite;
  const name = registration.name ?? "";
  const registry = realmRegistry();
  const displayName = displayNameOnDemand(target, callSite);
  const remote: RegisteredRemote = {
    descriptor: {
      moduleUrl,
      ordinal: takeOrdinal(registry, callSite, name),
      name,
      kind,
      parameterCount: target.length,
      sourceHash: sourceHashOf(String(target), callSite.scriptName),
      get displayName(): string {
        return displayName();
      },
    },
    target,
    isBelowInit: registry.initializedModules.has(moduleUrl),
    unimportable: callSite.unimportable,
  };
  let module = registry.modules.get(moduleUrl);
  if (module === undefined) registry.modules.set(moduleUrl, (module = new Map()));
  module.set(keyInModule(remote.descriptor), remote);
  registry.found = new WeakMap();
  for (const listener of registry.listeners) listener(remote);
  return remote;
}

export function findRemote(id: RemoteId): RegisteredRemote | undefined {
  const { found, modules } = realmRegistry();
  const known = found.get(id);
  if (known !== undefined) return known;
  const remote = modules.get(id.moduleUrl)?.get(keyInModule(id));
  if (remote !== undefined) found.set(id, remote);
  return remote;
}

/** What a module has registered so far, in order. */
export function remotesOfModule(moduleUrl: string): readonly RegisteredRemote[] {
  return [...(realmRegistry().modules.get(moduleUrl)?.values() ?? [])];
}

/** Calls back inside every later `remote()`, until the returned function is called. */
export function onRegistered(listener: RegistrationListener): () => void {
  const { listeners } = realmRegistry();
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/**
 * Counts on from here: the same program, run again in this realm, names its functions as before.
 * Returns what puts the counts back.
 */
export function keepOrdinals(): () => void {
  const { nextOrdinals } = realmRegistry();
  const kept = [...nextOrdinals];
  return () => {
    nextOrdinals.clear();
    for (const [counter, ordinal] of kept) nextOrdinals.set(counter, ordinal);
  };
}

/** The driver notes the module that called `init()`. */
export function markInitialized(moduleUrl: string): void {
  if (moduleUrl !== "") realmRegistry().initializedModules.add(moduleUrl);
}

/** Why no worker thread can find the function, and what to do; undefined when one can. */
export function whyNotOnThreads(remote: RegisteredRemote): string | undefined {
  const { moduleUrl, displayName } = remote.descriptor;
  if (remote.unimportable !== "") {
    return (
      `${displayName} is in ${remote.unimportable}, and a worker cannot import that: ` +
      "save it to a file or use init({ localMode: true })"
    );
  }
  if (!remote.isBelowInit) return undefined;
  const module = shortModuleName(moduleUrl);
  return (
    `${displayName} is declared below \`await init()\` in ${module}, or in a function called ` +
    "later: a worker that imports the module stops at `init()` and never gets there. " +
    "Declare it at the top level above `init()`, or in another module"
  );
}

/** `hello.ts#0`, or `hello.ts#square` for a named one. */
export function describeRemoteId({ moduleUrl, name, ordinal }: RemoteId): string {
  const repetition = ordinal === 0 ? "" : `~${ordinal}`;
  return `${shortModuleName(moduleUrl)}#${name === "" ? ordinal : name + repetition}`;
}

function realmRegistry(): RealmRegistry {
  const realm = globalThis as { [registryKey]?: RealmRegistry };
  return (realm[registryKey] ??= {
    modules: new Map(),
    found: new WeakMap(),
    nextOrdinals: new Map(),
    initializedModules: new Set(),
    listeners: new Set(),
  });
}

/**
 * Each evaluation of a file counts for itself: a worker evaluates it once. Scripts that no worker
 * imports share one count, because only this realm looks them up.
 */
function takeOrdinal(registry: RealmRegistry, callSite: CallSite, name: string): number {
  const evaluation = callSite.moduleUrl === "" ? "" : callSite.scriptName;
  const counter = `${evaluation}\n${name}`;
  const ordinal = registry.nextOrdinals.get(counter) ?? 0;
  registry.nextOrdinals.set(counter, ordinal + 1);
  return ordinal;
}

function keyInModule({ name, ordinal }: RemoteId): string {
  return `${name}#${ordinal}`;
}

/** Finding the original line may decode a whole source map: only a message pays for it. */
function displayNameOnDemand(target: RemoteTarget, callSite: CallSite): () => string {
  let displayName: string | undefined;
  return () => (displayName ??= `${target.name || "anonymous"} (${describeLocation(callSite)})`);
}
