/** The floor: `postMessage` to plain worker threads in turn, and a Map of pending calls. */
import { Worker } from "node:worker_threads";
import {
  toSharedBytes,
  workerUrl,
  type CounterActor,
  type System,
  type TaskPool,
} from "../system.ts";

type Body = "noop" | "fib" | "sampleBytes" | "increment";
interface Pending {
  readonly resolve: (result: number) => void;
  readonly reject: (error: unknown) => void;
}
interface Answer {
  readonly id: number;
  readonly result: number;
}

class BareWorkers {
  readonly #workers: Worker[] = [];
  readonly #pending = new Map<number, Pending>();
  #nextId = 0;

  constructor(threads: number) {
    for (let index = 0; index < threads; index += 1) {
      const worker = new Worker(workerUrl("bare-worker.mjs"), { execArgv: [] });
      worker.on("message", (answer: Answer) => this.#onAnswer(answer));
      worker.on("error", (error) => this.#onError(error));
      this.#workers.push(worker);
    }
  }

  call(body: Body, value: unknown, moved: readonly ArrayBuffer[] = []): Promise<number> {
    const id = this.#nextId;
    this.#nextId += 1;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      this.#workers[id % this.#workers.length]?.postMessage({ id, body, value }, moved);
    });
  }

  async stop(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }

  #onAnswer({ id, result }: Answer): void {
    this.#pending.get(id)?.resolve(result);
    this.#pending.delete(id);
  }

  #onError(error: unknown): void {
    for (const pending of this.#pending.values()) pending.reject(error);
    this.#pending.clear();
  }
}

export const bare: System = {
  name: "postMessage",
  movesBytes: true,

  async startPool(threads): Promise<TaskPool> {
    const workers = new BareWorkers(threads);
    return {
      noop: (x) => workers.call("noop", x),
      fib: (n) => workers.call("fib", n),
      sampleBytes: (bytes) => workers.call("sampleBytes", bytes),
      moveBytes: (bytes) => workers.call("sampleBytes", bytes, [bytes.buffer]),
      shareBytes(bytes) {
        const shared = toSharedBytes(bytes);
        return () => workers.call("sampleBytes", shared);
      },
      stop: () => workers.stop(),
    };
  },

  async startActor(): Promise<CounterActor> {
    const workers = new BareWorkers(1);
    return { increment: (by) => workers.call("increment", by), stop: () => workers.stop() };
  },
};
