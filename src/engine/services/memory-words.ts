/**
 * What the threads of a node tell each other in memory that they share: what each has in segments
 * of its own, which file it wrote last, and what the store has free. Each word has one writer, so a
 * thread that is ended leaves none half changed, and whatever it was about goes with its words. All
 * draw numbers from one counter each: nobody else gets a number that was drawn, ever.
 */
import { ownFilesFrom, ownSegmentsFrom, overflowSegmentsFrom } from "#engine/protocol/arena.ts";

/** Words count kibibytes: two tebibytes are the most. */
const unitBytes = 1024;
const freeWord = 0;
/** Of each thread, from here on: what it has in own segments. */
const threadsFrom = 1;
/** Numbers: of the next segment and the next file of all, then of each thread's last file. */
const nextSegment = 0;
const nextFile = 1;
const lastFilesFrom = 2;
const noFile = 0n;

/** What other threads of the node are given. */
export interface SharedWords {
  readonly words: Int32Array;
  readonly numbers: BigInt64Array;
}

export class MemoryWords {
  readonly shared: SharedWords;
  readonly #words: Int32Array;
  readonly #numbers: BigInt64Array;

  constructor(shared: SharedWords) {
    this.shared = shared;
    this.#words = shared.words;
    this.#numbers = shared.numbers;
  }

  static of(parts: { storeBytes: number; threads: number }): MemoryWords {
    const words = new Int32Array(new SharedArrayBuffer((threadsFrom + parts.threads) * 4));
    const numbers = new BigInt64Array(new SharedArrayBuffer((lastFilesFrom + parts.threads) * 8));
    numbers[nextSegment] = BigInt(ownSegmentsFrom);
    numbers[nextFile] = BigInt(ownFilesFrom);
    const made = new MemoryWords({ words, numbers });
    made.tellFree(parts.storeBytes);
    return made;
  }

  /** A number for a segment; undefined when all have been used. */
  takeSegment(): number | undefined {
    const number = Number(Atomics.add(this.#numbers, nextSegment, 1n));
    return number < overflowSegmentsFrom ? number : undefined;
  }

  /** A number for a file that the thread begins: others know of it before anything is there. */
  takeFile(thread: number): number {
    const number = Atomics.add(this.#numbers, nextFile, 1n);
    Atomics.store(this.#numbers, lastFilesFrom + thread, number);
    return Number(number);
  }

  /**
   * What the thread was writing last, if anything: when it has ended the raylet may never have
   * heard of it. Of those before it the thread had told, or they could not be written.
   */
  lastFileOf(thread: number): number | null {
    const number = Atomics.load(this.#numbers, lastFilesFrom + thread);
    return number === noFile ? null : Number(number);
  }

  get freeBytes(): number {
    return Atomics.load(this.#words, freeWord) * unitBytes;
  }

  /** What all threads have in segments of their own, each rounded up. */
  get ownBytes(): number {
    let units = 0;
    for (let at = threadsFrom; at < this.#words.length; at++) {
      units += Atomics.load(this.#words, at);
    }
    return units * unitBytes;
  }

  tellFree(bytes: number): void {
    Atomics.store(this.#words, freeWord, Math.floor(bytes / unitBytes));
  }

  addOwn(thread: number, size: number): void {
    Atomics.add(this.#words, wordOf(thread), unitsOf(size));
  }

  /** It was dropped: views may keep its memory, and nobody can tell for how long. */
  removeOwn(thread: number, size: number): void {
    Atomics.sub(this.#words, wordOf(thread), unitsOf(size));
  }

  /** `from` has ended: of its segments these are left, and count as those of `to` from now on. */
  takeOver(from: number, to: number, sizes: Iterable<number>): void {
    for (const size of sizes) this.addOwn(to, size);
    Atomics.store(this.#words, wordOf(from), 0);
    Atomics.store(this.#numbers, lastFilesFrom + from, noFile);
  }
}

export function roundedOwnBytes(size: number): number {
  return unitsOf(size) * unitBytes;
}

function wordOf(thread: number): number {
  return threadsFrom + thread;
}

function unitsOf(size: number): number {
  return Math.ceil(size / unitBytes);
}
