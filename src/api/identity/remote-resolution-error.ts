/**
 * Why a thread cannot find the function of a task, in words that say what to change in the program.
 */
import type { FunctionDescriptor } from "#engine/common/function-descriptor.ts";
import { isInstance, thrownSummary } from "#engine/common/thrown.ts";
import { shortModuleName } from "./call-site.ts";
import { isSameSource } from "./code-transform.ts";
import { describePark, explainTaskError } from "./parked-modules.ts";
import { type RegisteredRemote, describeRemoteId, remotesOfModule } from "./remote-registry.ts";

export type RemoteResolutionReason =
  | "belowPark"
  | "importFailed"
  | "importUnfinished"
  | "mismatch"
  | "noTypeScriptLoader"
  | "notRegistered"
  | "unimportable";

/** For user code a TypeError: the program is at fault, not the engine. */
export class RemoteResolutionError extends TypeError {
  readonly reason: RemoteResolutionReason;

  constructor(reason: RemoteResolutionReason, message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}

export function unimportableError(wanted: FunctionDescriptor): RemoteResolutionError {
  return new RemoteResolutionError(
    "unimportable",
    `${wanted.displayName} is in code that a worker cannot import: ` +
      "save it to a file or use init({ localMode: true })",
  );
}

/** The module was evaluated to its end. */
export function notRegisteredError(wanted: FunctionDescriptor): RemoteResolutionError {
  return new RemoteResolutionError(
    "notRegistered",
    `${wanted.displayName} (${describeRemoteId(wanted)}) is not registered in the worker, ` +
      `where the module ${describeRegistered(wanted.moduleUrl)}: its remote() is inside a ` +
      "function body or under a condition. Call remote() at module top level, the same way in " +
      "every thread, or use init({ localMode: true })",
  );
}

/** The module is parked, and what stands below the parked call is never reached. */
export function belowParkError(wanted: FunctionDescriptor): RemoteResolutionError {
  return new RemoteResolutionError(
    "belowPark",
    `${wanted.displayName} (${describeRemoteId(wanted)}) is declared below ` +
      `${describePark(wanted.moduleUrl)}, where a worker that imports the module stops: ` +
      "move it above, at module top level, or into another module",
  );
}

export function importUnfinishedError(
  wanted: FunctionDescriptor,
  elapsedMs: number,
): RemoteResolutionError {
  const module = shortModuleName(wanted.moduleUrl);
  const park = describePark();
  const cause =
    park === undefined
      ? "a top-level `await` in it, or in a module it imports, has not ended"
      : `a worker stops at ${park}; a module that imports that one, even in a cycle, is never ` +
        "evaluated there. Move what it needs from there into a module of its own";
  return new RemoteResolutionError(
    "importUnfinished",
    `${wanted.displayName} is not registered in the worker: ${module} is still being imported ` +
      `after ${elapsedMs / 1000} s: ${cause}`,
  );
}

export function importFailedError(
  moduleUrl: string,
  cause: unknown,
  advice: string,
): RemoteResolutionError {
  if (isInstance(cause, RemoteResolutionError)) return cause;
  const hint = explainTaskError(cause, moduleUrl) ?? advice;
  return new RemoteResolutionError(
    "importFailed",
    `importing ${moduleUrl} in a worker failed: ${thrownSummary(cause)} (${hint})`,
    { cause },
  );
}

/** Undefined when the function found is the one that was meant. */
export function mismatchError(
  wanted: FunctionDescriptor,
  { descriptor: found }: RegisteredRemote,
): RemoteResolutionError | undefined {
  const isSameShape = wanted.kind === found.kind && wanted.parameterCount === found.parameterCount;
  if (isSameShape && isSameSource(wanted.sourceHash, found.sourceHash)) return undefined;
  const difference = isSameShape ? ", with different code" : "";
  return new RemoteResolutionError(
    "mismatch",
    `${describeRemoteId(wanted)} is ${describeShape(wanted)} in the driver but ` +
      `${describeShape(found)} in the worker${difference}. Calls of remote() are matched by ` +
      "their order in the module: take them out of conditions, or name them, " +
      'remote({ name: "…" }, fn); if the file has changed, restart the program',
  );
}

function describeShape({ kind, displayName, parameterCount }: FunctionDescriptor): string {
  const plural = parameterCount === 1 ? "" : "s";
  return `${kind} ${displayName} with ${parameterCount} parameter${plural}`;
}

function describeRegistered(moduleUrl: string): string {
  const remotes = remotesOfModule(moduleUrl);
  if (remotes.length === 0) return "registers nothing";
  return `registers ${remotes.map(({ descriptor }) => descriptor.displayName).join(", ")}`;
}
