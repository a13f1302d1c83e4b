/** Whether the tasks of a key are worth a second worker: what moving or sharing them gains. */
import type { NodeId } from "#engine/common/ids.ts";
import type { LeaseStream, SchedulingQueue } from "./scheduling-queue.ts";

/** Below this much work ahead, moving it to another worker costs more than it gains. */
const stealAtAheadMs = 0.2;
/**
 * Shorter tasks than this cost their owner more than their worker: a second worker gains nothing.
 */
const shareFromMs = 0.004;
/** Whether what waits on the lease is enough work for a second worker to take its share of. */
export function isWorthMoving(
  { durationMs }: SchedulingQueue,
  { inFlightCount }: LeaseStream,
): boolean {
  if (inFlightCount < 2) return false;
  if (durationMs < 0) return true;
  return durationMs >= shareFromMs && durationMs * inFlightCount >= stealAtAheadMs;
}

/** One worker at a time is as fast as several: the others are kept for longer tasks. */
export function isTooShortToShare({ durationMs }: SchedulingQueue): boolean {
  return durationMs >= 0 && durationMs < shareFromMs;
}

/** Of this node: what was pushed to another cannot be had back. */
export function fullestLease({ leases }: SchedulingQueue, node: NodeId): LeaseStream | undefined {
  let fullest: LeaseStream | undefined;
  for (const lease of leases) {
    if (lease.raylet !== node) continue;
    if (fullest === undefined || lease.inFlightCount > fullest.inFlightCount) fullest = lease;
  }
  return fullest;
}
