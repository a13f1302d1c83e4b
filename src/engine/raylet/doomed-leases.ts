/**
 * Leases whose owner has died: DOOMED → gone, when the worker says that none of the owner's tasks
 * runs any more, or has ended itself. Their results are for nobody.
 *
 * State:  the doomed leases, still in their places: nobody else gets a thread that is in use.
 * In/out: the death of an owner, doomedEnded, the end of a worker, time → doomLease, StopWorker.
 * Bounds: those of granted leases.
 * Errors: a task that does not end costs its thread after `forceGraceMs` (10 at least), once no
 *         living owner has a lease there; until then it is looked at again after as long.
 * Source: protocols §4 Lease, DOOMED.
 */
import { assert } from "#engine/common/assert.ts";
import type { Config } from "#engine/common/config.ts";
import { DeadlineQueue } from "#engine/common/deadline-queue.ts";
import type { NodeId, WorkerId } from "#engine/common/ids.ts";
import type { Claim, RayletOut } from "./placement-queue.ts";
import type { Placement } from "./placement.ts";
import type { PooledWorker } from "./worker-pool.ts";

/** A thread on which nothing of the owner runs needs a moment to say so. */
const graceMsMin = 10;

export interface DoomedLease extends Claim {
  readonly owner: WorkerId;
  readonly leaseId: number;
}

export class DoomedLeases {
  readonly #self: NodeId;
  readonly #placement: Placement;
  readonly #graceMs: number;
  readonly #leases = new Set<DoomedLease>();
  /** Whose workers have not been told yet. */
  #untold: DoomedLease[] = [];
  readonly #graces = new DeadlineQueue<DoomedLease>();

  constructor(self: NodeId, placement: Placement, config: Config) {
    this.#self = self;
    this.#placement = placement;
    this.#graceMs = Math.max(graceMsMin, config.forceGraceMs);
  }

  get size(): number {
    return this.#leases.size;
  }

  get all(): Iterable<DoomedLease> {
    return this.#leases;
  }

  add(lease: DoomedLease): void {
    this.#leases.add(lease);
    this.#untold.push(lease);
  }

  tell(nowMs: number, out: RayletOut): void {
    const untold = this.#untold;
    this.#untold = [];
    for (const lease of untold) {
      if (!this.#leases.has(lease)) continue;
      const { owner } = lease;
      out.send(workerOf(lease).id, { type: "doomLease", from: this.#self, owner });
      this.#graces.add(nowMs + this.#graceMs, lease);
    }
  }

  onEnded(workerId: WorkerId, owner: WorkerId): void {
    for (const lease of this.#leases) {
      if (lease.owner === owner && workerOf(lease).id === workerId) this.#end(lease);
    }
  }

  onWorkerExited(workerId: WorkerId): void {
    for (const lease of this.#leases) if (workerOf(lease).id === workerId) this.#end(lease);
  }

  nextDeadlineMs(): number {
    return this.#graces.nextMs();
  }

  onDeadline(nowMs: number, out: RayletOut): void {
    for (;;) {
      const lease = this.#graces.takeDue(nowMs);
      if (lease === undefined) return;
      if (!this.#leases.has(lease)) continue;
      const worker = workerOf(lease);
      if (worker.phase === "stopping") continue;
      if (this.#isShared(worker)) {
        this.#graces.add(nowMs + this.#graceMs, lease);
        continue;
      }
      worker.stopCause = { kind: "forced", text: `its owner has died: task ${lease.what}` };
      this.#placement.stopWorker(worker, out);
    }
  }

  checkInvariants(): void {
    assert(this.#untold.length === 0, "a worker was not told that a lease on it is doomed");
    for (const lease of this.#leases)
      assert(lease.place === "placed", "a doomed lease has a place");
  }

  /** A living owner has a lease there, too. */
  #isShared(worker: PooledWorker): boolean {
    let doomedCount = 0;
    for (const lease of this.#leases) if (lease.worker === worker) doomedCount += 1;
    return worker.leaseCount > doomedCount;
  }

  #end(lease: DoomedLease): void {
    this.#leases.delete(lease);
    this.#placement.end(lease);
  }
}

function workerOf({ worker }: DoomedLease): PooledWorker {
  assert(worker !== null, "a doomed lease has a worker");
  return worker;
}
