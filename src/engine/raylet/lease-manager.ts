/**
 * Life of a lease on this node: QUEUED → GRANTED ⇄ BLOCKED → gone; the placing itself is
 * Placement's.
 *
 * State:  leases by owner and leaseId; an owner in the map has leases, or was told that somebody
 *         waits.
 * In/out: requestWorkerLease, releaseLease, taskBlocked, the end of a worker → leaseGranted,
 *         leasePending, leaseRefused, leaseRevoked; `announceDemand` ends every event of the
 *         raylet with leaseDemand.
 * Bounds: waiting ones by Placement, granted ones by threads and blocked tasks.
 * Errors: an infeasible lease waits, with a reason. A dead worker's leases are revoked, a dead
 *         owner's are doomed.
 * Source: Ray local_lease_manager; Ownership, NSDI '21, §4.
 */
import { assert } from "#engine/common/assert.ts";
import type { Config } from "#engine/common/config.ts";
import { engineError } from "#engine/common/error-type.ts";
import type { EngineError } from "#engine/common/error-type.ts";
import { nodeIdOf, type NodeId, type WorkerId } from "#engine/common/ids.ts";
import type { NodeState } from "#engine/protocol/gcs.ts";
import type { DoomedEnded, StopLeasedWorker } from "#engine/protocol/cancel.ts";
import type {
  LeaseDemand,
  ReleaseLease,
  RequestWorkerLease,
  TaskBlocked,
} from "#engine/protocol/lease.ts";
import { type Choice, pickNode } from "#engine/scheduling/pick-node.ts";
import { type DoomedLease, DoomedLeases } from "./doomed-leases.ts";
import type { Membership } from "./membership.ts";
import type { ThreadWork } from "./memory-monitor.ts";
import type { PeerWatch } from "./peer-watch.ts";
import { Claim } from "./placement-queue.ts";
import type { PendingReason, RayletOut } from "./placement-queue.ts";
import type { Placement } from "./placement.ts";

/** Claims looked at again when what other nodes have free has changed. */
const secondLooksMax = 256;

class Lease extends Claim {
  readonly owner: WorkerId;
  readonly leaseId: number;
  /** Another raylet sent it here. */
  readonly noSpill: boolean;
  /** What runs under it may run again. */
  readonly isRetriable: boolean;
  isBlocked = false;
  /** The highest heard. */
  blockSeq = 0;
  readonly #manager: LeaseManager;

  constructor(manager: LeaseManager, request: RequestWorkerLease) {
    const { from, taskName, resources, strategy, depth, leaseId } = request;
    super({ kind: "lease", requester: from, what: taskName, resources, strategy, depth });
    this.owner = from as WorkerId;
    this.leaseId = leaseId;
    this.noSpill = request.noSpill;
    this.isRetriable = request.isRetriable;
    this.#manager = manager;
  }

  override onPlaced(out: RayletOut): void {
    this.#manager.grant(this, out);
  }

  override onPending(_reason: PendingReason, out: RayletOut): void {
    this.#manager.sendPending(this, out);
  }

  override onRefused(text: string, out: RayletOut): void {
    this.#manager.refuse(this, text, out);
  }
}

interface Owner {
  readonly id: WorkerId;
  readonly leases: Map<number, Lease>;
  grantedCount: number;
  /** The last leaseDemand sent to it said that somebody waits. */
  knowsOfWaiting: boolean;
}

export class LeaseManager {
  readonly #self: NodeId;
  readonly #labels: ReadonlyMap<string, string>;
  readonly #placement: Placement;
  readonly #membership: Membership;
  readonly #peers: PeerWatch;
  readonly #owners = new Map<WorkerId, Owner>();
  readonly #doomed: DoomedLeases;
  #demandVersion = 0;
  #isWaiting = false;
  /** Where the next lease with the strategy `spread` begins to look. */
  #turn = 0;

