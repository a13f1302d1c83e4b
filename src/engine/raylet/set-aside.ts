/**
 * When a claim that does not fit may keep what is free from others: in turns that alternate with
 * open ones and double, [1, 2) of the unit, [4, 8), [16, 32) … A turn is at last long enough for
 * what runs now to end; and if it never ends, the others still get two thirds of the time.
 */
import type { Claim } from "./placement-queue.ts";
import type { ResourceRequest } from "#engine/common/resources.ts";

export interface SetAside {
  readonly amounts: ResourceRequest;
  readonly starved: Claim;
}

/** End of the turn that `nowMs` lies in, or 0 when it is not the claim's turn. */
export function setAsideEndMs(sinceMs: number, nowMs: number, turnMs: number): number {
  const age = nowMs - sinceMs;
  if (turnMs <= 0 || age < turnMs) return 0;
  const turn = Math.floor(Math.log2(age / turnMs));
  const endMs = sinceMs + turnMs * 2 ** (turn + 1);
  // The second half is about rounding: a deadline must never be set for now.
  return turn % 2 === 0 && nowMs < endMs ? endMs : 0;
}
