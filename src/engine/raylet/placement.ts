/**
 * From a claim (a lease or an actor) to its place: refuse or park what never fits → queue →
 * resources and a thread that is ready, or resources and one that starts → placed.
 *
 * Order:  see PlacementQueue. What does not fit lets others by. But the oldest claim that has
 *         waited longer than `leaseTurnMs` sets aside, in turns (set-aside.ts), what is free of
 *         what it asks for, against all that are not deeper; not while a blocked lease keeps some
 *         of that (it may wait for one of those others), nor when what actors keep for life, or
 *         the limit of threads, is in the way. So a big claim starves only behind endless deeper
 *         work.
 * State:  the queue, the infeasible, and `starting`: claims with resources, oldest first, each
 *         with a starting thread behind it. A thread that becomes free first is taken instead.
 * In/out: submit, withdraw, end, lend, retake, threads ready and gone; `settle` ends every event
 *         of the raylet.
 * Bounds: `leaseQueueMax` waiting claims, beyond it refused. settle is O(classes · log classes +
 *         placed).
 * Errors: `workerStartFailuresMax` failed starts in a row refuse the claims that need a new
 *         thread; if no thread is left at all, every feasible one. The next claim tries once more.
 * Source: Ray local_lease_manager, hybrid of its dispatch and infeasible queues.
 */
import { assert } from "#engine/common/assert.ts";
import type { Config } from "#engine/common/config.ts";
import type { NodeId } from "#engine/common/ids.ts";
import { cpuName, formatResources } from "#engine/common/resources.ts";
import type { ResourceRequest } from "#engine/common/resources.ts";
import { whyHopeless, whyLabelsDiffer } from "./feasibility.ts";
import { LocalResources } from "./local-resources.ts";
import type { Allocation } from "./local-resources.ts";
import { LackOfResources, PlacementQueue } from "./placement-queue.ts";
import type { Claim, ClaimClass, PendingReason, RayletOut } from "./placement-queue.ts";
import { setAsideEndMs } from "./set-aside.ts";
import type { SetAside } from "./set-aside.ts";
import type { PooledWorker, WorkerPool, WorkKind } from "./worker-pool.ts";

/** Tasks named in a reason. */
const holdersTold = 4;

export class Placement {
  readonly #nodeId: NodeId;
  readonly #config: Config;
  readonly #labels: ReadonlyMap<string, string>;
  readonly #pool: WorkerPool;
  readonly #resources: LocalResources;
  readonly #queue = new PlacementQueue();
  readonly #infeasible = new Set<Claim>();
  #starting: Claim[] = [];
  readonly #placed = new Set<Claim>();
  /** Their tasks wait. */
  readonly #lent = new Map<Allocation, Claim>();
  /** When what is set aside is for all again; Infinity when nothing is. */
  #setAsideEndMs = Infinity;
  /** Something may fit that did not when `settle` last ran. */
  #changed = false;

  constructor(options: {
    nodeId: NodeId;
    config: Config;
    totals: ResourceRequest;
    labels: ReadonlyMap<string, string>;
    pool: WorkerPool;
  }) {
    this.#nodeId = options.nodeId;
    this.#config = options.config;
    this.#labels = options.labels;
    this.#pool = options.pool;
    this.#resources = new LocalResources(options.totals);
  }

  /** Claims that will fit once others end. */
  get waitingCount(): number {
    return this.#queue.size;
  }

  get infeasibleCount(): number {
    return this.#infeasible.size;
  }

  get totals(): ResourceRequest {
    return this.#resources.totals;
  }

  available(name: string): number {
    return this.#resources.available(name);
  }

  /** All that is free. */
  availableAmounts(): ResourceRequest {
    return this.#resources.availableAmounts();
  }

  /** Rises with every change of what is free. */
  get availableVersion(): number {
    return this.#resources.version;
  }

  /** Whether a claim like this would be placed at once. */
  hasRoom(resources: ResourceRequest): boolean {
    return this.#queue.size === 0 && this.#resources.fits(resources, null);
  }

