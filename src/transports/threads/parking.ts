/**
 * When a thread looks at its rings: in turns while something is going on, else when it is nudged.
 *
 * A thread that finds nothing for a while sets its *parked* word, looks once more, and leaves the
 * event loop to others; whoever writes to it then swaps the word back and posts an empty message.
 * Both sides store before they load, so no wake-up is lost. Nobody blocks in Atomics.wait: user
 * code, timers and sockets of the thread go on.
 */
import type { MessagePort } from "node:worker_threads";
import type { Address } from "#engine/common/ids.ts";
import type { MovedBuffers } from "#engine/protocol/transport.ts";

/** One word a thread, each on a cache line of its own. */
const wordsPerThread = 16;
export const threadsMax = 1024;

export function makeParkedWords(): SharedArrayBuffer {
  return new SharedArrayBuffer(threadsMax * wordsPerThread * 4);
}

/** The bell of another thread. */
export class Bell {
  readonly #words: Int32Array;
  readonly #word: number;
  readonly #port: MessagePort;

  constructor(words: Int32Array, threadIndex: number, port: MessagePort) {
    this.#words = words;
    this.#word = threadIndex * wordsPerThread;
    this.#port = port;
  }

  /** Wakes the thread if it is parked. Call after the frame is published. */
  ring(): void {
    if (Atomics.load(this.#words, this.#word) === 0) return;
    if (Atomics.exchange(this.#words, this.#word, 0) === 1) this.#port.postMessage(null);
  }

  /** What no ring carries; it wakes the thread by itself. */
  moveBuffers(to: Address, moved: MovedBuffers): void {
    this.#port.postMessage({ type: "buffers", to, moved }, [...moved.buffers]);
  }
}

const spinLooksMin = 64;

export interface PollerOptions {
  readonly words: Int32Array;
  readonly threadIndex: number;
  /** Turns of the event loop without work before it parks. */
  readonly idleTurnsMax: number;
  /**
   * Looks within one turn before it counts as idle, at most: a worker may spin, a user's thread may
   * not.
   */
  readonly spinLooksMax: number;
  hasData(): boolean;
  /** Takes what is there; true if there was anything. */
  pump(): boolean;
}

export class Poller {
  readonly #options: PollerOptions;
  readonly #word: number;
  #turnIsDue = false;
  #idleTurns = 0;
  /** Twice as many after a look that paid, half as many after none did. */
  #spinLooks: number;
  #stopped = false;

  constructor(options: PollerOptions) {
    this.#options = options;
    this.#word = options.threadIndex * wordsPerThread;
    this.#spinLooks = Math.min(spinLooksMin, options.spinLooksMax);
  }

  /** Something was sent or has come: look again soon, and go on looking for a while. */
  kick(): void {
    this.#idleTurns = 0;
    this.#turn();
  }

  /** In the thread's own turn, on a nudge. */
  onNudge(): void {
    this.#idleTurns = 0;
    this.#look();
  }

  stop(): void {
    this.#stopped = true;
  }

  #turn(): void {
    if (this.#turnIsDue || this.#stopped) return;
    this.#turnIsDue = true;
    setImmediate(() => {
      this.#turnIsDue = false;
      this.#look();
    });
  }

  #look(): void {
    if (this.#stopped) return;
    const { words, idleTurnsMax } = this.#options;
    Atomics.store(words, this.#word, 0);
    if (this.#options.pump() || this.#spin()) {
      this.#idleTurns = 0;
      this.#turn();
      return;
    }
    this.#idleTurns += 1;
    if (this.#idleTurns < idleTurnsMax) {
      this.#turn();
      return;
    }
    Atomics.store(words, this.#word, 1);
    if (!this.#options.hasData()) return;
    Atomics.store(words, this.#word, 0);
    this.#turn();
  }

  #spin(): boolean {
    const { spinLooksMax } = this.#options;
    for (let i = 0; i < this.#spinLooks; i++) {
      if (!this.#options.hasData()) continue;
      this.#spinLooks = Math.min(spinLooksMax, this.#spinLooks * 2);
      return true;
    }
    this.#spinLooks = Math.min(spinLooksMax, Math.max(spinLooksMin, this.#spinLooks >> 1));
    return false;
  }
}
