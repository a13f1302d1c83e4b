/**
 * 10 Idempotency: at quiet owners and raylets agree on every lease: whose it is, its number, and
 * the worker that it is for.
 */
import type { Address, WorkerId } from "#engine/common/ids.ts";
import type { Cluster } from "#sim/cluster/cluster.ts";
import { Oracle } from "./oracle.ts";

export interface AgreedLease {
  readonly owner: WorkerId;
  readonly leaseId: number;
  readonly workerId: WorkerId | null;
}

export class AgreementOracle extends Oracle {
  readonly name = "10 idempotency";

  override atQuiet(cluster: Cluster): void {
    const held: AgreedLease[] = [];
    for (const { client, life } of [cluster.driver, ...cluster.liveWorkers]) {
      if (!life.isAlive) continue;
      const owner = client.workerId;
      for (const { stream, workerId } of client.core.submitter.heldLeases) {
        held.push({ owner, leaseId: stream, workerId });
      }
    }
    const granted: AgreedLease[] = [];
    for (const { running } of cluster.liveNodes) {
      for (const { owner, leaseId, worker } of running.raylet.grantedLeases()) {
        granted.push({ owner, leaseId, workerId: worker?.id ?? null });
      }
    }
    for (const { entity, message } of disagreements(held, granted)) {
      this.violate({ entity, message });
    }
  }
}

/** What the one side knows of and the other does not. */
export function disagreements(
  held: readonly AgreedLease[],
  granted: readonly AgreedLease[],
): { entity: Address; message: string }[] {
  const known = new Set(granted.map(nameOf));
  const wanted = new Set(held.map(nameOf));
  const ungranted = held.filter((lease) => !known.has(nameOf(lease)));
  const unheld = granted.filter((lease) => !wanted.has(nameOf(lease)));
  return [
    ...ungranted.map((lease) => ({
      entity: lease.owner,
      message: `${nameOf(lease)} is held by its owner, and no raylet has granted it`,
    })),
    ...unheld.map((lease) => ({
      entity: lease.owner,
      message: `${nameOf(lease)} is granted, and its owner does not hold it`,
    })),
  ];
}

function nameOf({ owner, leaseId, workerId }: AgreedLease): string {
  return `lease ${leaseId} of ${owner} on worker ${workerId ?? "none"}`;
}
