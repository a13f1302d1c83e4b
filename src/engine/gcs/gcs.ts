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
import type { Address, WorkerId } from "#engine/common/ids.ts";
import type {
  AbandonActor,
  ActorCreated,
  ActorPending,
  ActorWorkerDied,
  GetActorByName,
  KillActor,
  RegisterActor,
  RegisterNode,
  StartActor,
  SubscribeActor,
} from "#engine/protocol/gcs.ts";
import type { WorkerDied } from "#engine/protocol/lease.ts";
import type { Deadline, Machine, Outbox, Writable } from "#engine/protocol/machine.ts";
import { Actors } from "./actors.ts";
import { makerOf } from "./expected-actors.ts";
import { Nodes } from "./nodes.ts";

const endedMax = 100_000;

export type GcsMessageIn =
  | RegisterNode
  | RegisterActor
  | StartActor
  | AbandonActor
  | SubscribeActor
  | ActorCreated
  | ActorPending
  | ActorWorkerDied
  | KillActor
  | GetActorByName
  | WorkerDied;

export type GcsEvent = GcsMessageIn | Deadline | Writable;

export interface GcsOptions {
  /** Dead actors whose cause of death a late subscriber still hears; 100,000 as in Ray. */
  readonly deadActorsMax?: number;
}

export class Gcs implements Machine<GcsEvent, never> {
  readonly #nodes = new Nodes();
  readonly #actors: Actors;
  /** Oldest first. */
  readonly #ended = new Set<Address>();

  constructor(options: GcsOptions = {}) {
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

  handle(event: GcsEvent, _nowMs: number, out: Outbox<never>): void {
    if ("from" in event && this.#ended.has(event.from)) return;
    switch (event.type) {
      case "registerNode":
        if (this.#nodes.onRegisterNode(event)) this.#actors.onNodeRegistered(out);
        return;
      case "registerActor":
        return this.#actors.onRegisterActor(event, out);
      case "startActor":
        return this.#actors.onStartActor(event, out);
      case "abandonActor":
        return this.#actors.onAbandonActor(event, out);
      case "subscribeActor":
        return this.#actors.onSubscribeActor(event, this.#ended.has(makerOf(event.actorId)), out);
      case "actorCreated":
        return this.#actors.onActorCreated(event, out);
      case "actorPending":
        return this.#actors.onActorPending(event, out);
      case "actorWorkerDied":
        return this.#actors.onActorWorkerDied(event, out);
      case "killActor":
        return this.#actors.onKillActor(event, this.#ended.has(makerOf(event.actorId)), out);
      case "getActorByName":
        return this.#actors.onGetActorByName(event, out);
      case "workerDied":
        if (this.#fence(event.workerId)) this.#actors.onWorkerDied(event, out);
        return;
      case "deadline":
      case "writable":
        return;
      default:
        unreachable(event, "event of the GCS");
    }
  }

  nextDeadlineMs(): number {
    return Infinity;
  }

  checkInvariants(): void {
    assert(this.#ended.size <= endedMax, "too many ended processes are remembered");
    this.#nodes.checkInvariants();
    this.#actors.checkInvariants();
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

export interface GcsCounts {
  readonly nodes: number;
  readonly liveActors: number;
  readonly deadActors: number;
}
