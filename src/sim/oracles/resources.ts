/** 6 Resources: at quiet all is back that no living actor holds. */
import type { Cluster } from "#sim/cluster.ts";
import { Oracle } from "./oracle.ts";

export class ResourceOracle extends Oracle {
  readonly name = "6 resources";

  override atQuiet({ liveNodes }: Cluster): void {
    for (const { nodeId, totals, running } of liveNodes) {
      const { leases, waiting, infeasible, actors } = running.raylet.counts;
      if (leases > infeasible || waiting > 0) {
        const message = `${leases} leases and ${waiting} requests are left`;
        this.violate({ entity: nodeId, message });
      }
      if (actors > 0) continue;
      for (const [name, total] of totals) {
        const available = running.raylet.available(name);
        if (available === total) continue;
        const message = `${name} ${available} of ${total} (1/10000) came back`;
        this.violate({ entity: nodeId, message });
      }
    }
  }
}
