import { fileURLToPath } from "node:url";
import workerpool from "workerpool";
import { toSharedBytes, workerUrl, type System } from "../system.ts";

/** workerpool on worker threads, a fixed number of them, otherwise its default settings. */
export const workerpoolSystem: System = {
  name: "workerpool",
  async startPool(threads) {
    const pool = workerpool.pool(fileURLToPath(workerUrl("workerpool-worker.mjs")), {
      workerType: "thread",
      minWorkers: threads,
      maxWorkers: threads,
      workerThreadOpts: { execArgv: [] },
    });
    const call = (body: string, value: unknown): Promise<number> =>
      pool.exec(body, [value]) as unknown as Promise<number>; // its own promise class, awaitable
    return {
      noop: (x) => call("noop", x),
      fib: (n) => call("fib", n),
      sampleBytes: (bytes) => call("sampleBytes", bytes),
      shareBytes(bytes) {
        const shared = toSharedBytes(bytes);
        return () => call("sampleBytes", shared);
      },
      stop: async () => void (await pool.terminate(true)),
    };
  },
};
