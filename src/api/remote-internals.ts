/**
 * What lies behind a remote function or class: told from anything else without touching its
 * properties.
 */
import type { FunctionDescriptor } from "#engine/common/function-descriptor.ts";
import type { RegisteredRemote } from "./identity/remote-registry.ts";

export interface RemoteInternals {
  readonly registered: RegisteredRemote;
  /** As the user gave them, merged. */
  readonly options: Readonly<Record<string, unknown>>;
}

const internals = new WeakMap<object, RemoteInternals>();

export function remoteInternals(value: object): RemoteInternals | undefined {
  return typeof value === "function" ? internals.get(value) : undefined;
}

export function setRemoteInternals(value: object, fields: RemoteInternals): void {
  internals.set(value, fields);
}

type Revive = (descriptor: FunctionDescriptor, options: unknown) => unknown;

let revive: Revive | undefined;

/**
 * remote.ts says how a remote function is made of its descriptor: it imports this module, not the
 * reverse.
 */
export function onRevive(make: Revive): void {
  revive = make;
}

export function reviveRemote(descriptor: FunctionDescriptor, options: unknown): unknown {
  if (revive === undefined) throw new TypeError("remote functions cannot be received here");
  return revive(descriptor, options);
}
