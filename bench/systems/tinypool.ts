import { fileURLToPath } from "node:url";
import { Tinypool } from "tinypool";
import { toSharedBytes, workerUrl, type System } from "../system.ts";

/** tinypool, a piscina fork, with a fixed number of threads and otherwise its default settings. */
export const tinypool: System = {
  name: "tinypool",
  movesBytes: true,
  async startPool(threads) {
    const pool = new Tinypool({
      filename: fileURLToPath(workerUrl("tasks.mjs")),
      name: "noop",
      minThreads: threads,
      maxThreads: threads,
      execArgv: [],
    });
    const [fib, sampleBytes] = [{ name: "fib" }, { name: "sampleBytes" }];
    return {
      noop: (x) => pool.run(x),
      fib: (n) => pool.run(n, fib),
      sampleBytes: (bytes) => pool.run(bytes, sampleBytes),
      moveBytes: (bytes) => pool.run(bytes, { ...sampleBytes, transferList: [bytes.buffer] }),
      shareBytes(bytes) {
        const shared = toSharedBytes(bytes);
        return () => pool.run(shared, sampleBytes);
      },
      stop: () => pool.destroy(),
    };
  },
};
