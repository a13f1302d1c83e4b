/**
 * Too much of the node's memory is used → ends threads, until what they held makes room; their
 * tasks run again by the rules for want of memory.
 *
 * Order: idle threads, the largest first; then those whose work may run again, the latest first;
 *         then the others, the latest first. As many as it takes for the use, less what they hold,
 *         and a reserve, to be within the threshold; only one where sizes are not known.
 * In/out: memorySampled → StopWorker, with the reason.
 * Bounds: nothing more is ended before those that were have gone.
 * Errors: OUT_OF_MEMORY to those who had work there.
 * Source: Ray 2.56, worker killing policy by time and memory_monitor.
 */
import type { Config } from "#engine/common/config.ts";
import type { WorkerId } from "#engine/common/ids.ts";
import type { PooledWorker, WorkerPool } from "./worker-pool.ts";

/** Of this node: what its processes use of what they may. */
export interface MemorySampled {
  readonly type: "memorySampled";
  readonly usedBytes: number;
  readonly limitBytes: number;
  /** Heap and buffers of its threads, where they are known. */
  readonly workerBytes: ReadonlyMap<WorkerId, number>;
}

/** What runs, or may run, on a thread. */
export interface ThreadWork {
  /** For people. */
  readonly what: string;
  /** All of it may run again. */
  readonly isRetriable: boolean;
}

interface Candidate {
  readonly worker: PooledWorker;
  readonly bytes: number;
  /** Null: it is idle. */
  readonly work: ThreadWork | null;
}

/** Kept free beyond the threshold, so that the next sample does not begin anew. */
const reserveShare = 0.05;
const reserveBytesMax = 3 * 1024 ** 3;

export class MemoryMonitor {
  readonly #config: Config;
  readonly #pool: WorkerPool;

  constructor(config: Config, pool: WorkerPool) {
    this.#config = config;
    this.#pool = pool;
  }

  /** Threads to be ended, in order, each with why. */
  victims(
    { usedBytes, limitBytes, workerBytes }: MemorySampled,
    workOf: (worker: PooledWorker) => ThreadWork | null,
  ): { readonly worker: PooledWorker; readonly why: string }[] {
    const allowedBytes = limitBytes * this.#config.memoryUsageThreshold;
    if (usedBytes < allowedBytes || this.#pool.isEndingForMemory) return [];
    const reserveBytes = Math.min(limitBytes * reserveShare, reserveBytesMax);
    const candidates = [...this.#pool.ready()].map((worker) => {
      return { worker, bytes: workerBytes.get(worker.id) ?? 0, work: workOf(worker) };
    });
    candidates.sort(bySacrifice);
    const chosen: { worker: PooledWorker; why: string }[] = [];
    let leftBytes = usedBytes;
    for (const candidate of candidates) {
      if (leftBytes + reserveBytes <= allowedBytes) break;
      chosen.push({ worker: candidate.worker, why: this.#why(candidate, usedBytes, limitBytes) });
      if (candidate.bytes === 0) break;
      leftBytes -= candidate.bytes;
    }
    return chosen;
  }

  #why({ work, bytes }: Candidate, usedBytes: number, limitBytes: number): string {
    const percent = Math.round(this.#config.memoryUsageThreshold * 100);
    const size = bytes > 0 ? `, which held ${bytes} bytes,` : "";
    const what = work === null ? `it${size} was idle` : `it${size} had ${work.what}`;
    return (
      `the node used ${usedBytes} of ${limitBytes} bytes of memory, more than ${percent} % ` +
      `(systemConfig.memoryUsageThreshold), and ${what}`
    );
  }
}

function bySacrifice(a: Candidate, b: Candidate): number {
  const rank = ({ work }: Candidate): number => (work === null ? 0 : work.isRetriable ? 1 : 2);
  if (rank(a) !== rank(b)) return rank(a) - rank(b);
  return a.work === null ? b.bytes - a.bytes : b.worker.lastGrant - a.worker.lastGrant;
}
