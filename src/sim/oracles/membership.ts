/** 12 Membership: at quiet nobody lives under an id that was declared dead. */
import type { Cluster } from "#sim/cluster/cluster.ts";
import { Oracle } from "./oracle.ts";

export class MembershipOracle extends Oracle {
  readonly name = "12 membership";

  override atQuiet(cluster: Cluster): void {
    for (const { nodeId } of cluster.liveNodes) {
      if (!cluster.hasBuried(nodeId)) continue;
      const message = "the GCS has declared it dead, and it has not ended itself";
      this.violate({ entity: nodeId, message });
    }
  }
}
