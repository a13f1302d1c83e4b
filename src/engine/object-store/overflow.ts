/**
 * Segments that the store makes beyond what it has, each for one object that somebody waits for
 * while nothing can be moved out of its way: asked for → made → taken → dropped with its object.
 *
 * State:  those that hold an object; one that is being made, or made and not taken yet.
 * In/out: request, take, free → MakeOverflow, DropOverflow; overflowMade.
 * Bounds: `bytesMax` in all.
 * Errors: none; what cannot be made is as if there were no room for it.
 * Source: Ray plasma's fallback allocation, which lies in files that are mapped.
 */
import { assert } from "#engine/common/assert.ts";
import { objectBytesMax, overflowSegmentsFrom } from "#engine/protocol/arena.ts";
import type { Outbox } from "#engine/protocol/machine.ts";
import type { ArenaExtent } from "#engine/protocol/object.ts";

/** Every thread of the node is to map a new one. Answered by overflowMade. */
export interface MakeOverflow {
  readonly type: "makeOverflow";
  readonly segment: number;
  readonly size: number;
}

/** Nobody reads it any more. */
export interface DropOverflow {
  readonly type: "dropOverflow";
  readonly segment: number;
}

export type OverflowInstruction = MakeOverflow | DropOverflow;

export interface OverflowMade {
  readonly type: "overflowMade";
  readonly segment: number;
  /** False: the process has no memory for it. */
  readonly isMade: boolean;
}

interface Made {
  readonly segment: number;
  readonly size: number;
  isMade: boolean;
}

export class Overflow {
  readonly bytesMax: number;
  readonly #sizes = new Map<number, number>();
  readonly #freed: number[] = [];
  #next: Made | null = null;
  #nextSegment = overflowSegmentsFrom;
  #usedBytes = 0;

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  get hasFreed(): boolean {
    return this.#freed.length > 0;
  }

  /** What one object may have at most. */
  get largestBytes(): number {
    return Math.min(this.bytesMax, objectBytesMax);
  }

  /** Whether an object of that size may lie here at all. */
  mayHold(size: number): boolean {
    return size <= this.largestBytes;
  }

  has(segment: number): boolean {
    return this.#sizes.has(segment);
  }

  request(size: number, out: Outbox<OverflowInstruction>): void {
    if (this.#usedBytes + size > this.bytesMax) return;
    // It was made for one who stands behind this one now.
    if (this.#next?.isMade === true) this.#giveUpNext(this.#next);
    if (this.#next !== null) return;
    this.#next = { segment: this.#nextSegment++, size, isMade: false };
    const { segment } = this.#next;
    out.instruct({ type: "makeOverflow", segment, size });
  }

  /** True if it is there to be taken. */
  onMade({ segment, isMade }: OverflowMade): boolean {
    assert(this.#next?.segment === segment, "one segment is made at a time");
    this.#next.isMade = isMade;
    if (!isMade) this.#next = null;
    return isMade;
  }

  /** The one that was made, if it was for an object of that size. */
  take(size: number): ArenaExtent | null {
    const next = this.#next;
    if (next === null || !next.isMade || next.size !== size) return null;
    this.#next = null;
    this.#sizes.set(next.segment, size);
    this.#usedBytes += size;
    return { segment: next.segment, offset: 0, size };
  }

  free(segment: number): void {
    const size = this.#sizes.get(segment);
    assert(size !== undefined, "a segment is freed once");
    this.#sizes.delete(segment);
    this.#usedBytes -= size;
    this.#freed.push(segment);
  }

  /** Ends an event: who it was made for may have found room elsewhere, or have gone. */
  settle(out: Outbox<OverflowInstruction>): void {
    if (this.#next?.isMade === true) this.#giveUpNext(this.#next);
    for (const segment of this.#freed) out.instruct({ type: "dropOverflow", segment });
    this.#freed.length = 0;
  }

  #giveUpNext({ segment }: Made): void {
    this.#freed.push(segment);
    this.#next = null;
  }

  checkInvariants(): void {
    let bytes = 0;
    for (const size of this.#sizes.values()) bytes += size;
    assert(bytes === this.#usedBytes, "bytes beyond the store are counted");
    assert(bytes <= this.bytesMax, "the store grows no further than it may");
    assert(this.#freed.length === 0, "an event ended before what it freed was dropped");
  }
}
