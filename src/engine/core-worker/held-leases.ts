/**
 * The leases of an owner while it has them, and when it should let one go: after a while without a
 * task, or at once when its raylet says that others wait.
 *
 * State:  streams by lease id; what each raylet said last of who waits there; idle leases by the
 *         time that they are looked at again.
 * In/out: leases that begin, go idle and end, LeaseDemand → which to give back.
 * Bounds: one entry a lease, one a raylet.
 * Source: Ray normal_task_submitter; decision 8.
 */
import { assert } from "#engine/common/assert.ts";
import { DeadlineQueue } from "#engine/common/deadline-queue.ts";
import type { Address, NodeId } from "#engine/common/ids.ts";
import type { LeaseDemand } from "#engine/protocol/lease.ts";
import type { LeaseStream, SchedulingQueue } from "./scheduling-queue.ts";

export class HeldLeases {
  readonly #idleLeaseMs: number;
  readonly #leases = new Map<number, LeaseStream>();
  readonly #idleDeadlines = new DeadlineQueue<LeaseStream>();
  /** By raylet, of those that gave us leases. */
  readonly #demands = new Map<Address, LeaseDemand>();
  /** Those raylets that said that others wait: none, nearly always. */
  readonly #wanting = new Set<Address>();

  constructor({ idleLeaseMs }: { readonly idleLeaseMs: number }) {
    this.#idleLeaseMs = idleLeaseMs;
  }

  get size(): number {
    return this.#leases.size;
  }

  all(): Iterable<LeaseStream> {
    return this.#leases.values();
  }

  get(leaseId: number): LeaseStream | undefined {
    return this.#leases.get(leaseId);
  }

  /** Of a message that its worker has sent about it. */
  find(leaseId: number, worker: Address): LeaseStream | undefined {
    const lease = this.#leases.get(leaseId);
    return lease?.workerId === worker ? lease : undefined;
  }

  ofNode(nodeId: NodeId): LeaseStream[] {
    return [...this.#leases.values()].filter(({ raylet }) => raylet === nodeId);
  }

  add(lease: LeaseStream): void {
    this.#leases.set(lease.stream, lease);
    lease.queue.leases.push(lease);
  }

  forget(lease: LeaseStream): void {
    assert(lease.inFlightCount === 0, "a lease that goes has nothing in flight");
    this.#leases.delete(lease.stream);
    const at = lease.queue.leases.indexOf(lease);
    lease.queue.leases.splice(at, 1);
  }

  // ------------------------------------------------------------ others that wait

  /** True if it is news that others wait for workers of that node. */
  onDemand(message: LeaseDemand): boolean {
    const { from, version, waiting } = message;
    if (version <= (this.#demands.get(from)?.version ?? -1)) return false;
    this.#demands.set(from, message);
    if (waiting) this.#wanting.add(from);
    else this.#wanting.delete(from);
    return waiting;
  }

  forgetDemand(nodeId: NodeId): void {
    this.#demands.delete(nodeId);
    this.#wanting.delete(nodeId);
  }

  /** Another owner waits for a worker of that node. */
  isWanted({ raylet }: LeaseStream): boolean {
    return this.#wanting.size > 0 && this.#wanting.has(raylet);
  }

  /** Nothing runs on them, and nothing waits to. */
  spare(except: SchedulingQueue | null): LeaseStream[] {
    return [...this.#leases.values()].filter(
      ({ queue, inFlightCount }) =>
        queue !== except && inFlightCount === 0 && queue.tasks.size === 0,
    );
  }

  // ------------------------------------------------------------ idle leases

  onIdle(lease: LeaseStream, nowMs: number): void {
    lease.idleSinceMs = nowMs;
    this.#checkAt(nowMs + this.#idleLeaseMs, lease);
  }

  nextDeadlineMs(): number {
    return this.#idleDeadlines.nextMs();
  }

  /** One that was idle for long enough, or undefined. */
  takeIdle(nowMs: number): LeaseStream | undefined {
    for (;;) {
      const lease = this.#idleDeadlines.takeDue(nowMs);
      if (lease === undefined) return undefined;
      lease.idleCheckIsDue = false;
      if (this.#leases.get(lease.stream) !== lease || lease.inFlightCount > 0) continue;
      // The sum, as when the check was set: a difference may round to just below it, for ever.
      const releaseAtMs = lease.idleSinceMs + this.#idleLeaseMs;
      if (nowMs >= releaseAtMs) return lease;
      this.#checkAt(releaseAtMs, lease);
    }
  }

  #checkAt(atMs: number, lease: LeaseStream): void {
    if (lease.idleCheckIsDue) return;
    lease.idleCheckIsDue = true;
    this.#idleDeadlines.add(atMs, lease);
  }
}
