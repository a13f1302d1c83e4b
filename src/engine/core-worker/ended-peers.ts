/**
 * Processes and nodes of which this process was told that they have ended: nothing of them is
 * accepted any more and nothing is sent to them. Ids are never given out again, so this only
 * grows: processes up to `endedMax`, nodes as many as the cluster has lost.
 */
import { type Address, type NodeId, nodeIdOf, type WorkerId } from "#engine/common/ids.ts";

const endedMax = 100_000;

export class EndedPeers {
  /** Worker → why it ended, oldest first. */
  readonly #reasons = new Map<Address, string>();
  /** All processes of these have ended. */
  readonly #nodes = new Map<NodeId, string>();

  /** Of processes and nodes: 0 while nobody has ended. */
  get size(): number {
    return this.#reasons.size + this.#nodes.size;
  }

  /** False if that was known before. */
  addNode(nodeId: NodeId, reason: string): boolean {
    if (this.#nodes.has(nodeId)) return false;
    this.#nodes.set(nodeId, reason);
    return true;
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
    if (this.#reasons.size > 0 && this.#reasons.has(peer)) return true;
    return this.#nodes.size > 0 && this.#nodes.has(nodeIdOf(peer as WorkerId));
  }

  reasonOf(peer: Address): string {
    return this.#reasons.get(peer) ?? this.#nodes.get(nodeIdOf(peer as WorkerId)) ?? "";
  }
}
