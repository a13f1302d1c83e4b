/**
 * How many tasks of a key go to one worker, and how many workers they are worth: what moving or
 * sharing them gains.
 */
import type { Config } from "#engine/common/config.ts";
import type { LeaseStream, SchedulingQueue } from "./scheduling-queue.ts";

/** Below this much work ahead, moving it to another worker costs more than it gains. */
const stealAtAheadMs = 0.2;
/**
 * Shorter tasks than this cost their owner more than their worker: a second worker gains nothing.
 */
const shareFromMs = 0.004;
/**
 * Tasks up to this long get one more pushed behind them, so that the worker need not wait for it.
 */
const overlapBelowMs = 100;

/** How many tasks of the key may be in flight on one lease. */
export function pipelineDepth({ durationMs }: SchedulingQueue, config: Config): number {
  if (durationMs < 0 || durationMs >= overlapBelowMs) return 1;
  const { pipelineAheadMs, pipelineDepthMax } = config;
  // Tasks may take no time at all, by a coarse clock: nothing of nothing would be no number.
  const aheadCount = pipelineAheadMs === 0 ? 0 : Math.ceil(pipelineAheadMs / durationMs);
  return Math.min(pipelineDepthMax, aheadCount + 1);
}

/**
 * For how many more workers the key should ask: one for each task without a worker of its own, as
 * far as a worker would find something to do. 0 or less: none, and what was asked for is too much.
 */
export function workersWanted(queue: SchedulingQueue): number {
  const { leases } = queue;
  // One that is blocked may be waiting for what is queued behind it.
  if (isTooShortToShare(queue) && leases.some(({ blocked }) => !blocked)) return 0;
  const fullest = fullestLease(queue);
  const mayShare = fullest !== undefined && isWorthMoving(queue, fullest);
  const shared = mayShare ? queue.inFlightCount : leases.length;
  return queue.tasks.size + shared - leases.length;
}

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
export function fullestLease({ leases }: SchedulingQueue): LeaseStream | undefined {
  let fullest: LeaseStream | undefined;
  for (const lease of leases) {
    if (lease.isFar) continue;
    if (fullest === undefined || lease.inFlightCount > fullest.inFlightCount) fullest = lease;
  }
  return fullest;
}
