/**
 * What cannot be read from the disk is read again before it counts as lost: an error may pass, and
 * bytes may be spoilt on their way only. Each copy that is read has tries of its own.
 */
import type { Config } from "#engine/common/config.ts";
import type { SpillFailure } from "./spill-io.ts";

/** The first is one of them. */
const triesMax = { io: 3, full: 3, corrupt: 2 } as const;

export class ReadTries {
  #failedCount = 0;

  /** When it is read again; null: it is lost. */
  next({ kind }: SpillFailure, nowMs: number, { spillRetryMs }: Config): number | null {
    this.#failedCount += 1;
    if (this.#failedCount >= triesMax[kind]) return null;
    // An error takes its time, twice as much when it comes again.
    return kind === "corrupt" ? nowMs : nowMs + spillRetryMs * this.#failedCount;
  }
}
