/**
 * Pulls in line for room in the store, and those that have theirs and fetch: the most urgent first,
 * and of those as urgent who came first.
 */
import type { ObjectStore } from "#engine/object-store/object-store.ts";
import type { PullPriority } from "#engine/protocol/copy.ts";
import type { Copy } from "./copy.ts";
import type { LocalObjects } from "./local-objects.ts";
import type { Pull } from "./pull.ts";

export class PullLine {
  readonly #store: ObjectStore;
  readonly #objects: LocalObjects;
  readonly #pulls: Pull[] = [];
  #roomBytesSeen = 0;
  #freedCountSeen = 0;

  constructor(store: ObjectStore, objects: LocalObjects) {
    this.#store = store;
    this.#objects = objects;
  }

  get isEmpty(): boolean {
    return this.#pulls.length === 0;
  }

  /** Whether there may be room that was not there when this was last asked. */
  takeHasMoreRoom(): boolean {
    const { roomBytes } = this;
    const { freedCount } = this.#store;
    const hasMore = roomBytes > this.#roomBytesSeen || freedCount !== this.#freedCountSeen;
    this.#roomBytesSeen = roomBytes;
    this.#freedCountSeen = freedCount;
    return hasMore;
  }

  /** That it could have. */
  get roomBytes(): number {
    return this.#store.freeBytes + this.#objects.evictableBytes;
  }

  /** What the first of those that wait for room lacks. */
  get waitingBytes(): number {
    return this.#pulls.find(({ roomDeadlineMs }) => roomDeadlineMs < Infinity)?.size ?? 0;
  }

  get hasWaiting(): boolean {
    return this.#pulls.some(({ state }) => state === "waiting");
  }

  nextDeadlineMs(): number {
    let nextMs = Infinity;
    for (const { roomDeadlineMs } of this.#pulls) nextMs = Math.min(nextMs, roomDeadlineMs);
    return nextMs;
  }

  has(pull: Pull): boolean {
    return this.#pulls.includes(pull);
  }

  add(pull: Pull): void {
    const { priority, order } = pull;
    const at = this.#pulls.findIndex((other) => {
      return other.priority > priority || (other.priority === priority && other.order > order);
    });
    this.#pulls.splice(at === -1 ? this.#pulls.length : at, 0, pull);
  }

  /** Nor does it wait for room any more. */
  delete(pull: Pull): void {
    const at = this.#pulls.indexOf(pull);
    if (at !== -1) this.#pulls.splice(at, 1);
    pull.roomDeadlineMs = Infinity;
  }

  /** Its priority has changed, not when it gives up. */
  reorder(pull: Pull): void {
    const { roomDeadlineMs } = pull;
    this.delete(pull);
    this.add(pull);
    pull.roomDeadlineMs = roomDeadlineMs;
  }

  /**
   * A task that has some of its arguments keeps them until it has all. So nobody takes room, nor a
   * pin on what could be evicted, that those ahead in line need: each could wait for the other.
   */
  mayPinNow(copy: Copy, priority: PullPriority): boolean {
    if (copy.extent === null) return false;
    if (this.isEmpty || !this.#objects.isIdle(copy)) return true;
    let aheadBytes = 0;
    for (const { state, size, priority: other } of this.#pulls) {
      if (state === "waiting" && other <= priority) aheadBytes += size;
    }
    return this.fits(copy.size, aheadBytes);
  }

  /** Beside what is needed by those ahead; the first of all may try in any case. */
  fits(size: number, aheadBytes: number): boolean {
    if (aheadBytes === 0) return true;
    return this.roomBytes + this.#objects.spillable.bytes >= aheadBytes + size;
  }

  [Symbol.iterator](): IterableIterator<Pull> {
    return this.#pulls.values();
  }
}
