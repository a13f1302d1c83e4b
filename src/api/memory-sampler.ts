/**
 * Looks what memory the process uses, and tells its raylet when that is more than it should be.
 * The raylet decides what is to be done.
 */
import type { Config } from "#engine/common/config.ts";
import type { WorkerId } from "#engine/common/ids.ts";
import type { MemorySampled } from "#engine/raylet/memory-monitor.ts";
import { usableMemoryBytes } from "./node-plan.ts";

export interface ThreadSizes {
  /** What each thread holds, where this version of Node tells. */
  workerBytes(): Promise<ReadonlyMap<WorkerId, number>>;
}

/** Until it is stopped; does not keep the process alive. */
export class MemorySampler {
  readonly #threshold: number;
  readonly #threads: ThreadSizes;
  readonly #tell: (sample: MemorySampled) => void;
  readonly #limitBytes = usableMemoryBytes();
  readonly #timer: NodeJS.Timeout | null;
  #isLooking = false;

  constructor(config: Config, threads: ThreadSizes, tell: (sample: MemorySampled) => void) {
    this.#threshold = config.memoryUsageThreshold;
    this.#threads = threads;
    this.#tell = tell;
    const look = (): void => void this.#look();
    const { memoryMonitorMs } = config;
    this.#timer = memoryMonitorMs > 0 ? setInterval(look, memoryMonitorMs).unref() : null;
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
  }

  async #look(): Promise<void> {
    const usedBytes = process.memoryUsage.rss();
    if (usedBytes < this.#limitBytes * this.#threshold || this.#isLooking) return;
    this.#isLooking = true;
    const workerBytes = await this.#threads.workerBytes();
    this.#isLooking = false;
    const limitBytes = this.#limitBytes;
    this.#tell({ type: "memorySampled", usedBytes, limitBytes, workerBytes });
  }
}