  constructor(parts: {
    nodeId: NodeId;
    labels: ReadonlyMap<string, string>;
    placement: Placement;
    membership: Membership;
    peers: PeerWatch;
    config: Config;
  }) {
    this.#self = parts.nodeId;
    this.#labels = parts.labels;
    this.#placement = parts.placement;
    this.#membership = parts.membership;
    this.#peers = parts.peers;
    this.#doomed = new DoomedLeases(parts.nodeId, parts.placement, parts.config);
  }

  get leaseCount(): number {
    let count = 0;
    for (const owner of this.#owners.values()) count += owner.leases.size;
    return count + this.#doomed.size;
  }

  /** With those whose owner has died, as long as their threads are in use; for tests. */
  *granted(): Iterable<DoomedLease> {
    for (const { leases } of this.#owners.values()) {
      for (const lease of leases.values()) if (lease.place === "placed") yield lease;
    }
    yield* this.#doomed.all;
  }

  /** What the thread is used for; null when it has no lease. Leases of the dead are not counted. */
  workOn(workerId: WorkerId): ThreadWork | null {
    let work = null as ThreadWork | null;
    for (const { leases } of this.#owners.values()) {
      for (const { worker, what, isRetriable } of leases.values()) {
        if (worker?.id !== workerId) continue;
        work = { what: `task ${what}`, isRetriable: isRetriable && work?.isRetriable !== false };
      }
    }
    return work;
  }

  onRequestWorkerLease(message: RequestWorkerLease, nowMs: number, out: RayletOut): void {
    const id = message.from as WorkerId;
    const known = this.#owners.get(id)?.leases.get(message.leaseId);
    if (known !== undefined) {
      this.#repeatAnswer(known, out);
      return;
    }
    if (nodeIdOf(id) !== this.#self) this.#peers.watchRemote(id, this.#self, out);
    const lease = new Lease(this, message);
    const { nodeId, hopeless, why } = this.#choose(lease);
    if (hopeless) {
      this.#sendRefused(lease, `${lease.what} ${why}`, out);
      return;
    }
    if (nodeId !== null && nodeId !== this.#self) {
      this.#sendSpilled(lease, nodeId, out);
      return;
    }
    let owner = this.#owners.get(id);
    if (owner === undefined) {
      owner = { id, leases: new Map(), grantedCount: 0, knowsOfWaiting: false };
      this.#owners.set(id, owner);
    }
    owner.leases.set(lease.leaseId, lease);
    this.#placement.submit(lease, nowMs, out);
  }

  onReleaseLease(message: ReleaseLease): void {
    const owner = this.#owners.get(message.from as WorkerId);
    const lease = owner?.leases.get(message.leaseId);
    if (lease !== undefined) this.#end(lease);
  }

  onTaskBlocked(message: TaskBlocked): void {
    const lease = this.#owners.get(message.owner)?.leases.get(message.leaseId);
    if (lease === undefined || lease.worker?.id !== message.from) return;
    if (message.blockSeq <= lease.blockSeq) return;
    lease.blockSeq = message.blockSeq;
    if (lease.isBlocked === message.blocked) return;
    lease.isBlocked = message.blocked;
    if (message.blocked) this.#placement.lend(lease);
    else this.#placement.retake(lease);
  }

  /** One of its tasks was cancelled by force and goes on: the thread ends for all there. */
  onStopLeasedWorker({ from, leaseId, reason }: StopLeasedWorker, out: RayletOut): void {
    const lease = this.#owners.get(from as WorkerId)?.leases.get(leaseId);
    const worker = lease?.worker ?? null;
    if (worker === null || worker.phase === "stopping") return;
    worker.stopCause = { kind: "forced", text: reason };
    this.#placement.stopWorker(worker, out);
  }

  grant(lease: Lease, out: RayletOut): void {
    const owner = this.#ownerOf(lease);
    owner.grantedCount += 1;
    this.#sendGranted(lease, out);
    if (this.#isWaiting) this.#tellDemand(owner, true, out);
  }

  refuse(lease: Lease, text: string, out: RayletOut): void {
    this.#forget(lease);
    this.#sendRefused(lease, text, out);
  }

  /** Nodes joined or died, or have more or less free: what waits here may go there. */
  onNodesChanged(out: RayletOut): void {
    let looks = 0;
    for (const claim of [...this.#placement.unplaced()]) {
      if (!(claim instanceof Lease) || claim.noSpill) continue;
      if ((looks += 1) > secondLooksMax) return;
      const { nodeId } = this.#choose(claim);
      if (nodeId === null || nodeId === this.#self) continue;
      this.#end(claim);
      this.#sendSpilled(claim, nodeId, out);
    }
  }

  /** Those of owners there end; its own leases ended with it. */
  onNodeDied(nodeId: NodeId, error: EngineError, out: RayletOut): void {
    for (const owner of [...this.#owners.keys()]) {
      if (nodeIdOf(owner) === nodeId) this.onWorkerExited(owner, error, out);
    }
    this.onNodesChanged(out);
  }

  #sendRefused(lease: Lease, text: string, out: RayletOut): void {
    const error = engineError("TASK_UNSCHEDULABLE", text, "", lease.what);
    out.send(lease.owner, {
      type: "leaseRefused",
      from: this.#self,
      leaseId: lease.leaseId,
      error,
    });
  }

  /**
   * As an owner: its leases on other threads are doomed, the others end silently. Those of others
   * on its thread are revoked.
   */
  onWorkerExited(workerId: WorkerId, error: EngineError, out: RayletOut): void {
    const own = this.#owners.get(workerId);
    for (const lease of [...(own?.leases.values() ?? [])]) {
      if (lease.place === "placed" && lease.worker?.id !== workerId) this.#doom(lease);
      else this.#end(lease);
    }
    this.#owners.delete(workerId);
    this.#doomed.onWorkerExited(workerId);
    for (const owner of [...this.#owners.values()]) {
      for (const lease of [...owner.leases.values()]) {
        if (lease.worker?.id !== workerId) continue;
        const { leaseId } = lease;
        this.#end(lease);
        out.send(owner.id, { type: "leaseRevoked", from: this.#self, leaseId, error });
      }
    }
  }

  /** After the death of their owner has been told: nothing of it is started any more. */
  tellDoomed(nowMs: number, out: RayletOut): void {
    this.#doomed.tell(nowMs, out);
  }

  onDoomedEnded({ from, owner }: DoomedEnded): void {
    this.#doomed.onEnded(from as WorkerId, owner);
  }

  nextDeadlineMs(): number {
    return this.#doomed.nextDeadlineMs();
  }

  onDeadline(nowMs: number, out: RayletOut): void {
    this.#doomed.onDeadline(nowMs, out);
  }

  /** Tells those who hold leases that somebody waits for one, or that nobody does any more. */
  announceDemand(out: RayletOut): void {
    const isWaiting = this.#placement.waitingCount > 0;
    if (isWaiting === this.#isWaiting) return;
    this.#isWaiting = isWaiting;
    this.#demandVersion += 1;
    for (const owner of [...this.#owners.values()]) {
      if (isWaiting && owner.grantedCount === 0) continue;
      this.#tellDemand(owner, isWaiting, out);
      this.#dropIfUnused(owner);
    }
  }

  sendPending({ leaseId, owner, reason }: Lease, out: RayletOut): void {
    assert(reason !== null, "a lease waits without a reason");
    const infeasible = reason.kind === "infeasible";
    out.send(owner, {
      type: "leasePending",
      from: this.#self,
      leaseId,
      reason: reason.text,
      infeasible,
    });
  }

  checkInvariants(): void {
    this.#doomed.checkInvariants();
    const isWaiting = this.#placement.waitingCount > 0;
    assert(isWaiting === this.#isWaiting, "the demand for leases was not announced");
    for (const [id, owner] of this.#owners) {
      assert(id === owner.id, "an owner under another's id");
      assert(owner.leases.size > 0 || owner.knowsOfWaiting, "an owner without leases");
      assert(isWaiting || !owner.knowsOfWaiting, "an owner believes that somebody waits");
      let granted = 0;
      for (const [leaseId, lease] of owner.leases) {
        assert(leaseId === lease.leaseId && lease.owner === id, "a lease under another's key");
        assert(lease.place !== "none", "a lease that nobody works on");
        const isGranted = lease.place === "placed";
        if (isGranted) granted += 1;
        assert(!lease.isBlocked || isGranted, "a lease without a worker is blocked");
        assert(!isGranted || lease.allocation?.lent === lease.isBlocked, "lent, not blocked");
        assert(isGranted || lease.reason !== null, "a lease waits without a reason");
      }
      assert(owner.grantedCount === granted, "count of granted leases");
      assert(!isWaiting || granted === 0 || owner.knowsOfWaiting, "a holder was not told");
    }
  }

  #repeatAnswer(lease: Lease, out: RayletOut): void {
    if (lease.place === "placed") this.#sendGranted(lease, out);
    else if (lease.reason !== null) this.sendPending(lease, out);
  }

  /** The node for it; this one, or null, when it is to be placed or to wait here. */
  #choose({ noSpill, resources, strategy }: Lease): Choice {
    const { others } = this.#membership;
    if (noSpill || others.length === 0) return { nodeId: this.#self, why: "", hopeless: false };
    const here: NodeState = {
      nodeId: this.#self,
      totals: this.#placement.totals,
      available: this.#placement.hasRoom(resources)
        ? this.#placement.availableAmounts()
        : new Map(),
      labels: this.#labels,
    };
    const nodes = [here, ...others];
    return pickNode(nodes, { resources, strategy, preferred: this.#self, turn: this.#turn++ });
  }

  #sendSpilled(lease: Lease, nodeId: NodeId, out: RayletOut): void {
    this.#membership.charge(nodeId, lease.resources);
    const { leaseId, owner } = lease;
    out.send(owner, { type: "leaseSpilled", from: this.#self, leaseId, nodeId });
  }

  #sendGranted(lease: Lease, out: RayletOut): void {
    const { leaseId, worker, allocation } = lease;
    assert(worker !== null && allocation !== null, "a grant without a place");
    const { gpuIds } = allocation;
    const workerId = worker.id;
    out.send(lease.owner, { type: "leaseGranted", from: this.#self, leaseId, workerId, gpuIds });
  }

  #tellDemand(owner: Owner, waiting: boolean, out: RayletOut): void {
    if (owner.knowsOfWaiting === waiting) return;
    owner.knowsOfWaiting = waiting;
    const version = this.#demandVersion;
    const message: LeaseDemand = { type: "leaseDemand", from: this.#self, version, waiting };
    out.send(owner.id, message);
  }

  #doom(lease: Lease): void {
    this.#ownerOf(lease).grantedCount -= 1;
    this.#forget(lease);
    this.#doomed.add(lease);
  }

  #end(lease: Lease): void {
    if (lease.place === "placed") {
      this.#ownerOf(lease).grantedCount -= 1;
      this.#placement.end(lease);
    } else {
      this.#placement.withdraw(lease);
    }
    this.#forget(lease);
  }

  #forget(lease: Lease): void {
    const owner = this.#ownerOf(lease);
    owner.leases.delete(lease.leaseId);
    this.#dropIfUnused(owner);
  }

  #dropIfUnused(owner: Owner): void {
    if (owner.leases.size === 0 && !owner.knowsOfWaiting) this.#owners.delete(owner.id);
  }

  #ownerOf(lease: Lease): Owner {
    const owner = this.#owners.get(lease.owner);
    assert(owner !== undefined, "a lease without its owner");
    return owner;
  }
}
