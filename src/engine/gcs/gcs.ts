/**
 * The control plane's truth: routes what it is told to the tables of nodes and actors.
 *
 * State:  the processes that have ended, of whom nothing is accepted any more.
 * In/out: the messages to the GCS → theirs. No instructions: tables in memory until durability
 *         comes.
 * Bounds: `endedMax` ended processes are remembered.
 * Errors: none of its own.
 * Source: Ray gcs_server.
 */
import { assert, unreachable } from "#engine/common/assert.ts";
import { type Config, defaultConfig } from "#engine/common/config.ts";
import { gcsAddress, nodeIdOf } from "#engine/common/ids.ts";
import type { ActorId, Address, NodeId, WorkerId } from "#engine/common/ids.ts";
import type {
  AbandonActor,
  ActorCreated,
  ActorJoined,
  ActorOutOfScope,
  ActorPending,
  ActorWorkerDied,
  GetActorByName,
  Heartbeat,
  KillActor,
  RegisterActor,
  RegisterNode,
  StartActor,
  SubscribeActor,
} from "#engine/protocol/gcs.ts";
import type { WorkerDied } from "#engine/protocol/lease.ts";
import { type ListCluster, noClusterRows, statePages } from "#engine/protocol/state.ts";
import type { Deadline, Machine, Outbox, Writable } from "#engine/protocol/machine.ts";
import { Actors } from "./actors.ts";
import { makerOf } from "./expected-actors.ts";
import { Nodes } from "./nodes.ts";

const endedMax = 100_000;

export type GcsMessageIn =
  | RegisterNode
  | Heartbeat
  | RegisterActor
  | StartActor
  | AbandonActor
  | SubscribeActor
  | ActorCreated
  | ActorPending
  | ActorWorkerDied
  | ActorJoined
  | ActorOutOfScope
  | KillActor
  | GetActorByName
  | ListCluster
  | WorkerDied;

export type GcsEvent = GcsMessageIn | Deadline | Writable;

export interface GcsOptions {
  /** Dead actors whose cause of death a late subscriber still hears; 100,000 as in Ray. */
  readonly deadActorsMax?: number;
  readonly config?: Config;
}

export class Gcs implements Machine<GcsEvent, never> {
  readonly #nodes: Nodes;
  readonly #actors: Actors;
  /** Oldest first. */
  readonly #ended = new Set<Address>();

  constructor(options: GcsOptions = {}) {
    this.#nodes = new Nodes(options.config ?? defaultConfig);
    this.#actors = new Actors(this.#nodes, options.deadActorsMax ?? 100_000);
  }

  /** For status and tests. */
  get counts(): GcsCounts {
    return {
      nodes: this.#nodes.size,
      liveActors: this.#actors.liveCount,
      deadActors: this.#actors.deadCount,
    };
  }

  isLiveActor(actorId: ActorId): boolean {
    return this.#actors.isLive(actorId);
  }

  /** It ended because nobody had a handle to it: its process goes on while others count on that. */
  isOutOfScope(actorId: ActorId): boolean {
    return this.#actors.isOutOfScope(actorId);
  }

  /** Living actors whose handles are counted. */
  get liveActors(): Iterable<ActorId> {
    return this.#actors.liveCounted();
  }

  /** Whether the node was declared dead. */
  hasBuried(nodeId: NodeId): boolean {
    return this.#nodes.isDead(nodeId);
  }

