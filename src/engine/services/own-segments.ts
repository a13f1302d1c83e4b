/**
 * Segments that one thread makes for one object each, because it has no room at hand in the arena.
 * What all threads of a node have in them is counted in memory that they share, so that it stays
 * within what the store has free, and a bound beyond that. No lock: a thread may be ended while it
 * holds one.
 */
import type { Machine } from "#engine/protocol/machine.ts";
import { ownSegmentsPerThread } from "#engine/protocol/arena.ts";

/** Words count kibibytes: two tebibytes are the most. */
const unitBytes = 1024;
const ownWord = 0;
const freeWord = 1;

/** For each node: what its threads have in own segments, and what is free in its store. */
export function makeMemoryWords(storeBytes: number): Int32Array {
  const words = new Int32Array(new SharedArrayBuffer(8));
  words[freeWord] = Math.floor(storeBytes / unitBytes);
  return words;
}

/** The machine that has the store, so that all threads see what is free in it after each event. */
export function tellingFreeBytes<E, I>(
  machine: Machine<E, I>,
  words: Int32Array,
  freeBytes: () => number,
): Machine<E, I> {
  return {
    handle: (event, nowMs, out) => {
      machine.handle(event, nowMs, out);
      Atomics.store(words, freeWord, Math.floor(freeBytes() / unitBytes));
    },
    nextDeadlineMs: () => machine.nextDeadlineMs(),
    checkInvariants: () => machine.checkInvariants(),
  };
}

export class OwnSegments {
  readonly #words: Int32Array;
  readonly #bytesMax: number;
  #next: number;
  readonly #end: number;

  /** `bytesMax`: of all threads, beyond what the store has free. */
  constructor(parts: { words: Int32Array; bytesMax: number; from: number }) {
    this.#words = parts.words;
    this.#bytesMax = parts.bytesMax;
    this.#next = parts.from;
    this.#end = parts.from + ownSegmentsPerThread;
  }

  /** A number for one more; undefined when there is no more room, or number. */
  take(size: number): number | undefined {
    if (this.#next === this.#end) return undefined;
    const units = unitsOf(size);
    const used = Atomics.add(this.#words, ownWord, units) + units;
    const free = Atomics.load(this.#words, freeWord);
    if ((used - free) * unitBytes > this.#bytesMax) {
      Atomics.sub(this.#words, ownWord, units);
      return undefined;
    }
    return this.#next++;
  }

  /** It was dropped: views may keep its memory, and nobody can tell for how long. */
  giveBack(size: number): void {
    Atomics.sub(this.#words, ownWord, unitsOf(size));
  }
}

function unitsOf(size: number): number {
  return Math.ceil(size / unitBytes);
}
