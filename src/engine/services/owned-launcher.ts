/** A launcher as the node holds it that owns it: closed last. */
import type { Launcher } from "#engine/protocol/launcher.ts";

/** Must be made ready before a node is started with it. */
export interface ColdLauncher extends OwnedLauncher {
  prepare(): Promise<void>;
}

export interface OwnedLauncher extends Launcher {
  /** Ends every worker. */
  close(): Promise<void>;
}
