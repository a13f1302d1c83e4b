/**
 * Memory of arenas, used again by the next run of this thread: fresh pages cost more than a short
 * run.
 */
import { reserveSegments } from "#transports/threads/shared-arena.ts";

let spareBytes = 0;
let spare: SharedArrayBuffer[] | null = null;

export function takeSegments(totalBytes: number): SharedArrayBuffer[] {
  const segments = spareBytes === totalBytes ? spare : null;
  spare = null;
  return segments ?? reserveSegments(totalBytes);
}

/** What lies in them is garbage: an object is written before it is read. */
export function giveSegments(segments: SharedArrayBuffer[], totalBytes: number): void {
  spare = segments;
  spareBytes = totalBytes;
}
