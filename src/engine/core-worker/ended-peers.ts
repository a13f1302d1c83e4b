/**
 * Processes of which this one was told that they have ended: nothing of them is accepted any more
 * and nothing is sent to them. Ids are never given out again, so this only grows, up to `endedMax`.
 */
import type { Address, WorkerId } from "#engine/common/ids.ts";

const endedMax = 100_000;

export class EndedPeers {
  /** Worker → why it ended, oldest first. */
  readonly #reasons = new Map<Address, string>();

  get size(): number {
    return this.#reasons.size;
  }

  /** False if that was known before. */
  add(workerId: WorkerId, reason: string): boolean {
    if (this.#reasons.has(workerId)) return false;
    this.#reasons.set(workerId, reason);
    if (this.#reasons.size <= endedMax) return true;
    for (const oldest of this.#reasons.keys()) {
      this.#reasons.delete(oldest);
      break;
    }
    return true;
  }

  has(peer: Address): boolean {
    return this.#reasons.size > 0 && this.#reasons.has(peer);
  }

  reasonOf(peer: Address): string {
    return this.#reasons.get(peer) ?? "";
  }
}
