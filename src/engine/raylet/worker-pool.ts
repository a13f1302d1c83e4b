/**
 * The node's worker threads: starting → idle ⇄ leased, or dedicated to an actor → dead.
 *
 * State:  one record a living thread; the starting ones also by start time. A thread all of whose
 *         leases are blocked may be leased once more.
 * In/out: start, pick, ready, exit → StartWorker, StopWorker. An exit is reported once, also after
 *         a stop.
 * Bounds: `taskWorkersMax` threads for tasks, `actorWorkersMax` for actors; pick is O(threads).
 * Errors: a thread that is not ready in `workerStartTimeoutMs` is stopped and counts as a failed
 *         start.
 * Source: Ray worker_pool; decisions on threads, 8 and 9.
 */
import { assert } from "#engine/common/assert.ts";
import type { Config } from "#engine/common/config.ts";
import { nodeIdOf, workerIdOf } from "#engine/common/ids.ts";
import type { Address, NodeId, WorkerId } from "#engine/common/ids.ts";
import type { Outbox } from "#engine/protocol/machine.ts";
import type { WorkerRow } from "#engine/protocol/state.ts";
import type { StopCause } from "./worker-exit.ts";

export type WorkerInstruction =
  | { readonly type: "startWorker"; readonly workerId: WorkerId }
  | { readonly type: "stopWorker"; readonly workerId: WorkerId };

/** This node must end: the cluster goes on without it. */
export interface ExitNode {
  readonly type: "exitNode";
  readonly reason: string;
}

/** What a thread is wanted for. */
export type WorkKind = "lease" | "actor";

export class PooledWorker {
  readonly id: WorkerId;
  readonly startedMs: number;
  phase: "starting" | "ready" | "stopping" = "starting";
  wasReady = false;
  isDedicated = false;
  /** Rises with all that threads of this node are given. */
  lastGrant = 0;
  /** Why it is stopped, for those who have tasks there; null when that needs no saying. */
  stopCause: StopCause | null = null;
  leaseCount = 0;
  /** Leases whose tasks do not all wait. */
  activeLeaseCount = 0;

  constructor(id: WorkerId, startedMs: number) {
    this.id = id;
    this.startedMs = startedMs;
  }
}

export class WorkerPool {
  readonly #nodeId: NodeId;
  readonly #config: Config;
  /** Threads that the node's CPUs keep busy: as long as there are fewer, new ones are started. */
  readonly #usualCount: number;
  readonly #workers = new Map<WorkerId, PooledWorker>();
  /** By rising start time. */
  readonly #starting = new Set<PooledWorker>();
  /** Counter 0 is the driver. */
  #nextCounter = 1;
  #dedicatedCount = 0;
  #failedStartCount = 0;
  #grantCount = 0;

  constructor(nodeId: NodeId, config: Config, usualCount: number) {
    this.#nodeId = nodeId;
    this.#config = config;
    this.#usualCount = Math.min(usualCount, config.taskWorkersMax);
  }

  get startingCount(): number {
    return this.#starting.size;
  }

  /** In a row. */
  get failedStartCount(): number {
    return this.#failedStartCount;
  }

  get dedicatedCount(): number {
    return this.#dedicatedCount;
  }

  get size(): number {
    return this.#workers.size;
  }

  get isEndingForMemory(): boolean {
    for (const { stopCause } of this.#workers.values()) {
      if (stopCause?.kind === "outOfMemory") return true;
    }
    return false;
  }

  find(id: WorkerId): PooledWorker | undefined {
    return this.#workers.get(id);
  }

