/**
 * Bytes of a value outside its body: collected as views on the user's memory while the body is
 * written, put into ranges at the end.
 *
 * The table follows the body: the counts of views and ranges; for each view its range, offset in it
 * and length; for each range its length and flags. The bytes of small ranges follow the table;
 * those of large ones come after, each at the next multiple of 64 from the value's start.
 *
 * Views that overlap travel as one range and share memory again on the other side. Others travel
 * apart even when they lie on one ArrayBuffer: a slice of a pool does not drag the pool along.
 *
 * A buffer that is transferred is one range with all views on it, and none of its bytes are here:
 * whoever decodes is given the buffer itself.
 */

import { types } from "node:util";

/** Smaller ranges are cheaper as copies inside the body than as views with a pin each. */
export const inlineBytesMax = 256;
const bufferAlignment = 64;

export const rangeInline = 1;
/** The buffer itself is in the value: the range is the whole of it, and always copied. */
export const rangeWhole = 2;
/** Another number follows: the maximal length of a resizable ArrayBuffer. */
export const rangeResizable = 4;
/** The buffer itself is a SharedArrayBuffer. */
export const rangeShared = 8;
/** Of a buffer that is transferred: its number among those takes the place of the length. */
export const rangeMoved = 16;
/** The length of a range is above its flags. */
export const rangeLengthUnit = 32;

const nothingTransferred: ReadonlySet<ArrayBufferLike> = new Set();

interface CollectedView {
  readonly buffer: ArrayBufferLike;
  readonly start: number;
  readonly end: number;
  readonly isWhole: boolean;
  range: number;
  offset: number;
}

export class BufferCollector {
  /** Those of them that the value refers to, in the order of their numbers. */
  readonly moved: ArrayBuffer[] = [];
  /** Their bytes are not to be copied. */
  transferred: ReadonlySet<ArrayBufferLike> = nothingTransferred;
  #views: CollectedView[] = [];

  get isEmpty(): boolean {
    return this.#views.length === 0;
  }

  addView(view: ArrayBufferView): void {
    const start = view.byteOffset;
    this.#add(view.buffer, start, start + view.byteLength, false);
  }

  addWhole(buffer: ArrayBufferLike): void {
    this.#add(buffer, 0, buffer.byteLength, true);
  }

  clear(): void {
    if (this.#views.length > 0) this.#views = [];
    this.transferred = nothingTransferred;
  }

  /** The numbers of the table; the bytes go to `inline` or `apart`, in order. */
  finish(inline: Uint8Array[], apart: Uint8Array[]): number[] {
    const ranges: number[] = [];
    let rangeCount = 0;
    for (const onOneBuffer of this.#viewsByBuffer()) {
      const { buffer } = onOneBuffer[0] as CollectedView;
      if (this.transferred.size > 0 && this.transferred.has(buffer)) {
        ranges.push(this.moved.length * rangeLengthUnit + rangeMoved);
        this.moved.push(buffer as ArrayBuffer);
        placeIn(onOneBuffer, rangeCount++, 0);
        continue;
      }
      for (const members of overlapping(onOneBuffer)) {
        const bytes = rangeOf(members, rangeCount++);
        let flags = 0;
        if (members.some((view) => view.isWhole)) {
          flags = types.isSharedArrayBuffer(bytes.buffer) ? rangeWhole | rangeShared : rangeWhole;
        }
        const maxByteLength = flags === 0 ? -1 : maxByteLengthOf(bytes.buffer);
        if (maxByteLength >= 0) flags |= rangeResizable;
        if (bytes.length < inlineBytesMax) flags |= rangeInline;
        (bytes.length < inlineBytesMax ? inline : apart).push(bytes);
        ranges.push(bytes.length * rangeLengthUnit + flags);
        if (maxByteLength >= 0) ranges.push(maxByteLength);
      }
    }
    const numbers = [this.#views.length, rangeCount];
    for (const view of this.#views) numbers.push(view.range, view.offset, view.end - view.start);
    return numbers.concat(ranges);
  }

  #add(buffer: ArrayBufferLike, start: number, end: number, isWhole: boolean): void {
    if (start === end) new Uint8Array(buffer, 0, 0); // Throws when the buffer is detached.
    this.#views.push({ buffer, start, end, isWhole, range: 0, offset: 0 });
  }

  #viewsByBuffer(): Iterable<CollectedView[]> {
    if (this.#views.length === 1) return [[...this.#views]];
    const groups = new Map<ArrayBufferLike, CollectedView[]>();
    for (const view of this.#views) {
      const group = groups.get(view.buffer);
      if (group === undefined) groups.set(view.buffer, [view]);
      else group.push(view);
    }
    return groups.values();
  }
}

/** Splits the views on one buffer into sets that share bytes; a whole buffer takes in all. */
function overlapping(views: CollectedView[]): CollectedView[][] {
  if (views.length === 1 || views.some((view) => view.isWhole)) return [views];
  const sets: CollectedView[][] = [];
  let current: CollectedView[] = [];
  let end = -1;
  for (const view of views.sort((a, b) => a.start - b.start)) {
    if (view.start < end) current.push(view);
    else sets.push((current = [view]));
    end = Math.max(end, view.end);
  }
  return sets;
}

function rangeOf(members: readonly CollectedView[], range: number): Uint8Array {
  const first = members[0] as CollectedView;
  let { start, end } = first;
  for (const view of members) {
    start = Math.min(start, view.start);
    end = Math.max(end, view.end);
  }
  // Every member keeps its alignment when the range starts where any element may.
  if (members.length > 1) start -= start % 8;
  placeIn(members, range, start);
  return new Uint8Array(first.buffer, start, end - start);
}

function placeIn(members: readonly CollectedView[], range: number, rangeStart: number): void {
  for (const view of members) {
    view.range = range;
    view.offset = view.start - rangeStart;
  }
}

function maxByteLengthOf(buffer: ArrayBufferLike): number {
  if (buffer instanceof SharedArrayBuffer) return buffer.growable ? buffer.maxByteLength : -1;
  return buffer.resizable ? buffer.maxByteLength : -1;
}

export function alignUp(position: number): number {
  return Math.ceil(position / bufferAlignment) * bufferAlignment;
}
