/** What the end of a thread means to those who used it, in words. */
import { engineError, forceCancel } from "#engine/common/error-type.ts";
import type { EngineError } from "#engine/common/error-type.ts";
import type { WorkerId } from "#engine/common/ids.ts";
import type { WorkerExit } from "#engine/protocol/launcher.ts";

/** `stopReason`: why this node stopped it, or "". */
export function describeExit(workerId: WorkerId, exit: WorkerExit, stopReason = ""): string {
  const thread = `worker thread ${workerId}`;
  switch (exit.type) {
    case "stopped":
      return stopReason === "" ? `${thread} was stopped` : `${thread} was ended: ${stopReason}`;
    case "exited":
      return `${thread} called process.exit(${exit.code})`;
    case "uncaught":
      return `${thread} was ended by an uncaught error outside a task: ${exit.message}`;
    case "outOfMemory":
      return `${thread} ran out of heap memory: ${exit.message}`;
    case "failedToStart":
      return `${thread} did not start: ${exit.message}`;
  }
}

export function exitError(workerId: WorkerId, exit: WorkerExit, stopReason: string): EngineError {
  const type = exit.type === "outOfMemory" ? "OUT_OF_MEMORY" : "WORKER_CRASHED";
  const wasForced = exit.type === "stopped" && stopReason !== "";
  const text = describeExit(workerId, exit, stopReason);
  return engineError(type, text, "", wasForced ? forceCancel : "");
}
