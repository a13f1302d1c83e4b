/**
 * What the threads of a node tell each other in memory that they share: what each has in segments
 * of its own, which file it wrote last, and what the store has free. Each word has one writer, so a
 * thread that is ended leaves none half changed, and whatever it was about goes with its words.
 */

/** Words count kibibytes: two tebibytes are the most. */
const unitBytes = 1024;
const freeWord = 0;
/** Of each thread, from here on: what it has in own segments, and how many files it has begun. */
const threadsFrom = 1;
const wordsPerThread = 2;

export class MemoryWords {
  /** For other threads of the node. */
  readonly shared: Int32Array;

  constructor(shared: Int32Array) {
    this.shared = shared;
  }

  static of(parts: { storeBytes: number; threads: number }): MemoryWords {
    const count = threadsFrom + parts.threads * wordsPerThread;
    const words = new MemoryWords(new Int32Array(new SharedArrayBuffer(count * 4)));
    words.tellFree(parts.storeBytes);
    return words;
  }

  get freeBytes(): number {
    return Atomics.load(this.shared, freeWord) * unitBytes;
  }

  /** What all threads have in segments of their own, each rounded up. */
  get ownBytes(): number {
    let units = 0;
    for (let at = threadsFrom; at < this.shared.length; at += wordsPerThread) {
      units += Atomics.load(this.shared, at);
    }
    return units * unitBytes;
  }

  tellFree(bytes: number): void {
    Atomics.store(this.shared, freeWord, Math.floor(bytes / unitBytes));
  }

  addOwn(thread: number, size: number): void {
    Atomics.add(this.shared, wordOf(thread), unitsOf(size));
  }

  /** It was dropped: views may keep its memory, and nobody can tell for how long. */
  removeOwn(thread: number, size: number): void {
    Atomics.sub(this.shared, wordOf(thread), unitsOf(size));
  }

  /** How many files it has begun. */
  filesOf(thread: number): number {
    return Atomics.load(this.shared, wordOf(thread) + 1);
  }

  tellFiles(thread: number, count: number): void {
    Atomics.store(this.shared, wordOf(thread) + 1, count);
  }

  /** `from` has ended: of its segments these are left, and count as those of `to` from now on. */
  takeOver(from: number, to: number, sizes: Iterable<number>): void {
    for (const size of sizes) this.addOwn(to, size);
    Atomics.store(this.shared, wordOf(from), 0);
    this.tellFiles(from, 0);
  }
}

export function roundedOwnBytes(size: number): number {
  return unitsOf(size) * unitBytes;
}

function wordOf(thread: number): number {
  return threadsFrom + thread * wordsPerThread;
}

function unitsOf(size: number): number {
  return Math.ceil(size / unitBytes);
}
