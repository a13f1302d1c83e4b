/**
 * Hands out extents of the arena's segments and takes any part of them back, lowest address first,
 * so that memory that was touched before is used again.
 *
 * State:  per segment the free extents by rising offset, never touching each other, in runs of at
 *         most `runLengthMax`; each run knows its largest extent.
 * Bounds: allocate O(runs + runLengthMax), free O(log runs + runLengthMax), each per segment; the
 *         number of free extents is at most one more than that of the allocated ones. With sizes
 *         of powers of two up to n units, what lives in a segment of m units fits whatever came
 *         before it as long as it has at most m / (1 + log2 n) (Robson 1977, first fit). Programs
 *         are not so wicked: of objects up to 1/256 of the segment three quarters of it fit.
 * Errors: no room is `null`; freeing what is not allocated is our own bug.
 * Source: first fit by address; Knuth, The Art of Computer Programming 1, §2.5.
 */
import { assert } from "#engine/common/assert.ts";

export const extentAlignment = 64;
const runLengthMax = 128;

export interface Placed {
  readonly segment: number;
  readonly offset: number;
}

export class Allocator {
  readonly #segments: readonly FreeExtents[];
  readonly #capacityBytes: number;
  #freeBytes: number;

  constructor(segmentSizes: readonly number[]) {
    this.#segments = segmentSizes.map((size) => new FreeExtents(size));
    this.#capacityBytes = segmentSizes.reduce((sum, size) => sum + size, 0);
    this.#freeBytes = this.#capacityBytes;
  }

  get segmentCount(): number {
    return this.#segments.length;
  }

  get capacityBytes(): number {
    return this.#capacityBytes;
  }

  get freeBytes(): number {
    return this.#freeBytes;
  }

  largestFreeBytes(): number {
    return this.#segments.reduce((most, segment) => Math.max(most, segment.largest()), 0);
  }

  largestSegmentBytes(): number {
    return this.#segments.reduce((most, segment) => Math.max(most, segment.sizeBytes), 0);
  }

  allocate(size: number): Placed | null {
    assert(Number.isSafeInteger(size) && size > 0, `allocation of ${size} bytes`);
    for (const [segment, free] of this.#segments.entries()) {
      const offset = free.allocate(size);
      if (offset < 0) continue;
      this.#freeBytes -= size;
      return { segment, offset };
    }
    return null;
  }

  free(segment: number, offset: number, size: number): void {
    const free = this.#segments[segment];
    assert(free !== undefined, `free in segment ${segment}, which does not exist`);
    free.free(offset, size);
    this.#freeBytes += size;
  }

  checkInvariants(): void {
    const free = this.#segments.reduce((sum, segment) => sum + segment.checkInvariants(), 0);
    assert(free === this.#freeBytes, `${free} bytes are free, counted were ${this.#freeBytes}`);
  }
}

/** Free extents of a stretch of addresses; offsets and sizes by position, offsets rising. */
interface Run {
  offsets: number[];
  sizes: number[];
  largest: number;
}

class FreeExtents {
  readonly sizeBytes: number;
  /** By rising offset; a run in the list is never empty. */
  readonly #runs: Run[];

  constructor(sizeBytes: number) {
    this.sizeBytes = sizeBytes;
    this.#runs = sizeBytes > 0 ? [{ offsets: [0], sizes: [sizeBytes], largest: sizeBytes }] : [];
  }

  largest(): number {
    return this.#runs.reduce((most, run) => Math.max(most, run.largest), 0);
  }

  /** The offset, or −1. */
  allocate(size: number): number {
    for (const [runIndex, run] of this.#runs.entries()) {
      if (run.largest < size) continue;
      for (let i = 0; i < run.offsets.length; i++) {
        const offset = run.offsets[i] as number;
        const end = offset + (run.sizes[i] as number);
        const start = Math.ceil(offset / extentAlignment) * extentAlignment;
        if (start + size > end) continue;
        this.#carve(runIndex, i, start, size);
        return start;
      }
    }
    return -1;
  }

