/** Whether this node can ever be the place of a claim, and in words why not. */
import type { NodeId } from "#engine/common/ids.ts";
import type { SchedulingStrategy } from "#engine/common/task-spec.ts";

/** Why no node will ever do, so that waiting is useless; or "". */
export function whyHopeless(strategy: SchedulingStrategy, self: NodeId): string {
  if (strategy.type !== "nodeAffinity" || strategy.soft || strategy.nodeId === self) return "";
  return `must run on node ${strategy.nodeId}; the only node is ${self}`;
}

/** Which labels it would wait for, or "". Soft ones choose between nodes, and there is one. */
export function whyLabelsDiffer(
  strategy: SchedulingStrategy,
  labels: ReadonlyMap<string, string>,
): string {
  if (strategy.type !== "nodeLabels") return "";
  const unmet = [...strategy.hard].filter(([name, value]) => labels.get(name) !== value);
  if (unmet.length === 0) return "";
  return `no node has the labels ${formatLabels(unmet)}; this node has ${formatLabels(labels)}`;
}

function formatLabels(labels: Iterable<readonly [string, string]>): string {
  return `{${[...labels].map(([name, value]) => `${name}: ${value}`).join(", ")}}`;
}
