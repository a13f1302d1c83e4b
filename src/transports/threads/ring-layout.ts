/**
 * Life of a ring: zeroed shared memory → opened by one writer and one reader → frames → dropped.
 *
 * A ring carries frames one way between two threads. It begins at a multiple of 64 in a
 * SharedArrayBuffer, which may hold many:
 *
 *   line 0   tail  int32, all bytes ever published, stored by the writer only
 *   line 1   head  int32, all bytes ever freed, stored by the reader only
 *            then int32, 1 while the writer waits for room: the reader clears it and tells
 *   data     `capacityBytes`, a power of two, so that positions may wrap past 2^32 without a seam
 *
 * head and tail count bytes and never stop: the bytes in use are (tail - head) | 0, a place in the
 * data is position & (capacity - 1). Each has a cache line to itself, and each side remembers what
 * it last read of the other: it looks again only when the ring seems full, or empty.
 *
 * The data is a row of records, 8-byte aligned, none of which goes around the end:
 *
 *   int32  kind << 28 | byteLength
 *   int32  state of a FRAME or LAST_FRAGMENT; for a FRAGMENT the byte length of the whole frame
 *   bytes  byteLength, padded to 8
 *
 * A PAD fills the end when the next frame does not fit there. A record is written whole before the
 * one Atomics.store of the tail that publishes it; afterwards only its state changes, by
 * compare-and-swap from either side. Take-back rests on that state: a worker inside a synchronous
 * task reads no messages, yet the frames it has not started can be had back.
 *
 * Source: Lee, Bu, Chandranmenon, IPDPS '10 (MCRingBuffer: remembered, late-published positions).
 */

import { assert } from "#engine/common/assert.ts";

/** Index of the tail in the Int32Array over the header. */
export const TAIL_INDEX = 0;
/** Index of the head in the Int32Array over the header: one 64-byte line further. */
export const HEAD_INDEX = 16;
/** Whether the writer waits for room, on the line of the reader, who looks at it as it frees. */
export const WAITING_INDEX = 17;

export const RECORD_HEADER_BYTES = 8;
export const KIND_SHIFT = 28;
export const LENGTH_MASK = (1 << KIND_SHIFT) - 1;

/** Zero is no kind: memory that was never written is not taken for a record. */
export const KIND_FRAME = 1;
export const KIND_PAD = 2;
export const KIND_FRAGMENT = 3;
export const KIND_LAST_FRAGMENT = 4;

/** The writer cannot take the frame back: peeking it is taking it. */
export const STATE_UNTRACKED = 0;
export const STATE_READY = 1;
export const STATE_TAKEN = 2;
export const STATE_RETRACTED = 3;

const LINE_BYTES = 64;
const HEADER_BYTES = 2 * LINE_BYTES;
const CAPACITY_MIN_BYTES = 64;
const CAPACITY_MAX_BYTES = 1 << KIND_SHIFT;

/** The three windows an end of a ring has on its memory. */
export interface RingMemory {
  readonly positions: Int32Array;
  readonly words: Int32Array;
  readonly bytes: Uint8Array;
}

/** Bytes a ring takes in its SharedArrayBuffer, a multiple of 64. */
export const ringByteLength = (capacityBytes: number): number => {
  assertCapacity(capacityBytes);
  return HEADER_BYTES + capacityBytes;
};

/** Largest frame a ring takes in one piece: with its pad it always fits an empty ring. */
export const ringMaxInPlaceBytes = (capacityBytes: number): number =>
  capacityBytes / 2 - RECORD_HEADER_BYTES;

/** Empties a ring that no thread has open; counting begins at `position`, a multiple of 8. */
export const resetRing = (buffer: SharedArrayBuffer, byteOffset: number, position = 0): void => {
  assert(position % RECORD_HEADER_BYTES === 0, "a ring's position is not a multiple of 8");
  const positions = new Int32Array(buffer, byteOffset, HEADER_BYTES / 4);
  Atomics.store(positions, TAIL_INDEX, position | 0);
  Atomics.store(positions, HEAD_INDEX, position | 0);
  Atomics.store(positions, WAITING_INDEX, 0);
};

export const openRing = (
  buffer: SharedArrayBuffer,
  byteOffset: number,
  capacityBytes: number,
): RingMemory => {
  assertCapacity(capacityBytes);
  assert(byteOffset % LINE_BYTES === 0, "a ring does not begin at a multiple of 64");
  const dataOffset = byteOffset + HEADER_BYTES;
  return {
    positions: new Int32Array(buffer, byteOffset, HEADER_BYTES / 4),
    words: new Int32Array(buffer, dataOffset, capacityBytes / 4),
    bytes: new Uint8Array(buffer, dataOffset, capacityBytes),
  };
};

/** Bytes a record with this much content takes. */
export const recordByteLength = (byteLength: number): number =>
  (byteLength + RECORD_HEADER_BYTES + 7) & ~7;

const assertCapacity = (capacityBytes: number): void => {
  const isPowerOfTwo = (capacityBytes & (capacityBytes - 1)) === 0;
  const isInRange = capacityBytes >= CAPACITY_MIN_BYTES && capacityBytes <= CAPACITY_MAX_BYTES;
  assert(isPowerOfTwo && isInRange, "a ring's capacity is not a power of two of 64 to 2^28 bytes");
};
