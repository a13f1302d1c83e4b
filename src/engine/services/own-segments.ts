/**
 * Segments that one thread makes for one object each, because it has no room at hand in the arena.
 * What all threads of a node have in them is known to each, so that it stays within what the store
 * has free, and a bound beyond that. No lock: a thread may be ended while it holds one.
 */
import type { Machine } from "#engine/protocol/machine.ts";
import type { MemoryWords } from "./memory-words.ts";
import { sharedMemory } from "./shared-memory.ts";

/** The machine that has the store, so that all threads see what is free in it after each event. */
export function tellingFreeBytes<E, I>(
  machine: Machine<E, I>,
  words: MemoryWords,
  freeBytes: () => number,
): Machine<E, I> {
  return {
    handle: (event, nowMs, out) => {
      machine.handle(event, nowMs, out);
      words.tellFree(freeBytes());
    },
    nextDeadlineMs: () => machine.nextDeadlineMs(),
    checkInvariants: () => machine.checkInvariants(),
  };
}

export interface MadeSegment {
  readonly segment: number;
  readonly buffer: SharedArrayBuffer;
}

export class OwnSegments {
  readonly #words: MemoryWords;
  readonly #thread: number;
  readonly #bytesMax: number;

  /** `bytesMax`: of all threads, beyond what the store has free. */
  constructor(parts: { words: MemoryWords; thread: number; bytesMax: number }) {
    this.#words = parts.words;
    this.#thread = parts.thread;
    this.#bytesMax = parts.bytesMax;
  }

  /** A number for one more; undefined when there is no more room, or number. */
  take(size: number): number | undefined {
    const words = this.#words;
    // First, so that of two who take the last room at once none gets more than there is.
    words.addOwn(this.#thread, size);
    const hasRoom = words.ownBytes - words.freeBytes <= this.#bytesMax;
    const number = hasRoom ? words.takeSegment() : undefined;
    if (number === undefined) words.removeOwn(this.#thread, size);
    return number;
  }

  /** Undefined also when the system has no memory for it: then it is not counted. */
  make(size: number): MadeSegment | undefined {
    const segment = this.take(size);
    if (segment === undefined) return undefined;
    const buffer = sharedMemory(size);
    if (buffer !== null) return { segment, buffer };
    this.giveBack(size);
    return undefined;
  }

  giveBack(size: number): void {
    this.#words.removeOwn(this.#thread, size);
  }
}
