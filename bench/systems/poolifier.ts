import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { FixedThreadPool } from "poolifier";
import { toSharedBytes, workerUrl, type System } from "../system.ts";

/** `destroy()` of 5.3.2 now and then never settles although every worker has ended. */
async function workersGone(pool: { readonly info: { readonly workerNodes: number } }) {
  while (pool.info.workerNodes > 0) await setTimeout(5);
}

/** poolifier's fixed thread pool by default: no task queue, calls are posted at once. */
export const poolifier: System = {
  name: "poolifier",
  async startPool(threads) {
    const file = fileURLToPath(workerUrl("poolifier-worker.mjs"));
    const pool = new FixedThreadPool<number | Uint8Array, number>(threads, file, {
      workerOptions: { execArgv: [] },
    });
    return {
      noop: (x) => pool.execute(x, "noop"),
      fib: (n) => pool.execute(n, "fib"),
      sampleBytes: (bytes) => pool.execute(bytes, "sampleBytes"),
      shareBytes(bytes) {
        const shared = toSharedBytes(bytes);
        return () => pool.execute(shared, "sampleBytes");
      },
      stop: () => Promise.race([pool.destroy(), workersGone(pool)]),
    };
  },
};
