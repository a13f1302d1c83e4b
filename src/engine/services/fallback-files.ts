/**
 * A value that `put` finds no room for in memory: the thread that calls writes it to a file of its
 * own, at once, while the caller waits. From then on the file is one of the raylet's.
 */
import type { SpilledPlace } from "#engine/protocol/spilled-place.ts";
import type { SpillFailure } from "#engine/raylet/spill-io.ts";
import { DiskError } from "./disk.ts";
import type { MemoryWords } from "./memory-words.ts";
import { checksumsOf, failureOf, whyTooFull } from "./spill-files.ts";

/** PORT: as Disk, but each call has ended when it returns. Throws DiskError. */
export interface DiskNow {
  /** Makes the file of these bytes. */
  writeAll(path: string, bytes: Uint8Array): void;
  remove(path: string): void;
  usedShare(path: string): number;
}

export interface WrittenFile {
  readonly place: SpilledPlace;
  /** What was written. */
  readonly bytes: Uint8Array;
}

export class FallbackFiles {
  readonly #disk: DiskNow;
  readonly #prefix: string;
  readonly #diskUsedMax: number;
  readonly #words: MemoryWords;
  readonly #thread: number;

  /** `prefix`: as the node's spill files have it. */
  constructor(parts: {
    disk: DiskNow;
    prefix: string;
    diskUsedMax: number;
    words: MemoryWords;
    thread: number;
  }) {
    this.#disk = parts.disk;
    this.#prefix = parts.prefix;
    this.#diskUsedMax = parts.diskUsedMax;
    this.#words = parts.words;
    this.#thread = parts.thread;
  }

  write(bytes: Uint8Array): WrittenFile | SpillFailure {
    // A thread may be ended while it writes: who removes what it leaves must know of it.
    const file = this.#words.takeFile(this.#thread);
    const path = `${this.#prefix}${file}`;
    try {
      const failure = whyTooFull(this.#disk.usedShare(this.#prefix), this.#diskUsedMax);
      if (failure !== null) return failure;
      this.#disk.writeAll(path, bytes);
    } catch (error) {
      // Nothing of the disk: a simulated process has ended in the midst of it.
      if (!(error instanceof DiskError)) throw error;
      this.#remove(path);
      return failureOf(error);
    }
    return { place: { file, offset: 0, size: bytes.length, checksums: checksumsOf(bytes) }, bytes };
  }

  /** What was written of it takes room that is short already; perhaps there is no such file. */
  #remove(path: string): void {
    try {
      this.#disk.remove(path);
    } catch {
      // It goes with the node then.
    }
  }
}
