/**
 * The bytes of a chunk that has come: out of its frame, into the arena. The way out is the codec's
 * (`FrameWriter.arena`); so no machine ever touches a byte of an object.
 */
import type { ArenaBytes } from "#engine/protocol/arena.ts";
import type { StoreChunk } from "#engine/raylet/placement-queue.ts";

export function storeChunk(arena: ArenaBytes, { bytes: from, to }: StoreChunk): void {
  const { bytes, start, size } = from;
  arena.bytes(to.segment).set(bytes.subarray(start, start + size), to.offset);
}
