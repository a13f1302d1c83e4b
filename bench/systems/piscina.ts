/** piscina on a fixed number of threads: by default, and with settings that suit small tasks. */
import { fileURLToPath } from "node:url";
import { Piscina } from "piscina";
import { toSharedBytes, workerUrl, type System } from "../system.ts";

type Settings = Pick<ConstructorParameters<typeof Piscina>[0] & object, PiscinaSetting>;
type PiscinaSetting = "concurrentTasksPerWorker" | "atomics";

function piscinaSystem(name: string, settings: Settings): System {
  return {
    name,
    movesBytes: true,
    async startPool(threads) {
      const pool = new Piscina({
        filename: fileURLToPath(workerUrl("tasks.mjs")),
        name: "noop",
        minThreads: threads,
        maxThreads: threads,
        execArgv: [],
        ...settings,
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
}

export const piscina: readonly System[] = [
  piscinaSystem("piscina", {}),
  piscinaSystem("piscina-16", { concurrentTasksPerWorker: 16 }),
  piscinaSystem("piscina-1000", { concurrentTasksPerWorker: 1000, atomics: "disabled" }),
];
