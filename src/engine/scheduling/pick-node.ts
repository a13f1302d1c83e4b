/**
 * Which node a lease or an actor goes to: pure, shared by raylets and the GCS.
 *
 * default    the preferred node while it has room now; else the node with room that has the most
 *            CPU free; else, where all are busy, the preferred one if it can ever do it
 * spread     nodes with room in turn
 * affinity   that node; a soft one falls back to default
 * labels     as default among nodes with the hard labels, first among those with the soft ones too
 *
 * Source: Ray's hybrid, spread, node affinity and node label policies.
 */
import type { NodeId } from "#engine/common/ids.ts";
import { cpuName, formatResources } from "#engine/common/resources.ts";
import type { ResourceRequest } from "#engine/common/resources.ts";
import type { SchedulingStrategy } from "#engine/common/task-spec.ts";
import type { NodeState } from "#engine/protocol/gcs.ts";

export interface Wanted {
  readonly resources: ResourceRequest;
  readonly strategy: SchedulingStrategy;
  /** The node of whoever asks; null when none is nearer than the others. */
  readonly preferred: NodeId | null;
  /** Rises with each choice: where `spread` begins. */
  readonly turn: number;
}

export interface Choice {
  /** Null: no living node can ever do it, `why` says so. */
  readonly nodeId: NodeId | null;
  readonly why: string;
  /** No node that joins later could either. */
  readonly hopeless: boolean;
}

export function pickNode(nodes: readonly NodeState[], wanted: Wanted): Choice {
  const { resources, strategy, preferred } = wanted;
  switch (strategy.type) {
    case "nodeAffinity": {
      if (nodes.some(({ nodeId }) => nodeId === strategy.nodeId)) return chosen(strategy.nodeId);
      if (strategy.soft) return hybrid(nodes, resources, preferred);
      const why = `must run on node ${strategy.nodeId}, which is not in the cluster`;
      return { nodeId: null, why, hopeless: true };
    }
    case "nodeLabels": {
      const matching = nodes.filter(({ labels }) => hasLabels(labels, strategy.hard));
      const liked = matching.filter(({ labels }) => hasLabels(labels, strategy.soft));
      const best = hybrid(liked, resources, preferred);
      return best.nodeId === null ? hybrid(matching, resources, preferred) : best;
    }
    case "spread":
      return spread(nodes, resources, wanted.turn);
    case "default":
      return hybrid(nodes, resources, preferred);
  }
}

export function hasRoom({ available }: NodeState, resources: ResourceRequest): boolean {
  return covers(available, resources);
}

function hybrid(
  nodes: readonly NodeState[],
  resources: ResourceRequest,
  preferred: NodeId | null,
): Choice {
  const feasible = nodes.filter(({ totals }) => covers(totals, resources));
  const withRoom = feasible.filter((node) => hasRoom(node, resources));
  const candidates = withRoom.length > 0 ? withRoom : feasible;
  if (candidates.some(({ nodeId }) => nodeId === preferred)) return chosen(preferred);
  let best: NodeState | undefined;
  for (const node of candidates) {
    if (best === undefined || freeCpuShare(node) > freeCpuShare(best)) best = node;
  }
  return best === undefined ? nowhere(nodes, resources) : chosen(best.nodeId);
}

function spread(nodes: readonly NodeState[], resources: ResourceRequest, turn: number): Choice {
  const feasible = nodes.filter(({ totals }) => covers(totals, resources));
  const withRoom = feasible.filter((node) => hasRoom(node, resources));
  const candidates = withRoom.length > 0 ? withRoom : feasible;
  const node = candidates[turn % Math.max(1, candidates.length)];
  return node === undefined ? nowhere(nodes, resources) : chosen(node.nodeId);
}

function chosen(nodeId: NodeId | null): Choice {
  return { nodeId, why: "", hopeless: false };
}

function nowhere(nodes: readonly NodeState[], resources: ResourceRequest): Choice {
  const totals = nodes.map((node) => formatResources(node.totals)).join(", ");
  const why = `no node has ${formatResources(resources)}; those it may use: ${totals || "none"}`;
  return { nodeId: null, why, hopeless: false };
}

function covers(amounts: ResourceRequest, request: ResourceRequest): boolean {
  for (const [name, amount] of request) if (amount > (amounts.get(name) ?? 0)) return false;
  return true;
}

function hasLabels(
  labels: ReadonlyMap<string, string>,
  asked: ReadonlyMap<string, string>,
): boolean {
  for (const [name, value] of asked) if (labels.get(name) !== value) return false;
  return true;
}

function freeCpuShare({ available, totals }: NodeState): number {
  const total = totals.get(cpuName) ?? 0;
  return total === 0 ? 0 : (available.get(cpuName) ?? 0) / total;
}
