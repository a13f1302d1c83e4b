/** Drives a core worker as the maker and caller of actors: see CoreWorkerHarness. */
import { engineError } from "#engine/common/error-type.ts";
import {
  actorIndex,
  type ActorId,
  gcsAddress,
  makerOf,
  type WorkerId,
} from "#engine/common/ids.ts";
import { ActorClient } from "#engine/core-worker/actor-client.ts";
import type { ObjectEntry, TaskRecord } from "#engine/core-worker/object-entry.ts";
import type { ActorRegistered, ActorState } from "#engine/protocol/gcs.ts";
import type { ActorSpecial, InlineValue, Outcome } from "#engine/protocol/outcome.ts";
import { CoreWorkerHarness, template } from "./core-worker-harness.ts";
import { actor as actorIdAt, actorSpec, nodeId, worker } from "./raylet-harness.ts";

export const host = worker(3);
export const caller = worker(1);

export class ActorHarness extends CoreWorkerHarness {
  client(actorId: ActorId): ActorClient {
    return this.core.actors.clientOf(actorId, "Counter", false);
  }

  create(args: readonly ObjectEntry[] = [], getIfExists = false, isDetached = false): ActorClient {
    const task = this.task(args);
    task.localRefs = 0;
    const actorId = actorIdAt(task.serial);
    const { args: _args, values: _values, actorId: _id, ...spec } = actorSpec(actorId);
    const client = new ActorClient({
      actorId,
      className: "Counter",
      isDetached,
      registration: {
        actorId,
        className: "Counter",
        name: getIfExists ? "shared" : "",
        namespace: "default",
        getIfExists,
        detached: isDetached,
      },
      creation: { task, spec },
    });
    task.actor = client;
    const entry = this.core.handles.open(client);
    if (entry !== null) entry.localRefs = 1;
    this.handle({ type: "createActorCall", actor: client });
    return client;
  }

  call(actor: ActorClient, args: readonly ObjectEntry[] = []): TaskRecord {
    const task = this.task(args, { actor, shape: template(7) });
    this.handle({ type: "submitActorTask", actor, task });
    return task;
  }

  /** The owner of the borrowed argument says what it came to. */
  tell(outcome: Outcome): void {
    const object = { serial: 1, index: 1 };
    this.handle({ type: "objectState", from: caller, object, outcome, holds: null });
  }

  /** What the GCS says of a registration: which actor it made or found, or why none. */
  registered(
    requested: ActorId,
    answer: Partial<Pick<ActorRegistered, "actorId" | "detached" | "error">> = {},
  ): void {
    const fields = { actorId: requested, detached: false, error: null, ...answer };
    this.handle({ type: "actorRegistered", from: gcsAddress, requested, ...fields });
  }

  state(actorId: ActorId, fields: Partial<ActorState>): void {
    this.handle({
      type: "actorState",
      from: gcsAddress,
      actorId,
      version: 2,
      state: "PENDING_CREATION",
      incarnation: 0,
      workerId: null,
      death: null,
      pendingReason: "",
      infeasible: false,
      ...fields,
    });
  }

  alive(actorId: ActorId, workerId: WorkerId = host): void {
    this.state(actorId, { version: 3, state: "ALIVE", workerId });
  }

  dead(actorId: ActorId, message = "it was killed", cause: InlineValue | null = null): void {
    const death = { error: engineError("ACTOR_DIED", message, actorId), cause };
    this.state(actorId, { version: 9, state: "DEAD", death });
  }

  /** Which calls have been pushed, in order. */
  pushed(): number[] {
    return this.out.all("pushTask").map((push) => push.serial);
  }

  /** It becomes the process of this actor, which has been constructed. */
  host(actorId: ActorId): void {
    const spec = actorSpec(actorId);
    this.handle({ type: "constructActor", from: nodeId, incarnation: 0, gpuIds: [], spec });
    const { actor } = this.core.receiver;
    if (actor === null) throw new Error("the process hosts no actor");
    this.handle({ type: "constructorFinished", actor, failure: null, maxConcurrency: 10 });
  }

  /** Actors that the GCS was told nobody has a handle to. */
  outOfScope(): ActorId[] {
    return this.out.all("actorOutOfScope", gcsAddress).map(({ actorId }) => actorId);
  }

  /** A handle that the program has here, and what it counts on. */
  handleOf(client: ActorClient): ObjectEntry {
    const entry = this.core.handles.entryOf(client);
    if (entry === null) throw new Error("nobody counts the handles of a detached actor");
    return entry;
  }

  /** What a value carries for a handle. */
  special(actorId: ActorId, isDetached = false): ActorSpecial {
    const { maker: owner, serial } = makerOf(actorId);
    return { type: "actor", owner, serial, index: actorIndex, className: "Counter", isDetached };
  }
}
