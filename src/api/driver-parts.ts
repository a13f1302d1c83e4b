/** What a driver is made of, in every mode: the parts that exist at once, and those that follow. */
import type { MemoryWords } from "#engine/services/memory-words.ts";
import type { OverflowPort } from "#engine/services/overflow-port.ts";
import type { ColdLauncher } from "#engine/services/owned-launcher.ts";
import type { SpillPort } from "#engine/services/spill-port.ts";
import type { SharedArena } from "#transports/threads/shared-arena.ts";
import type { Process } from "./runtime.ts";

export interface DriverParts {
  readonly process: Process;
  readonly launcher: ColdLauncher;
  readonly arena: SharedArena;
  readonly memoryWords: MemoryWords;
  readonly segmentBytes: readonly number[];
  readonly spilling: SpillPort;
  readonly overflow: OverflowPort;
  /** Nothing is read or sent any more. */
  stop(): void;
  /** Before the first worker starts: loads the oracles, if there are to be any. */
  watch(): Promise<void>;
  /** When all has ended: throws what the oracles saw and no call has told. */
  verify(): void;
}
