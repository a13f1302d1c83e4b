/** How long a world may take for what: in virtual time, from the times of the engine in it. */
import type { Config } from "#engine/common/config.ts";

/** A task asks again for the room it needs, and waits longer each time while others give up. */
const roomTries = 8;

/** With nothing but upkeep for so long a program is stuck: longer than any verdict takes. */
export function stuckMsOf({ healthTimeoutMs, linkTimeoutMs }: Config): number {
  return 2 * (healthTimeoutMs + linkTimeoutMs);
}

/**
 * Within so long after the last fault everything must be quiet: verdicts, what they lead to, and
 * whatever is kept for a while after its last use.
 */
export function quietMsOf(config: Config): number {
  const { gcsReconnectMs, idleLeaseMs, leaseTurnMs, forceGraceMs } = config;
  const { copyLingerMs, pullRoomTimeoutMs, workerStartTimeoutMs } = config;
  const lingering = idleLeaseMs + leaseTurnMs + forceGraceMs + copyLingerMs;
  const waiting = roomTries * pullRoomTimeoutMs + workerStartTimeoutMs;
  return gcsReconnectMs + stuckMsOf(config) + lingering + waiting;
}
