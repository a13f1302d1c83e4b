/**
 * PORT: the shared memory of one node. Segments are numbered; an extent lies in one segment. Bytes
 * of an object are written once, before its location is told to anybody, and then never change.
 */
export interface Arena {
  readonly segmentCount: number;
  segmentBytes(segment: number): number;
  /** The whole segment; a view costs an object, so callers index into this one. */
  bytes(segment: number): Uint8Array;
}
