/**
 * What the benches need of a system under measurement; `systems/` has one adapter a file.
 *
 * A pool or an actor is started afresh for every sample and stopped after it. Every call answers
 * with a number that the driver checks, so a system cannot be fast by being wrong.
 */

/** The bodies are in workers/tasks.mjs. The number of threads is fixed for the pool's life. */
export interface TaskPool {
  noop(x: number): Promise<number>;
  fib(n: number): Promise<number>;
  /** Each call copies the bytes to a worker. */
  sampleBytes(bytes: Uint8Array): Promise<number>;
  /** Puts the bytes in shared memory once; each call of the result reads them there. */
  shareBytes(bytes: Uint8Array): () => Promise<number>;
  /** Each call gives the buffer under the bytes to a worker, where a system can (`movesBytes`). */
  moveBytes?(bytes: Uint8Array<ArrayBuffer>): Promise<number>;
  /** `noop` of 0 to count - 1, waited for with one call, where a system has such a call. */
  noopAll?(count: number): Promise<readonly number[]>;
  stop(): Promise<void>;
}

export interface CounterActor {
  /** Answers with the total so far. */
  increment(by: number): Promise<number>;
  stop(): Promise<void>;
}

/** One thread on which loops are started that never end by themselves. */
export interface BusyLoops {
  /** Starts a loop and tasks behind it, and ends the loop by force. */
  cancelOne(): Promise<LoopCancel>;
  stop(): Promise<void>;
}

/** From the cancel to the end of the call, and to the answer of the last task behind it. */
export interface LoopCancel {
  readonly refMs: number;
  readonly neighboursMs: number;
  readonly wrong: number;
}

export interface System {
  /** As printed and as `--systems` takes it. */
  readonly name: string;
  /** Why it cannot be measured here, or undefined. */
  missing?(): string | undefined;
  /** Its pool has `moveBytes`. */
  readonly movesBytes?: boolean;
  startPool?(threads: number): Promise<TaskPool>;
  startActor?(): Promise<CounterActor>;
  startLoops?(): Promise<BusyLoops>;
}

/** The URL of a worker file of the benches. */
export function workerUrl(fileName: string): URL {
  return new URL(`./workers/${fileName}`, import.meta.url);
}

/** The same bytes on shared memory: a message with this view hands over the memory itself. */
export function toSharedBytes(bytes: Uint8Array): Uint8Array {
  const shared = new Uint8Array(new SharedArrayBuffer(bytes.length));
  shared.set(bytes);
  return shared;
}