  /** True for a thread of this node that has ended. */
  hasEnded(id: WorkerId): boolean {
    if (nodeIdOf(id) !== this.#nodeId || this.#workers.has(id)) return false;
    return id !== workerIdOf(this.#nodeId, 0);
  }

  *ready(): IterableIterator<PooledWorker> {
    for (const worker of this.#workers.values()) {
      if (worker.phase === "ready") yield worker;
    }
  }

  /** That were ready once, and have not ended: also those that are being stopped. */
  *alive(): IterableIterator<WorkerId> {
    for (const { id, wasReady } of this.#workers.values()) if (wasReady) yield id;
  }

  /** For those who ask what there is. */
  rows(): WorkerRow[] {
    return [...this.#workers.values()].map(({ id, phase }) => ({
      workerId: id,
      isAlive: phase === "ready",
      pendingReason: phase === "ready" ? "" : `its thread is ${phase}`,
    }));
  }

  /** True while a thread runs, or will, that can take leases. */
  servesTasks(): boolean {
    for (const worker of this.ready()) {
      if (!worker.isDedicated) return true;
    }
    return false;
  }

  nextDeadlineMs(): number {
    for (const worker of this.#starting) {
      return worker.startedMs + this.#config.workerStartTimeoutMs;
    }
    return Infinity;
  }

  start(nowMs: number, out: Outbox<WorkerInstruction>): void {
    const worker = new PooledWorker(workerIdOf(this.#nodeId, this.#nextCounter), nowMs);
    this.#nextCounter += 1;
    this.#workers.set(worker.id, worker);
    this.#starting.add(worker);
    out.instruct({ type: "startWorker", workerId: worker.id });
  }

  stop(worker: PooledWorker, out: Outbox<WorkerInstruction>): void {
    if (worker.phase === "stopping") return;
    worker.phase = "stopping";
    this.#starting.delete(worker);
    out.instruct({ type: "stopWorker", workerId: worker.id });
  }

  onWorkerReady(id: WorkerId): void {
    const worker = this.#workers.get(id);
    if (worker === undefined || worker.phase !== "starting") return;
    worker.phase = "ready";
    worker.wasReady = true;
    this.#starting.delete(worker);
    this.#failedStartCount = 0;
  }

  remove(worker: PooledWorker): void {
    this.#workers.delete(worker.id);
    this.#starting.delete(worker);
    if (worker.isDedicated) this.#dedicatedCount -= 1;
  }

  countFailedStart(): void {
    this.#failedStartCount += 1;
  }

  /** A thread whose start takes too long, stopped. */
  stopOverdue(nowMs: number, out: Outbox<WorkerInstruction>): PooledWorker | null {
    if (this.nextDeadlineMs() > nowMs) return null;
    for (const worker of this.#starting) {
      this.stop(worker, out);
      return worker;
    }
    return null;
  }

  /**
   * Best thread that can begin at once: an idle one; for a lease also one whose tasks all wait,
   * best the requester itself, which needs no link to another thread. But those are not shared
   * while there are fewer threads than CPUs: what ends one of them should not end its neighbours.
   */
  pick(kind: WorkKind, requester: Address): PooledWorker | null {
    const mayShare =
      kind === "lease" && this.#workers.size - this.#dedicatedCount >= this.#usualCount;
    return this.#pick(requester, mayShare);
  }

  /** For a claim that a starting thread waits for: one that was free first. */
  pickIdle(): PooledWorker | null {
    return this.#pick(null, false);
  }

  #pick(requester: Address | null, mayShare: boolean): PooledWorker | null {
    let waiting: PooledWorker | null = null;
    for (const worker of this.#workers.values()) {
      if (worker.phase !== "ready" || worker.isDedicated) continue;
      if (worker.leaseCount === 0) return worker;
      if (!mayShare || worker.activeLeaseCount > 0) continue;
      if (waiting === null || worker.id === requester) waiting = worker;
    }
    return waiting;
  }

  assign(worker: PooledWorker, kind: WorkKind): void {
    assert(worker.phase === "ready" && !worker.isDedicated, "work for a thread that takes none");
    assert(worker.activeLeaseCount === 0, "two active leases given to one thread");
    worker.lastGrant = this.#grantCount += 1;
    if (kind === "lease") {
      worker.leaseCount += 1;
      worker.activeLeaseCount += 1;
      return;
    }
    assert(worker.leaseCount === 0, "an actor on a thread with leases");
    worker.isDedicated = true;
    this.#dedicatedCount += 1;
  }

  /**
   * Why no thread may be had for one more, or "". `claimedCount` starting ones have a taker
   * already.
   */
  whyNone(kind: WorkKind, claimedCount: number, claimedByActors: number): string {
    const { actorWorkersMax, taskWorkersMax } = this.#config;
    const actors = this.#dedicatedCount + claimedByActors;
    if (kind === "actor") {
      if (actors < actorWorkersMax) return "";
      return (
        `waits for a worker thread: actors have ${actors} of at most ` +
        `${actorWorkersMax} (systemConfig.actorWorkersMax)`
      );
    }
    const forTasks = this.#workers.size - actors;
    if (this.#starting.size > claimedCount || forTasks < taskWorkersMax) return "";
    return (
      `waits for a worker thread: tasks keep ${forTasks} of at most ` +
      `${taskWorkersMax} (systemConfig.taskWorkersMax) busy`
    );
  }

  checkInvariants(): void {
    let dedicated = 0;
    for (const [id, worker] of this.#workers) {
      assert(id === worker.id, "a worker under another's id");
      assert(this.#starting.has(worker) === (worker.phase === "starting"), "starting workers");
      assert(worker.activeLeaseCount >= 0, "less than no active leases");
      assert(worker.activeLeaseCount <= worker.leaseCount, "more active leases than leases");
      assert(
        worker.wasReady || worker.leaseCount === 0,
        "a lease on a thread that never was ready",
      );
      assert(!worker.isDedicated || worker.leaseCount === 0, "a lease on an actor's thread");
      if (worker.isDedicated) dedicated += 1;
    }
    assert(dedicated === this.#dedicatedCount, "count of actors' threads");
    let lastMs = -Infinity;
    for (const worker of this.#starting) {
      assert(this.#workers.get(worker.id) === worker, "a starting worker that is not in the pool");
      assert(worker.startedMs >= lastMs, "starting workers by start time");
      lastMs = worker.startedMs;
    }
  }
}
