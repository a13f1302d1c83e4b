/**
 * PORT: starts and stops workers. An exit is reported exactly once per started worker, after
 * everything that the worker sent before it ended has been delivered.
 */
import type { WorkerId } from "#engine/common/ids.ts";

export type WorkerExit =
  | { readonly type: "stopped" }
  | { readonly type: "exited"; readonly code: number }
  | { readonly type: "uncaught"; readonly message: string }
  /** By what is outside of it, and not at the wish of its node. */
  | { readonly type: "crashed"; readonly by: string }
  | { readonly type: "outOfMemory"; readonly message: string }
  | { readonly type: "failedToStart"; readonly message: string };

export interface LauncherReceiver {
  onWorkerReady(workerId: WorkerId): void;
  onWorkerExit(workerId: WorkerId, exit: WorkerExit): void;
}

export interface Launcher {
  start(workerId: WorkerId): void;
  /** Ends the worker at once, whatever it does. Unknown or ended ones are ignored. */
  stop(workerId: WorkerId): void;
  /**
   * Of the segments that the ended worker had made for itself no thread needs any mapped but those
   * in `kept`. Told again when that are fewer.
   */
  dropSegments(of: { readonly workerId: WorkerId; readonly kept: readonly number[] }): void;
}
