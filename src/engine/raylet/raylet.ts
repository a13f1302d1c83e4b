/**
 * A node's scheduler: routes what it is told to leases, actors, worker threads and the object
 * store.
 *
 * State:  none of its own but who drives this node, and which drivers have left.
 * In/out: the messages to a raylet; workers ready and exited, drivers → their answers,
 *         StartWorker, StopWorker.
 * Bounds: those of its parts.
 * Errors: the end of a thread is told to all who may use it; nothing is accepted from a process
 *         that ended.
 * Source: Ray node_manager; protocols §4 Lease.
 */
import type { Config } from "#engine/common/config.ts";
import { engineError, type EngineError } from "#engine/common/error-type.ts";
import { gcsAddress, nodeIdOf } from "#engine/common/ids.ts";
import type { Address, NodeId, WorkerId } from "#engine/common/ids.ts";
import type { ResourceRequest } from "#engine/common/resources.ts";
import type {
  ActorConstructed,
  ActorDrained,
  CreateActor,
  HeartbeatAck,
  NodeDied,
  ResourceView,
  StopActorWorker,
} from "#engine/protocol/gcs.ts";
import type { DoomedEnded, StopLeasedWorker } from "#engine/protocol/cancel.ts";
import type { WorkerExit } from "#engine/protocol/launcher.ts";
import type {
  ReleaseLease,
  RequestWorkerLease,
  TaskBlocked,
  WatchWorker,
  WorkerDied,
} from "#engine/protocol/lease.ts";
import type { Deadline, Machine, Writable } from "#engine/protocol/machine.ts";
import type { AllocateArena, FreeArena } from "#engine/protocol/object.ts";
import type {
  AskStore,
  ListState,
  StateCollected,
  StoreTold,
  WorkerRow,
} from "#engine/protocol/state.ts";
import type { DoomedLease } from "./doomed-leases.ts";
import { LeaseManager } from "./lease-manager.ts";
import { LocalActors } from "./local-actors.ts";
import { MemoryMonitor, type MemorySampled, type ThreadWork } from "./memory-monitor.ts";
import { Membership } from "./membership.ts";
import { ObjectManager, type ObjectManagerMessage } from "./object-manager.ts";
import { PeerWatch } from "./peer-watch.ts";
import type { RayletInstruction, RayletOut } from "./placement-queue.ts";
import { Placement } from "./placement.ts";
import { StateCollector } from "./state-collector.ts";
import { describeExit, exitError } from "./worker-exit.ts";
import { WorkerPool } from "./worker-pool.ts";
import type { PooledWorker } from "./worker-pool.ts";

const nodeIdLength = 32;

export type { RayletInstruction } from "./placement-queue.ts";

export type RayletMessage =
  | RequestWorkerLease
  | ReleaseLease
  | TaskBlocked
  | WatchWorker
  | WorkerDied
  | HeartbeatAck
  | ResourceView
  | NodeDied
  | CreateActor
  | StopActorWorker
  | ActorConstructed
  | ActorDrained
  | AllocateArena
  | FreeArena
  | ObjectManagerMessage
  | ListState
  | StateCollected
  | AskStore
  | StoreTold
  | StopLeasedWorker
  | DoomedEnded;

export type RayletEvent =
  | RayletMessage
  | { readonly type: "start" }
  | { readonly type: "workerReady"; readonly workerId: WorkerId }
  | { readonly type: "workerExited"; readonly workerId: WorkerId; readonly exit: WorkerExit }
  /** A driver joins; its end is a workerExited. */
  | { readonly type: "attachDriver"; readonly workerId: WorkerId }
  | MemorySampled
  | Deadline
  | Writable;

export interface RayletOptions {
  readonly nodeId: NodeId;
  readonly config: Config;
  /** The GCS lives in this process. */
  readonly isHead: boolean;
  /** In fixed point. */
  readonly totals: ResourceRequest;
  readonly labels: ReadonlyMap<string, string>;
  readonly address: string;
  readonly hostname: string;
  /** Threads started ahead of the first lease. */
  readonly prestartCount: number;
  /** Bytes of each segment of the arena. */
  readonly segments: readonly number[];
}

export class Raylet implements Machine<RayletEvent, RayletInstruction> {
  readonly #options: RayletOptions;
  readonly #pool: WorkerPool;
  readonly #placement: Placement;
  readonly #leases: LeaseManager;
  readonly #actors: LocalActors;
  readonly #objects: ObjectManager;
  readonly #membership: Membership;
  readonly #peers: PeerWatch;
  readonly #state: StateCollector;
  readonly #memory: MemoryMonitor;
  #reportedVersion = 0;
  readonly #drivers = new Set<WorkerId>();
  readonly #endedDrivers = new Set<WorkerId>();

