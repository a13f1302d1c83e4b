/**
 * PORT: the shared memory of one node. Segments are numbered; an extent lies in one segment. Bytes
 * of an object are written once, before its location is told to anybody, and then never change.
 */

/** Segments from this number on were made by one thread for one object, and go with it. */
export const ownSegmentsFrom = 65_536;
/** Numbers that one thread may use up. */
export const ownSegmentsPerThread = 16_384;

export interface Arena {
  readonly segmentCount: number;
  segmentBytes(segment: number): number;
  /** The whole segment; a view costs an object, so callers index into this one. */
  bytes(segment: number): Uint8Array;
}
