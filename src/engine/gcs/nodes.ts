/**
 * The nodes of the cluster: joined → alive. One for now: health checks and death come with
 * clusters.
 *
 * State:  rows by id, in the order they joined.
 * In/out: registerNode; a repeat changes nothing.
 * Bounds: one row a node.
 * Errors: none.
 * Source: Ray gcs_node_manager.
 */
import { assert } from "#engine/common/assert.ts";
import type { NodeId } from "#engine/common/ids.ts";
import type { RegisterNode } from "#engine/protocol/gcs.ts";

export class Nodes {
  readonly #rows = new Map<NodeId, RegisterNode>();

  get size(): number {
    return this.#rows.size;
  }

  /** True when the node is new. */
  onRegisterNode(message: RegisterNode): boolean {
    if (this.#rows.has(message.nodeId)) return false;
    this.#rows.set(message.nodeId, message);
    return true;
  }

  find(nodeId: NodeId): RegisterNode | undefined {
    return this.#rows.get(nodeId);
  }

  /** Where to create an actor; null while no node has joined. */
  pick(): NodeId | null {
    for (const nodeId of this.#rows.keys()) return nodeId;
    return null;
  }

  checkInvariants(): void {
    for (const [nodeId, row] of this.#rows)
      assert(nodeId === row.nodeId, "a node under another's id");
  }
}