  constructor(options: RayletOptions) {
    const { nodeId, config, isHead, totals, labels, segments } = options;
    this.#options = options;
    const pool = new WorkerPool(nodeId, config, options.prestartCount);
    this.#pool = pool;
    this.#placement = new Placement({ nodeId, config, totals, labels, pool });
    const available = (): ResourceRequest => this.#placement.availableAmounts();
    this.#membership = new Membership({ nodeId, config, isHead, available });
    this.#peers = new PeerWatch(nodeId, this.#membership);
    this.#leases = new LeaseManager({
      nodeId,
      labels,
      placement: this.#placement,
      config,
      membership: this.#membership,
      peers: this.#peers,
    });
    this.#memory = new MemoryMonitor(config, pool);
    this.#actors = new LocalActors(nodeId, this.#placement, pool);
    const processes = (): WorkerId[] => [
      ...this.#drivers,
      ...[...pool.ready()].map((worker) => worker.id),
    ];
    this.#objects = new ObjectManager({
      nodeId,
      config,
      segments,
      peers: this.#peers,
      processes,
      living: () => [...this.#drivers, ...[...pool.living()].map((worker) => worker.id)],
      hasEnded: (process) => this.#hasEnded(process),
      deathOf: (id) => this.#membership.deathOf(id),
    });
    this.#state = new StateCollector({
      nodeId,
      stateTimeoutMs: config.stateTimeoutMs,
      processes,
      isSpilled: ({ owner, serial, index }) =>
        this.#objects.objects.find(owner, { serial, index })?.extent === null,
      workers: () => [...this.#drivers].map(driverRow).concat(pool.rows()),
      store: () => this.#objects.storeRow(),
      otherNodes: () => this.#membership.others.map(({ nodeId: other }) => other),
    });
  }

  /** For status and tests. */
  get counts(): RayletCounts {
    return {
      leases: this.#leases.leaseCount,
      waiting: this.#placement.waitingCount,
      infeasible: this.#placement.infeasibleCount,
      actors: this.#actors.actorCount,
      workers: this.#pool.size,
      arenaFreeBytes: this.#objects.store.freeBytes,
    };
  }

  /** Each with its worker; for tests. */
  grantedLeases(): Iterable<DoomedLease> {
    return this.#leases.granted();
  }

  /** Copies of objects, pulls and pushes; for status and tests. */
  get objects(): ObjectManager {
    return this.#objects;
  }

  /** In fixed point; CPU may be below 0 for a while. */
  available(name: string): number {
    return this.#placement.available(name);
  }

  handle(event: RayletEvent, nowMs: number, out: RayletOut): void {
    this.#route(event, nowMs, out);
    this.#placement.settle(nowMs, out);
    this.#leases.announceDemand(out);
    const { availableVersion } = this.#placement;
    if (availableVersion !== this.#reportedVersion) {
      this.#reportedVersion = availableVersion;
      this.#membership.onAvailableChanged(nowMs);
    }
    this.#membership.settle(nowMs, out);
    this.#objects.settle(nowMs, out);
  }

  nextDeadlineMs(): number {
    return Math.min(
      this.#pool.nextDeadlineMs(),
      this.#placement.nextDeadlineMs(),
      this.#leases.nextDeadlineMs(),
      this.#membership.nextDeadlineMs(),
      this.#state.nextDeadlineMs(),
      this.#objects.nextDeadlineMs(),
    );
  }

  checkInvariants(): void {
    this.#pool.checkInvariants();
    this.#placement.checkInvariants();
    this.#leases.checkInvariants();
    this.#actors.checkInvariants();
    this.#objects.checkInvariants();
    this.#membership.checkInvariants();
    this.#peers.checkInvariants();
  }

  #route(event: RayletEvent, nowMs: number, out: RayletOut): void {
    if ("from" in event && this.#hasEnded(event.from)) return;
    switch (event.type) {
      case "requestWorkerLease":
        return this.#leases.onRequestWorkerLease(event, nowMs, out);
      case "releaseLease":
        return this.#leases.onReleaseLease(event);
      case "doomedEnded":
        return this.#leases.onDoomedEnded(event);
      case "stopLeasedWorker":
        return this.#leases.onStopLeasedWorker(event, out);
      case "taskBlocked":
        return this.#leases.onTaskBlocked(event);
      case "watchWorker":
        return this.#onWatchWorker(event, out);
      case "workerDied":
        return this.#onRemoteWorkerDied(event, nowMs, out);
      case "createActor":
        return this.#actors.onCreateActor(event, nowMs, out);
      case "stopActorWorker":
        return this.#actors.onStopActorWorker(event, out);
      case "actorConstructed":
        return this.#actors.onActorConstructed(event, out);
      case "actorDrained":
        return this.#actors.onActorDrained(event, out);
      case "allocateArena":
        return this.#objects.store.onAllocateArena(event, nowMs, out);
      case "freeArena":
        return this.#objects.store.onFreeArena(event);
      case "listState":
        return this.#state.onListState(event, nowMs, out);
      case "stateCollected":
        return this.#state.onStateCollected(event, out);
      case "askStore":
        return this.#state.onAskStore(event, out);
      case "storeTold":
        return this.#state.onStoreTold(event, out);
      case "workerReady":
        return this.#onWorkerReady(event.workerId, out);
      case "workerExited":
        return this.#onWorkerExited(event.workerId, event.exit, nowMs, out);
      case "attachDriver":
        this.#drivers.add(event.workerId);
        return;
      case "memorySampled":
        return this.#onMemorySampled(event, out);
      case "start":
        return this.#onStart(nowMs, out);
      case "resourceView":
        if (this.#membership.onResourceView(event, nowMs)) this.#leases.onNodesChanged(out);
        return;
      case "heartbeatAck":
        return this.#membership.onHeartbeatAck(event, out);
      case "nodeDied":
        return this.#onNodeDied(event, nowMs, out);
      case "deadline":
        return this.#onDeadline(nowMs, out);
      case "writable":
        return;
      default:
        this.#objects.handle(event, nowMs, out);
    }
  }

  #onMemorySampled(event: MemorySampled, out: RayletOut): void {
    const workOf = ({ id, isDedicated }: PooledWorker): ThreadWork | null =>
      isDedicated ? { what: "an actor", isRetriable: false } : this.#leases.workOn(id);
    for (const { worker, why } of this.#memory.victims(event, workOf)) {
      worker.stopCause = { kind: "outOfMemory", text: why };
      this.#placement.stopWorker(worker, out);
    }
  }

  #onStart(nowMs: number, out: RayletOut): void {
    const { nodeId, address, hostname, isHead, totals, labels } = this.#options;
    const { config, prestartCount } = this.#options;
    out.send(gcsAddress, {
      type: "registerNode",
      from: nodeId,
      nodeId,
      address,
      hostname,
      isHead,
      resources: totals,
      labels,
    });
    this.#membership.onStart(nowMs);
    const wanted = Math.min(prestartCount, config.taskWorkersMax);
    while (this.#pool.size < wanted) this.#pool.start(nowMs, out);
  }

  #onWorkerReady(workerId: WorkerId, out: RayletOut): void {
    this.#pool.onWorkerReady(workerId);
    if (this.#pool.find(workerId)?.phase === "ready") this.#tellOfDead(workerId, out);
    this.#placement.onWorkerReady();
  }

  #onWorkerExited(workerId: WorkerId, exit: WorkerExit, nowMs: number, out: RayletOut): void {
    const worker = this.#pool.find(workerId);
    if (worker === undefined) {
      if (!this.#drivers.delete(workerId)) return;
      this.#endedDrivers.add(workerId);
    } else if (!worker.wasReady) {
      this.#onStartEnded(worker, exit, nowMs, out);
      return;
    }
    const error = exitError(workerId, exit, worker?.stopCause ?? null);
    this.#leases.onWorkerExited(workerId, error, out);
    this.#actors.onWorkerExited(workerId, error, out);
    if (worker !== undefined) this.#pool.remove(worker);
    this.#objects.onProcessEnded(workerId, error.message, out);
    const died = this.#workerDied(workerId, error);
    this.#tellProcesses(died, out);
    this.#objects.reclaims.onProcessEnded(workerId, out);
    this.#leases.tellDoomed(nowMs, out);
    out.send(gcsAddress, died);
    this.#peers.onOwnExit(workerId, error, out);
    this.#state.onProcessEnded(workerId, out);
    this.#placement.onWorkerGone();
  }

  /** Of those whose values others may tell it of: so that it takes none. */
  #tellOfDead(workerId: WorkerId, out: RayletOut): void {
    const { reclaims } = this.#objects;
    for (const dead of reclaims.before()) {
      out.send(workerId, this.#workerDied(dead, endedEarlier(dead)));
    }
    reclaims.onProcessReady(workerId, out);
  }

  /** Those that are ready hear of every end here; this is for who came later, and other nodes. */
  #onWatchWorker({ from, workerId }: WatchWorker, out: RayletOut): void {
    if (nodeIdOf(workerId) !== this.#options.nodeId) {
      this.#peers.watchRemote(workerId, from, out);
    } else if (this.#hasEnded(workerId)) {
      out.send(from, this.#workerDied(workerId, endedEarlier(workerId)));
    } else if (nodeIdOf(from as WorkerId) !== this.#options.nodeId) {
      this.#peers.addWatcher(workerId, from as NodeId);
    }
  }

  /** Told by the raylet of its node, which we asked to. */
  #onRemoteWorkerDied(message: WorkerDied, nowMs: number, out: RayletOut): void {
    const { workerId, error } = message;
    if (!this.#peers.onWorkerDied(message)) return;
    this.#leases.onWorkerExited(workerId, error, out);
    this.#objects.onProcessEnded(workerId, error.message, out);
    this.#tellProcesses(this.#workerDied(workerId, error), out);
    this.#leases.tellDoomed(nowMs, out);
  }

  #onNodeDied(message: NodeDied, nowMs: number, out: RayletOut): void {
    const { nodeId, reason } = message;
    if (!this.#membership.onNodeDied(message)) return;
    this.#peers.onNodeDied(nodeId);
    this.#state.onNodeDied(nodeId, out);
    // First: what is made anew for want of a copy there goes to none of its workers.
    this.#tellProcesses({ type: "nodeDied", from: this.#options.nodeId, nodeId, reason }, out);
    this.#objects.onNodeDied(nodeId, reason, out);
    this.#leases.onNodeDied(nodeId, engineError("NODE_DIED", reason, nodeId), out);
    this.#leases.tellDoomed(nowMs, out);
  }

  #workerDied(workerId: WorkerId, error: EngineError): WorkerDied {
    return { type: "workerDied", from: this.#options.nodeId, workerId, error };
  }

  /** Nobody knew the thread yet, so nobody hears of its end. */
  #onStartEnded(worker: PooledWorker, exit: WorkerExit, nowMs: number, out: RayletOut): void {
    const wasOverdue = worker.phase === "stopping";
    this.#pool.remove(worker);
    this.#objects.onStartEnded(worker.id);
    if (wasOverdue) this.#placement.onWorkerGone();
    else this.#placement.onStartFailed(describeExit(worker.id, exit), nowMs, out);
  }

  #onDeadline(nowMs: number, out: RayletOut): void {
    this.#placement.onDeadline(nowMs);
    this.#leases.onDeadline(nowMs, out);
    this.#state.onDeadline(nowMs, out);
    this.#objects.onDeadline(nowMs, out);
    const { workerStartTimeoutMs } = this.#options.config;
    for (;;) {
      const worker = this.#pool.stopOverdue(nowMs, out);
      if (worker === null) return;
      const text = `worker thread ${worker.id} was not ready after ${workerStartTimeoutMs} ms`;
      this.#placement.onStartFailed(text, nowMs, out);
    }
  }

  #tellProcesses(message: WorkerDied | NodeDied, out: RayletOut): void {
    for (const driver of this.#drivers) out.send(driver, message);
    for (const worker of this.#pool.ready()) out.send(worker.id, message);
  }

  #hasEnded(process: Address): boolean {
    if (process === gcsAddress || process === this.#options.nodeId) return false;
    const id = process as WorkerId;
    // Another raylet.
    if (process.length === nodeIdLength) {
      return this.#membership.deathOf(process as NodeId) !== undefined;
    }
    if (nodeIdOf(id) !== this.#options.nodeId) return this.#peers.hasEnded(id);
    return this.#endedDrivers.has(id) || (!this.#drivers.has(id) && this.#pool.hasEnded(id));
  }
}

function endedEarlier(workerId: WorkerId): EngineError {
  return engineError("WORKER_CRASHED", `worker thread ${workerId} has ended`);
}

function driverRow(workerId: WorkerId): WorkerRow {
  return { workerId, isAlive: true, pendingReason: "" };
}

export interface RayletCounts {
  readonly leases: number;
  readonly waiting: number;
  readonly infeasible: number;
  readonly actors: number;
  readonly workers: number;
  readonly arenaFreeBytes: number;
}
