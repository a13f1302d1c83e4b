/** A launcher as the node holds it that owns it: made ready before the first start, closed last. */
import type { Launcher } from "#engine/protocol/launcher.ts";

export interface OwnedLauncher extends Launcher {
  /** Before the first start. */
  prepare(): Promise<void>;
  /** Ends every worker. */
  close(): Promise<void>;
}
