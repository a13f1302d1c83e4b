/**
 * 5 References, as far as lineage goes: at quiet the spec of a task is kept only for a return that
 * is in scope, or for another kept spec that has one of its returns as an argument.
 */
import type { ObjectEntry, TaskRecord } from "#engine/core-worker/object-entry.ts";
import type { Cluster } from "#sim/cluster/cluster.ts";
import { Oracle } from "./oracle.ts";
import { idOf } from "./tasks.ts";

export class LineageOracle extends Oracle {
  readonly name = "5 references";

  override atQuiet({ driver, liveWorkers }: Cluster): void {
    for (const { client, life } of [driver, ...liveWorkers]) {
      if (!life.isAlive) continue;
      const kept = [...client.core.lineage.all()];
      const needed = new Set<ObjectEntry>();
      for (const { task, lineageOnly } of kept) {
        for (const [i, entry] of (task.refs ?? []).entries()) {
          if (entry !== null && lineageOnly[i] === true) needed.add(entry);
        }
      }
      for (const { task } of kept) {
        if (returnsOf(task).some((one) => one.state !== "FREED" || needed.has(one))) continue;
        const message = `${life.name} keeps the spec of its task, and nobody needs what it made`;
        this.violate({ entity: idOf(task), message });
      }
    }
  }
}

function returnsOf(task: TaskRecord): ObjectEntry[] {
  return [task, ...(task.moreReturns ?? [])];
}
