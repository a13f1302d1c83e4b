/** 6 Resources: at quiet all is back but what the options of living actors say that they hold. */
import type { IncomingActor } from "#engine/core-worker/incoming-task.ts";
import type { Cluster } from "#sim/cluster/cluster.ts";
import { Oracle } from "./oracle.ts";

export class ResourceOracle extends Oracle {
  readonly name = "6 resources";

  override atQuiet({ liveNodes, liveWorkers }: Cluster): void {
    for (const { nodeId, number, totals, running } of liveNodes) {
      const { leases, waiting, infeasible } = running.raylet.counts;
      if (leases > infeasible || waiting > 0) {
        const message = `${leases} leases and ${waiting} requests are left`;
        this.violate({ entity: nodeId, message });
      }
      const here = liveWorkers.filter(({ life }) => life.node === number);
      const actors = here.flatMap(({ client }) => client.core.receiver.actor ?? []);
      for (const [name, total] of totals) {
        const held = actors.reduce((sum, actor) => sum + heldBy(actor, name), 0);
        const available = running.raylet.available(name);
        if (available === total - held) continue;
        const but = held === 0 ? "" : `, and living actors hold ${held}`;
        const message = `${name} ${available} of ${total} (1/10000) came back${but}`;
        this.violate({ entity: nodeId, message });
      }
    }
  }
}

/** For its constructor it may have more than it keeps. */
function heldBy({ spec, maxConcurrency }: IncomingActor, name: string): number {
  const kept = spec.runningResources.get(name) ?? 0;
  const forConstructor = spec.placementResources.get(name) ?? 0;
  return maxConcurrency > 0 ? kept : Math.max(kept, forConstructor);
}
