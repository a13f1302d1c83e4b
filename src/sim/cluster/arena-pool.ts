/**
 * Memory of arenas, used again by the next run of this thread: fresh pages cost more than a short
 * run.
 */
import { reserveSegments } from "#transports/threads/shared-arena.ts";

/** Arenas kept, of whatever size: as many as the nodes of a large world. */
const sparesMax = 8;
const spares: { readonly totalBytes: number; readonly segments: SharedArrayBuffer[] }[] = [];

export function takeSegments(totalBytes: number): SharedArrayBuffer[] {
  const at = spares.findIndex((spare) => spare.totalBytes === totalBytes);
  const [spare] = at < 0 ? [] : spares.splice(at, 1);
  return spare?.segments ?? reserveSegments(totalBytes);
}

/** What lies in them is garbage: an object is written before it is read. */
export function giveSegments(segments: SharedArrayBuffer[], totalBytes: number): void {
  spares.push({ totalBytes, segments });
  if (spares.length > sparesMax) spares.shift();
}
