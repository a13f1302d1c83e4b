/**
 * Deaths of processes told across nodes: whoever waits for a process of another node asks its own
 * raylet, which asks the one of that node, and tells its processes what it hears.
 *
 * State:  which raylets watch our processes; which processes of other nodes we watch; which of them
 *         have ended.
 * In/out: watchWorker, workerDied of other raylets, nodeDied → watchWorker, workerDied.
 * Bounds: one entry a pair of process and node; `endedMax` ended processes.
 * Errors: none; a repeat is answered again.
 * Source: protocols §2.3.
 */
import { assert } from "#engine/common/assert.ts";
import { engineError, type EngineError } from "#engine/common/error-type.ts";
import { type Address, type NodeId, nodeIdOf, type WorkerId } from "#engine/common/ids.ts";
import type { WorkerDied } from "#engine/protocol/lease.ts";
import type { Membership } from "./membership.ts";
import type { RayletOut } from "./placement-queue.ts";

const endedMax = 100_000;

export class PeerWatch {
  readonly #self: NodeId;
  readonly #membership: Membership;
  /** Processes of this node → the raylets to be told of their end. */
  readonly #watchers = new Map<WorkerId, Set<NodeId>>();
  /** Processes of other nodes that we asked for. */
  readonly #watched = new Set<WorkerId>();
  /** Processes of other nodes of whose end we were told, oldest first. */
  readonly #ended = new Map<WorkerId, EngineError>();

  constructor(self: NodeId, membership: Membership) {
    this.#self = self;
    this.#membership = membership;
  }

  /** Of a process of another node; its node's death counts. */
  hasEnded(workerId: WorkerId): boolean {
    return this.#errorOf(workerId) !== undefined;
  }

  /** A process, or this raylet itself, wants to know of the end of one on another node. */
  watchRemote(workerId: WorkerId, asker: Address, out: RayletOut): void {
    const error = this.#errorOf(workerId);
    if (error !== undefined) {
      if (asker !== this.#self) out.send(asker, this.#workerDied(workerId, error));
      return;
    }
    if (this.#watched.has(workerId)) return;
    this.#watched.add(workerId);
    out.send(nodeIdOf(workerId), { type: "watchWorker", from: this.#self, workerId });
  }

  /** Another raylet wants to know of the end of a living process of ours. */
  addWatcher(workerId: WorkerId, watcher: NodeId): void {
    const watchers = this.#watchers.get(workerId);
    if (watchers === undefined) this.#watchers.set(workerId, new Set([watcher]));
    else watchers.add(watcher);
  }

  /** A process of ours has ended. */
  onOwnExit(workerId: WorkerId, error: EngineError, out: RayletOut): void {
    for (const watcher of this.#watchers.get(workerId) ?? []) {
      out.send(watcher, this.#workerDied(workerId, error));
    }
    this.#watchers.delete(workerId);
  }

  /** False if it is no news. */
  onWorkerDied({ workerId, error }: WorkerDied): boolean {
    if (this.#ended.has(workerId)) return false;
    this.#watched.delete(workerId);
    this.#ended.set(workerId, error);
    if (this.#ended.size > endedMax) {
      for (const oldest of this.#ended.keys()) {
        this.#ended.delete(oldest);
        break;
      }
    }
    return true;
  }

  onNodeDied(nodeId: NodeId): void {
    for (const workerId of this.#watched) {
      if (nodeIdOf(workerId) === nodeId) this.#watched.delete(workerId);
    }
    for (const [workerId, watchers] of this.#watchers) {
      if (watchers.delete(nodeId) && watchers.size === 0) this.#watchers.delete(workerId);
    }
  }

  checkInvariants(): void {
    assert(this.#ended.size <= endedMax, "too many ended processes are remembered");
    for (const workerId of this.#watched) {
      assert(nodeIdOf(workerId) !== this.#self, "a process of this node is not watched from afar");
      assert(!this.hasEnded(workerId), "an ended process is watched");
    }
    for (const [workerId, watchers] of this.#watchers) {
      assert(nodeIdOf(workerId) === this.#self, "another node's process is watched there");
      assert(watchers.size > 0, "a process without watchers is not listed");
    }
  }

  #errorOf(workerId: WorkerId): EngineError | undefined {
    const error = this.#ended.get(workerId);
    if (error !== undefined) return error;
    const nodeId = nodeIdOf(workerId);
    const reason = this.#membership.deathOf(nodeId);
    return reason === undefined ? undefined : engineError("NODE_DIED", reason, nodeId);
  }

  #workerDied(workerId: WorkerId, error: EngineError): WorkerDied {
    return { type: "workerDied", from: this.#self, workerId, error };
  }
}
