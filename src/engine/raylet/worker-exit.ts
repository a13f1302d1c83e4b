/** What the end of a thread means to those who used it, in words. */
import { engineError, forceCancel } from "#engine/common/error-type.ts";
import type { EngineError } from "#engine/common/error-type.ts";
import type { WorkerId } from "#engine/common/ids.ts";
import type { WorkerExit } from "#engine/protocol/launcher.ts";

/** Why this node stopped a thread. */
export interface StopCause {
  readonly kind: "forced" | "outOfMemory";
  readonly text: string;
}

export function describeExit(
  workerId: WorkerId,
  exit: WorkerExit,
  cause: StopCause | null = null,
): string {
  const thread = `worker thread ${workerId}`;
  switch (exit.type) {
    case "stopped":
      return cause === null ? `${thread} was stopped` : `${thread} was ended: ${cause.text}`;
    case "exited":
      return `${thread} called process.exit(${exit.code})`;
    case "uncaught":
      return `${thread} was ended by an uncaught error outside a task: ${exit.message}`;
    case "crashed":
      return `${thread} was crashed by ${exit.by}`;
    case "outOfMemory":
      return `${thread} ran out of heap memory: ${exit.message}`;
    case "failedToStart":
      return `${thread} did not start: ${exit.message}`;
  }
}

/** `stopCause`: why this node stopped it, if it did. */
export function exitError(
  workerId: WorkerId,
  exit: WorkerExit,
  stopCause: StopCause | null,
): EngineError {
  const cause = exit.type === "stopped" ? stopCause : null;
  const ranOut = exit.type === "outOfMemory" || cause?.kind === "outOfMemory";
  const text = describeExit(workerId, exit, cause);
  const type = ranOut ? "OUT_OF_MEMORY" : "WORKER_CRASHED";
  return engineError(type, text, "", cause?.kind === "forced" ? forceCancel : "");
}
