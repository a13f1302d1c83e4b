/**
 * PORT: the shared memory of one node. Segments are numbered; an extent lies in one segment. Bytes
 * of an object are written once, before its location is told to anybody, and then never change.
 */

/**
 * Segments from this number on were made by one thread for one object, and go with it. A number is
 * never used again: threads hear of a drop at different times, and one that still has the segment
 * of before would read that one.
 */
export const ownSegmentsFrom = 65_536;
/** … and from here on by the store, when what is waited for has no room in it. */
export const overflowSegmentsFrom: number = 2 ** 31;

/** Files of spilled objects from this number on were written by `put`, the others by the raylet. */
export const ownFilesFrom = 2 ** 31;

/**
 * In the place of a value that its raylet moves: nobody knows where it lies, and who needs the
 * bytes asks for them.
 */
export const managedSegment = 2 ** 32 - 1;

export function isOwnSegment(segment: number): boolean {
  return segment >= ownSegmentsFrom && segment < overflowSegmentsFrom;
}

export function isOverflow(segment: number): boolean {
  return segment >= overflowSegmentsFrom && segment !== managedSegment;
}

/** Its store gives the bytes there out, and takes them back. */
export function isOfStore(segment: number): boolean {
  return segment < ownSegmentsFrom || isOverflow(segment);
}

/** One object may have so many, so that an offset is a small integer. */
export const objectBytesMax: number = 2 ** 31 - 65_536;

export interface Arena {
  readonly segmentCount: number;
  segmentBytes(segment: number): number;
  /** The whole segment; a view costs an object, so callers index into this one. */
  bytes(segment: number): Uint8Array;
}

/** Bytes inside a frame: lent until the handler of its message returns, instructions included. */
export class FrameBytes {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly size: number;

  constructor(bytes: Uint8Array, start: number, size: number) {
    this.bytes = bytes;
    this.start = start;
    this.size = size;
  }
}

/** The arena of a process that serves chunks: what the codec copies them out of. */
export type ArenaBytes = Pick<Arena, "bytes">;
