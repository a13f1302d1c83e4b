/**
 * 5 References, as far as holds go: at quiet an owner's table lists exactly the living processes
 * that count on it.
 */
import type { WorkerId } from "#engine/common/ids.ts";
import type { Cluster, SimProcess } from "#sim/cluster.ts";
import { Oracle } from "./oracle.ts";
import { idOf } from "./tasks.ts";

export class ReferenceOracle extends Oracle {
  readonly name = "5 references";

  override atQuiet(cluster: Cluster): void {
    const processes = new Map<WorkerId, SimProcess>();
    for (const process of [cluster.driver, ...cluster.liveWorkers]) {
      if (process.life.isAlive) processes.set(process.client.workerId, process);
    }
    for (const process of processes.values()) {
      for (const entry of process.client.core.references.registered()) {
        if (entry.owner === process.client.workerId) {
          for (const [holder, count] of entry.holders ?? []) {
            const borrowed = processes.get(holder)?.client.core.references.find(entry.owner, entry);
            if (count === 1 && borrowed?.registered === true) continue;
            const message = `held ${count} times for ${holder}, which has no hold on it`;
            this.violate({ entity: idOf(entry), message });
          }
        } else if (entry.registered && entry.state !== "FAILED") {
          const owner = processes.get(entry.owner);
          const owned = owner?.client.core.references.find(entry.owner, entry);
          if (owner === undefined || owned?.holders?.has(process.client.workerId)) continue;
          const message = `${process.life.name} counts on a hold that its owner does not know of`;
          this.violate({ entity: idOf(entry), message });
        }
      }
    }
  }
}