  handle(event: GcsEvent, nowMs: number, out: Outbox<never>): void {
    // Also a node that was declared dead gets its answer to this one: that it is.
    if (event.type === "heartbeat") this.#nodes.onHeartbeat(event, nowMs, out);
    else if (!("from" in event) || !this.#hasEnded(event.from)) this.#route(event, nowMs, out);
    this.#nodes.sendView(nowMs, out);
  }

  nextDeadlineMs(): number {
    return this.#nodes.nextDeadlineMs();
  }

  checkInvariants(): void {
    assert(this.#ended.size <= endedMax, "too many ended processes are remembered");
    this.#nodes.checkInvariants();
    this.#actors.checkInvariants();
  }

  #route(event: Exclude<GcsEvent, Heartbeat>, nowMs: number, out: Outbox<never>): void {
    switch (event.type) {
      case "registerNode":
        return this.#takeIn(event, nowMs, out);
      case "registerActor":
        return this.#actors.onRegisterActor(event, out);
      case "startActor":
        return this.#actors.onStartActor(event, out);
      case "abandonActor":
        return this.#actors.onAbandonActor(event, out);
      case "subscribeActor":
        return this.#actors.onSubscribeActor(event, this.#hasEnded(makerOf(event.actorId)), out);
      case "actorCreated":
        return this.#actors.onActorCreated(event, out);
      case "actorPending":
        return this.#actors.onActorPending(event, out);
      case "actorWorkerDied":
        return this.#actors.onActorWorkerDied(event, out);
      case "killActor":
        return this.#actors.onKillActor(event, this.#hasEnded(makerOf(event.actorId)), out);
      case "actorOutOfScope":
        return this.#actors.onActorOutOfScope(event, out);
      case "actorJoined":
        return this.#actors.onActorJoined(event, out);
      case "getActorByName":
        return this.#actors.onGetActorByName(event, out);
      case "listCluster":
        return this.#onListCluster(event, out);
      case "workerDied":
        if (this.#fence(event.workerId)) this.#actors.onWorkerDied(event, out);
        return;
      case "deadline":
        for (const nodeId of this.#nodes.takeOverdue(nowMs)) this.#bury(nodeId, nowMs, out);
        return;
      case "writable":
        return this.#nodes.onWritable(out);
      default:
        unreachable(event, "event of the GCS");
    }
  }

  #takeIn(message: RegisterNode, nowMs: number, out: Outbox<never>): void {
    if (!this.#nodes.onRegisterNode(message, nowMs)) return;
    // It may be given refs whose owners died before it came, and asks about nodes it never knew.
    for (const nodeId of this.#nodes.deadIds) this.#tellDeath(message.nodeId, nodeId, out);
    this.#actors.onNodeRegistered(out);
  }

  #onListCluster({ from: asker, requestId, kind, limit }: ListCluster, out: Outbox<never>): void {
    const pages =
      kind === "nodes"
        ? statePages(this.#nodes.listings(limit)).map((nodes) => ({ ...noClusterRows, nodes }))
        : statePages(this.#actors.listings(limit)).map((actors) => ({ ...noClusterRows, actors }));
    for (const [i, rows] of pages.entries()) {
      const isLast = i === pages.length - 1;
      const from = gcsAddress;
      out.send(asker, { type: "clusterListed", from, requestId, rows, isLast });
    }
  }

  #bury(nodeId: NodeId, nowMs: number, out: Outbox<never>): void {
    if (!this.#nodes.bury(nodeId, nowMs)) return;
    for (const other of this.#nodes.ids) this.#tellDeath(other, nodeId, out);
    this.#actors.onNodeDied(nodeId, deathReason(nodeId), out);
  }

  #tellDeath(to: NodeId, nodeId: NodeId, out: Outbox<never>): void {
    const reason = deathReason(nodeId);
    out.send(to, { type: "nodeDied", from: gcsAddress, nodeId, reason });
  }

  #hasEnded(process: Address): boolean {
    return this.#ended.has(process) || this.#nodes.isDead(nodeIdOf(process as WorkerId));
  }

  /** Nothing of it is accepted from now on; false if that was so before. */
  #fence(workerId: WorkerId): boolean {
    if (this.#ended.has(workerId)) return false;
    this.#ended.add(workerId);
    if (this.#ended.size > endedMax) {
      for (const oldest of this.#ended) {
        this.#ended.delete(oldest);
        break;
      }
    }
    return true;
  }
}

function deathReason(nodeId: NodeId): string {
  return `node ${nodeId} died: the GCS heard nothing from it for too long`;
}

export interface GcsCounts {
  readonly nodes: number;
  readonly liveActors: number;
  readonly deadActors: number;
}