  /** Claims without a place here, which another node might have. */
  *unplaced(): IterableIterator<Claim> {
    yield* this.#infeasible;
    for (const group of this.#queue.inOrder()) yield* group;
  }

  nextDeadlineMs(): number {
    return this.#setAsideEndMs;
  }

  onDeadline(nowMs: number): void {
    if (nowMs >= this.#setAsideEndMs) this.#changed = true;
  }

  submit(claim: Claim, nowMs: number, out: RayletOut): void {
    const hopeless = whyHopeless(claim.strategy, this.#nodeId);
    if (hopeless !== "") {
      claim.onRefused(`${claim.what} ${hopeless}`, out);
      return;
    }
    if (this.#queue.size + this.#infeasible.size >= this.#config.leaseQueueMax) {
      const waiting = `${this.#config.leaseQueueMax} requests wait already`;
      claim.onRefused(`${claim.what}: ${waiting} (systemConfig.leaseQueueMax)`, out);
      return;
    }
    const whyNever =
      whyLabelsDiffer(claim.strategy, this.#labels) || this.#resources.whyNever(claim.resources);
    if (whyNever !== "") {
      claim.place = "infeasible";
      this.#infeasible.add(claim);
      claim.setReason({ kind: "infeasible", text: whyNever }, out);
      return;
    }
    this.#queue.add(claim, nowMs);
    this.#changed = true;
  }

  /** Forgets a claim that has no thread yet. */
  withdraw(claim: Claim): void {
    switch (claim.place) {
      case "infeasible":
        this.#infeasible.delete(claim);
        break;
      case "waiting":
        this.#queue.remove(claim);
        break;
      case "thread":
        this.#starting = this.#starting.filter((other) => other !== claim);
        this.#giveBack(claim);
        break;
      default:
        assert(false, `withdraw of a claim that is ${claim.place}`);
    }
    claim.place = "none";
    this.#changed = true;
  }

  /** Ends a placed claim: its resources are free, and its thread if that lives. */
  end(claim: Claim): void {
    const { worker, allocation } = claim;
    assert(claim.place === "placed" && worker !== null && allocation !== null, "end of no place");
    if (claim.kind === "lease") {
      worker.leaseCount -= 1;
      if (!allocation.lent) worker.activeLeaseCount -= 1;
    }
    this.#placed.delete(claim);
    this.#giveBack(claim);
    claim.place = "none";
    claim.worker = null;
    this.#changed = true;
  }

  /** The tasks of a placed lease wait: its CPU and its thread are free for others. */
  lend(claim: Claim): void {
    const { worker, allocation } = claim;
    assert(worker !== null && allocation !== null, "lend without a place");
    this.#resources.lend(allocation);
    this.#lent.set(allocation, claim);
    claim.hasBeenBlocked = true;
    worker.activeLeaseCount -= 1;
    this.#changed = true;
  }

  retake(claim: Claim): void {
    const { worker, allocation } = claim;
    assert(worker !== null && allocation !== null, "retake without a place");
    this.#resources.retake(allocation);
    this.#lent.delete(allocation);
    worker.activeLeaseCount += 1;
    this.#changed = true;
  }

  /** Claims keep their places on it until its end is reported. */
  stopWorker(worker: PooledWorker, out: RayletOut): void {
    this.#pool.stop(worker, out);
  }

  shrink(claim: Claim, kept: ResourceRequest): void {
    assert(claim.allocation !== null, "shrink without a place");
    this.#resources.shrink(claim.allocation, kept);
    this.#changed = true;
  }

  onWorkerReady(): void {
    this.#changed = true;
  }

  onWorkerGone(): void {
    this.#changed = true;
  }

  /** A thread that was starting will not come. */
  onStartFailed(description: string, nowMs: number, out: RayletOut): void {
    this.#pool.countFailedStart();
    this.#changed = true;
    if (this.#starting.length <= this.#pool.startingCount) return;
    const failed = this.#pool.failedStartCount;
    if (failed < this.#config.workerStartFailuresMax) {
      this.#pool.start(nowMs, out);
      return;
    }
    const refused = this.#starting.splice(0, this.#starting.length - this.#pool.startingCount);
    const hopeless = this.#pool.startingCount === 0 && !this.#pool.servesTasks();
    if (hopeless) refused.push(...this.#queue.claims());
    const text = `no worker thread could be started, ${failed} failed in a row: ${description}`;
    for (const claim of refused) {
      if (claim.place === "waiting") this.#queue.remove(claim);
      else this.#giveBack(claim);
      claim.place = "none";
      claim.onRefused(text, out);
    }
  }

  /** Places what fits and tells the others why they wait. */
  settle(nowMs: number, out: RayletOut): void {
    if (!this.#changed) return;
    this.#changed = false;
    if (this.#starting.length > 0) this.#serveStarting(out);
    this.#placeInOrder(nowMs, out);
  }

  checkInvariants(): void {
    assert(!this.#changed, "an event ended before its placements were settled");
    this.#queue.checkInvariants();
    assert(this.#starting.length <= this.#pool.startingCount, "a claim waits for no thread");
    const allocations = new Set<Allocation>();
    let overdraftMax = 0;
    const count = ({ allocation, hasBeenBlocked }: Claim): void => {
      assert(allocation !== null, "a place without resources");
      allocations.add(allocation);
      if (!hasBeenBlocked || allocation.lent) return;
      overdraftMax += allocation.resources.get(cpuName) ?? 0;
    };
    for (const claim of this.#starting) count(claim);
    for (const claim of this.#placed) count(claim);
    this.#resources.checkInvariants(allocations, overdraftMax);
    for (const allocation of this.#lent.keys()) {
      assert(allocation.lent && allocations.has(allocation), "the set of what is lent");
    }
    for (const claim of this.#infeasible) {
      assert(claim.place === "infeasible" && claim.allocation === null, "an infeasible claim");
    }
    for (const claim of this.#starting) {
      assert(claim.place === "thread" && claim.worker === null, "a claim without a thread");
    }
    this.#checkThreads();
  }

  /** Leases of each thread as the pool counts them; of those never blocked at most one. */
  #checkThreads(): void {
    for (const { place, kind, worker } of this.#placed) {
      assert(place === "placed" && worker !== null, "a placed claim without a thread");
      assert(this.#pool.find(worker.id) === worker, "a placed claim on a thread that has ended");
      assert(worker.isDedicated === (kind === "actor"), "a thread used for the wrong kind");
    }
    for (const worker of this.#pool.ready()) this.#checkLeases(worker);
  }

  #checkLeases(worker: PooledWorker): void {
    let [leases, active, neverBlocked] = [0, 0, 0];
    for (const { kind, worker: other, allocation, hasBeenBlocked } of this.#placed) {
      if (kind === "actor" || other !== worker) continue;
      leases += 1;
      if (allocation?.lent !== true) active += 1;
      if (!hasBeenBlocked) neverBlocked += 1;
    }
    assert(neverBlocked <= 1, "a thread was leased while a lease on it was active");
    assert(worker.leaseCount === leases, `${worker.leaseCount} leases counted, ${leases} are`);
    assert(worker.activeLeaseCount === active, "count of active leases");
  }

  /** Claims with resources take threads that became free, whichever it is. */
  #serveStarting(out: RayletOut): void {
    const unserved: Claim[] = [];
    for (const claim of this.#starting) {
      const worker = this.#pool.pickIdle();
      if (worker === null) unserved.push(claim);
      else this.#occupy(claim, worker, out);
    }
    this.#starting = unserved;
  }

  #placeInOrder(nowMs: number, out: RayletOut): void {
    const classes = this.#queue.inOrder();
    let starved = this.#findStarved(classes, nowMs);
    let setAside: SetAside | null = null;
    for (const group of classes) {
      if (starved === null || group.depth > starved.depth) {
        this.#placeClass(group, null, nowMs, out);
      } else if (group.key !== starved.classKey) {
        setAside ??= { amounts: this.#resources.freePartOf(starved.resources), starved };
        this.#placeClass(group, setAside, nowMs, out);
      } else {
        this.#placeClass(group, null, nowMs, out);
        // It took what was kept from those before it, so they would not fit now either.
        if (starved.place !== "waiting") starved = null;
      }
    }
    this.#setAsideEndMs =
      starved === null || setAside === null
        ? Infinity
        : setAsideEndMs(starved.sinceMs, nowMs, this.#config.leaseTurnMs);
  }

  /** The oldest claim that may set resources aside now. */
  #findStarved(classes: readonly ClaimClass[], nowMs: number): Claim | null {
    let oldest: Claim | null = null;
    for (const group of classes) {
      const head = group.head();
      if (oldest !== null && oldest.order < head.order) continue;
      if (setAsideEndMs(head.sinceMs, nowMs, this.#config.leaseTurnMs) === 0) continue;
      if (!this.#resources.fitsOnceLeasesEnd(head.resources)) continue;
      if (this.#blockedLeasesKeep(head.resources)) continue;
      const worker = this.#pool.pick(head.kind, head.requester);
      if (this.#whyNoThread(head.kind, worker) === "") oldest = head;
    }
    return oldest;
  }

  #blockedLeasesKeep(request: ResourceRequest): boolean {
    for (const allocation of this.#lent.keys()) {
      for (const name of request.keys()) {
        if (name !== cpuName && allocation.resources.has(name)) return true;
      }
    }
    return false;
  }

  #placeClass(group: ClaimClass, kept: SetAside | null, nowMs: number, out: RayletOut): void {
    while (group.size > 0) {
      const claim = group.head();
      const reason = this.#place(claim, kept, nowMs, out);
      if (reason === null) continue;
      group.setReason(reason, out);
      return;
    }
  }

  /** Why it has to wait, or null when it got its place. */
  #place(claim: Claim, kept: SetAside | null, nowMs: number, out: RayletOut): PendingReason | null {
    const { kind, resources } = claim;
    if (!this.#resources.fits(resources, null)) {
      const held = this.#describeHeld(resources);
      return new LackOfResources(this.#resources, resources, held);
    }
    if (kept !== null && !this.#resources.fits(resources, kept.amounts)) {
      const wanted = `waits for ${formatResources(resources)}`;
      const { what, resources: larger } = kept.starved;
      const longer = `${what}, which has waited for ${formatResources(larger)} for longer`;
      return { kind: "set aside", text: `${wanted}; what is free is kept for ${longer}` };
    }
    const worker = this.#pool.pick(kind, claim.requester);
    const whyNone = this.#whyNoThread(kind, worker);
    if (whyNone !== "") return { kind: "threads", text: whyNone };
    this.#queue.remove(claim);
    claim.allocation = this.#resources.take(resources, kind === "actor");
    if (worker !== null) {
      this.#occupy(claim, worker, out);
      return null;
    }
    claim.place = "thread";
    this.#starting.push(claim);
    if (this.#pool.startingCount < this.#starting.length) this.#pool.start(nowMs, out);
    claim.setReason({ kind: "starting", text: "waits for a worker thread: one is starting" }, out);
    return null;
  }

  /**
   * What is lacking and in use by tasks that wait alone: it comes when one of them goes on, which
   * may be never, for they may wait for the claim. "" when others have some of it.
   */
  #describeHeld(request: ResourceRequest): string {
    if (this.#lent.size === 0) return "";
    const all = new Map<string, number>();
    const holders = new Set<string>();
    for (const [name, amount] of request) {
      const inUse = (this.#resources.totals.get(name) ?? 0) - this.#resources.available(name);
      if (name === cpuName || amount <= this.#resources.available(name)) continue;
      let ofWaiting = 0;
      const names: string[] = [];
      for (const [{ resources }, { what }] of this.#lent) {
        const has = resources.get(name) ?? 0;
        ofWaiting += has;
        if (has > 0) names.push(what);
      }
      if (ofWaiting < inUse) continue;
      all.set(name, inUse);
      for (const what of names) holders.add(what);
    }
    if (all.size === 0) return "";
    const told = [...holders].slice(0, holdersTold);
    const more = holders.size > told.length ? ` and ${holders.size - told.length} more` : "";
    const what = `all of ${formatResources(all)} is held by tasks that wait themselves`;
    return `${what}: ${told.join(", ")}${more}`;
  }

  #whyNoThread(kind: WorkKind, picked: PooledWorker | null): string {
    if (picked !== null && kind === "lease") return "";
    const ofActors = this.#starting.filter((other) => other.kind === "actor").length;
    return this.#pool.whyNone(kind, this.#starting.length, ofActors);
  }

  #occupy(claim: Claim, worker: PooledWorker, out: RayletOut): void {
    this.#pool.assign(worker, claim.kind);
    claim.worker = worker;
    claim.place = "placed";
    claim.reason = null;
    this.#placed.add(claim);
    claim.onPlaced(out);
  }

  #giveBack(claim: Claim): void {
    assert(claim.allocation !== null, "nothing to give back");
    this.#lent.delete(claim.allocation);
    this.#resources.give(claim.allocation);
    claim.allocation = null;
  }
}
