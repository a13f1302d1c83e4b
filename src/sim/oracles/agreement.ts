/** 10 Idempotency: at quiet owners and raylets agree on every lease. */
import type { Cluster } from "#sim/cluster.ts";
import { Oracle } from "./oracle.ts";

export class AgreementOracle extends Oracle {
  readonly name = "10 idempotency";

  override atQuiet(cluster: Cluster): void {
    let held = 0;
    for (const { client, life } of [cluster.driver, ...cluster.liveWorkers]) {
      if (life.isAlive) held += client.core.submitter.leaseCount;
    }
    let granted = 0;
    for (const { running } of cluster.liveNodes) {
      const { leases, waiting, infeasible } = running.raylet.counts;
      granted += leases - waiting - infeasible;
    }
    if (held === granted) return;
    const message = `owners hold ${held} leases, the raylets have granted ${granted}`;
    this.violate({ entity: cluster.head.nodeId, message });
  }
}