  free(offset: number, size: number): void {
    const end = offset + size;
    const valid = Number.isSafeInteger(offset) && Number.isSafeInteger(size);
    assert(valid && offset >= 0 && size > 0 && end <= this.sizeBytes, "free outside a segment");
    const runIndex = this.#runAt(offset);
    const run = this.#runs[runIndex];
    if (run === undefined) {
      this.#runs.push({ offsets: [offset], sizes: [size], largest: size });
      return;
    }
    const at = upperBound(run.offsets, offset);
    const next = at < run.offsets.length ? run.offsets[at] : this.#runs[runIndex + 1]?.offsets[0];
    assert(next === undefined || end <= next, `bytes from ${offset} on are free already`);
    const previous = at - 1;
    const previousEnd =
      previous < 0 ? -1 : (run.offsets[previous] as number) + (run.sizes[previous] as number);
    assert(previousEnd <= offset, `bytes from ${offset} on are free already`);

    if (previousEnd === offset) {
      const merged = (run.sizes[previous] as number) + size;
      run.sizes[previous] = merged;
      run.largest = Math.max(run.largest, merged);
      if (next === end) this.#joinNext(runIndex, previous);
    } else {
      run.offsets.splice(at, 0, offset);
      run.sizes.splice(at, 0, size);
      run.largest = Math.max(run.largest, size);
      if (next === end) this.#joinNext(runIndex, at);
      this.#splitLong(runIndex);
    }
  }

  /** The number of free bytes. */
  checkInvariants(): number {
    let free = 0;
    let lastEnd = -1;
    for (const run of this.#runs) {
      assert(run.offsets.length > 0 && run.offsets.length <= runLengthMax, "length of a run");
      assert(run.offsets.length === run.sizes.length, "offsets and sizes of a run differ");
      assert(run.largest === Math.max(...run.sizes), "largest extent of a run");
      for (let i = 0; i < run.offsets.length; i++) {
        const offset = run.offsets[i] as number;
        const size = run.sizes[i] as number;
        assert(offset > lastEnd && size > 0, "free extents overlap or touch");
        lastEnd = offset + size;
        free += size;
      }
    }
    assert(lastEnd <= this.sizeBytes, "a free extent reaches beyond its segment");
    return free;
  }

  /** Takes [start, start + size) out of one extent that contains it. */
  #carve(runIndex: number, i: number, start: number, size: number): void {
    const run = this.#runs[runIndex] as Run;
    const offset = run.offsets[i] as number;
    const whole = run.sizes[i] as number;
    const before = start - offset;
    const after = whole - before - size;
    if (before > 0) run.sizes[i] = before;
    if (after > 0) {
      const at = before > 0 ? i + 1 : i;
      run.offsets.splice(at, before > 0 ? 0 : 1, start + size);
      run.sizes.splice(at, before > 0 ? 0 : 1, after);
    }
    if (before === 0 && after === 0) this.#remove(runIndex, i);
    else if (whole === run.largest) run.largest = Math.max(...run.sizes);
    this.#splitLong(runIndex);
  }

  /** Merges the extent at `i` with the one that begins where it ends. */
  #joinNext(runIndex: number, i: number): void {
    const run = this.#runs[runIndex] as Run;
    const inSameRun = i + 1 < run.offsets.length;
    const nextRunIndex = inSameRun ? runIndex : runIndex + 1;
    const nextAt = inSameRun ? i + 1 : 0;
    const merged =
      (run.sizes[i] as number) + ((this.#runs[nextRunIndex] as Run).sizes[nextAt] as number);
    run.sizes[i] = merged;
    run.largest = Math.max(run.largest, merged);
    this.#remove(nextRunIndex, nextAt);
  }

  #remove(runIndex: number, i: number): void {
    const run = this.#runs[runIndex] as Run;
    const size = run.sizes[i] as number;
    run.offsets.splice(i, 1);
    run.sizes.splice(i, 1);
    if (run.offsets.length === 0) this.#runs.splice(runIndex, 1);
    else if (size === run.largest) run.largest = Math.max(...run.sizes);
  }

  #splitLong(runIndex: number): void {
    const run = this.#runs[runIndex];
    if (run === undefined || run.offsets.length <= runLengthMax) return;
    const half = run.offsets.length >> 1;
    const offsets = run.offsets.splice(half);
    const sizes = run.sizes.splice(half);
    run.largest = Math.max(...run.sizes);
    this.#runs.splice(runIndex + 1, 0, { offsets, sizes, largest: Math.max(...sizes) });
  }

  /** The last run that begins at or below `offset`, else the first. */
  #runAt(offset: number): number {
    let low = 0;
    let high = this.#runs.length;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (((this.#runs[middle] as Run).offsets[0] as number) <= offset) low = middle;
      else high = middle;
    }
    return low;
  }
}

/** Position of the first offset above `offset`. */
function upperBound(offsets: readonly number[], offset: number): number {
  let low = 0;
  let high = offsets.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((offsets[middle] as number) <= offset) low = middle + 1;
    else high = middle;
  }
  return low;
}
