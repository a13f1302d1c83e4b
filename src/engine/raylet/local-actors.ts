/**
 * Life of an actor's instance on this node: waiting → constructing → alive (→ draining) → stopping
 * → gone. It drains when nobody has a handle to it: its thread may own what others still hold.
 *
 * State:  one record an actor; for those that are gone, the last answer to the GCS.
 * In/out: createActor, actorConstructed, stopActorWorker, actorDrained, the end of a worker →
 *         constructActor, drainActor, actorPending, actorCreated, actorWorkerDied, StopWorker. Key:
 *         (actorId, incarnation).
 * Bounds: waiting ones by Placement, running ones by `actorWorkersMax`, `endedMax` remembered
 *         answers.
 * Errors: a failed constructor ends its thread, which may be left in any state. Resources come
 *         back when the end of the thread is reported, not when it is asked for.
 * Source: Ray gcs_actor_scheduler and worker's creation task; protocols §4 Actor.
 */
import { assert } from "#engine/common/assert.ts";
import { engineError } from "#engine/common/error-type.ts";
import type { EngineError } from "#engine/common/error-type.ts";
import type { ActorId, Address, NodeId, WorkerId } from "#engine/common/ids.ts";
import { makeRequest } from "#engine/common/resources.ts";
import type { ResourceRequest } from "#engine/common/resources.ts";
import type {
  ActorConstructed,
  ActorCreated,
  ActorDrained,
  ActorSpec,
  ActorWorkerDied,
  CreateActor,
  FailedCreation,
  StopActorWorker,
} from "#engine/protocol/gcs.ts";
import { ownActorSpec, ownFailure } from "#engine/protocol/own-value.ts";
import { Claim } from "./placement-queue.ts";
import type { PendingReason, RayletOut } from "./placement-queue.ts";
import type { Placement } from "./placement.ts";
import type { WorkerPool } from "./worker-pool.ts";

const endedMax = 10_000;

class LocalActor extends Claim {
  readonly actorId: ActorId;
  readonly incarnation: number;
  readonly gcs: Address;
  /** Dropped once the constructor has it. */
  spec: ActorSpec | null;
  readonly runningResources: ResourceRequest;
  state: "waiting" | "constructing" | "alive" | "draining" | "stopping" = "waiting";
  readonly #actors: LocalActors;

  constructor(actors: LocalActors, { from, incarnation, spec }: CreateActor) {
    super({
      kind: "actor",
      requester: from,
      what: spec.actorName || spec.descriptor.displayName,
      resources: union(spec.placementResources, spec.runningResources),
      strategy: spec.strategy,
      // Whoever waits for an actor, however deep, waits for all that is ahead of it.
      depth: Infinity,
    });
    this.actorId = spec.actorId;
    this.incarnation = incarnation;
    this.gcs = from;
    this.spec = ownActorSpec(spec);
    this.runningResources = spec.runningResources;
    this.#actors = actors;
  }

  override onPlaced(out: RayletOut): void {
    this.#actors.construct(this, out);
  }

  override onPending(reason: PendingReason, out: RayletOut): void {
    this.#actors.sendPending(this, reason, out);
  }

  override onRefused(text: string, out: RayletOut): void {
    this.#actors.refuse(this, text, out);
  }
}

export class LocalActors {
  readonly #self: NodeId;
  readonly #placement: Placement;
  readonly #pool: WorkerPool;
  readonly #actors = new Map<ActorId, LocalActor>();
  readonly #ended = new Map<ActorId, ActorCreated | ActorWorkerDied>();

  constructor(self: NodeId, placement: Placement, pool: WorkerPool) {
    this.#self = self;
    this.#placement = placement;
    this.#pool = pool;
  }

  get actorCount(): number {
    return this.#actors.size;
  }

  onCreateActor(message: CreateActor, nowMs: number, out: RayletOut): void {
    const { actorId } = message.spec;
    const known = this.#actors.get(actorId);
    if (known !== undefined) {
      assert(message.incarnation <= known.incarnation, "a new incarnation beside a living one");
      if (message.incarnation === known.incarnation) this.#repeatAnswer(known, out);
      return;
    }
    const ended = this.#ended.get(actorId);
    if (ended !== undefined && message.incarnation <= ended.incarnation) {
      if (message.incarnation === ended.incarnation) out.send(message.from, ended);
      return;
    }
    const actor = new LocalActor(this, message);
    this.#actors.set(actorId, actor);
    this.#placement.submit(actor, nowMs, out);
  }

  construct(actor: LocalActor, out: RayletOut): void {
    const { worker, allocation, spec, incarnation } = actor;
    assert(worker !== null && allocation !== null && spec !== null, "an actor placed twice");
    actor.state = "constructing";
    actor.spec = null;
    const { gpuIds } = allocation;
    out.send(worker.id, { type: "constructActor", from: this.#self, incarnation, gpuIds, spec });
  }

  onActorConstructed(message: ActorConstructed, out: RayletOut): void {
    const actor = this.#find(message);
    if (actor?.state !== "constructing" || actor.worker?.id !== message.from) return;
    if (message.failure === null) {
      actor.state = "alive";
      this.#placement.shrink(actor, actor.runningResources);
      this.#sendCreated(actor, out);
      return;
    }
    const answer = this.#failed(actor, ownFailure(message.failure));
    this.#remember(answer);
    this.#stop(actor, out);
    out.send(actor.gcs, answer);
  }

  onStopActorWorker(message: StopActorWorker, out: RayletOut): void {
    const actor = this.#find(message);
    if (actor === undefined) return;
    const text = `${actor.what} was stopped`;
    const { actorId, incarnation, graceful } = message;
    if (!isOver(actor.state)) {
      this.#remember({
        type: "actorWorkerDied",
        from: this.#self,
        actorId,
        incarnation,
        error: engineError("ACTOR_DIED", text, actorId),
      });
    }
    if (actor.state === "waiting") {
      this.#placement.withdraw(actor);
      this.#actors.delete(actorId);
    } else if (!graceful) {
      this.#stop(actor, out);
    } else if (actor.state === "alive") {
      assert(actor.worker !== null, "an actor without a thread");
      actor.state = "draining";
      const from = this.#self;
      out.send(actor.worker.id, { type: "drainActor", from, actorId, incarnation });
    } else if (actor.state === "constructing") {
      this.#stop(actor, out);
    }
  }

  onActorDrained(message: ActorDrained, out: RayletOut): void {
    const actor = this.#find(message);
    if (actor?.state !== "draining" || actor.worker?.id !== message.from) return;
    this.#stop(actor, out);
  }

  refuse(actor: LocalActor, text: string, out: RayletOut): void {
    const error = engineError("ACTOR_UNSCHEDULABLE", text, actor.actorId);
    const answer = this.#failed(actor, { error, cause: null });
    this.#actors.delete(actor.actorId);
    this.#remember(answer);
    out.send(actor.gcs, answer);
  }

  onWorkerExited(workerId: WorkerId, error: EngineError, out: RayletOut): void {
    for (const actor of this.#actors.values()) {
      if (actor.worker?.id !== workerId) continue;
      const { state, actorId, incarnation } = actor;
      this.#placement.end(actor);
      this.#actors.delete(actorId);
      if (isOver(state)) return;
      const answer: ActorWorkerDied = {
        type: "actorWorkerDied",
        from: this.#self,
        actorId,
        incarnation,
        error,
      };
      this.#remember(answer);
      out.send(actor.gcs, answer);
      return;
    }
  }

  sendPending(actor: LocalActor, { kind, text }: PendingReason, out: RayletOut): void {
    const { actorId, incarnation } = actor;
    out.send(actor.gcs, {
      type: "actorPending",
      from: this.#self,
      actorId,
      incarnation,
      reason: text,
      infeasible: kind === "infeasible",
    });
  }

  checkInvariants(): void {
    assert(this.#ended.size <= endedMax, "too many ended actors are remembered");
    let placed = 0;
    for (const [actorId, actor] of this.#actors) {
      assert(actorId === actor.actorId, "an actor under another's id");
      assert((actor.state === "waiting") === (actor.spec !== null), "a spec kept or lost");
      assert(
        (actor.state === "waiting") === (actor.place !== "placed"),
        "an actor without a place",
      );
      assert(actor.place !== "none", "an actor that nobody works on");
      if (actor.place === "placed") placed += 1;
      if (actor.state === "stopping") {
        assert(actor.worker?.phase === "stopping", "an actor stops, its thread does not");
      }
    }
    assert(placed === this.#pool.dedicatedCount, "an actor's thread without an actor");
  }

  #find(key: { actorId: ActorId; incarnation: number }): LocalActor | undefined {
    const actor = this.#actors.get(key.actorId);
    return actor?.incarnation === key.incarnation ? actor : undefined;
  }

  #repeatAnswer(actor: LocalActor, out: RayletOut): void {
    const { actorId, state, reason } = actor;
    const ended = this.#ended.get(actorId);
    if (state === "alive") this.#sendCreated(actor, out);
    else if (isOver(state) && ended !== undefined) out.send(actor.gcs, ended);
    else if (reason !== null) this.sendPending(actor, reason, out);
  }

  #sendCreated(actor: LocalActor, out: RayletOut): void {
    const { actorId, incarnation, worker } = actor;
    assert(worker !== null, "an actor without a thread");
    out.send(actor.gcs, {
      type: "actorCreated",
      from: this.#self,
      actorId,
      incarnation,
      workerId: worker.id,
      failure: null,
    });
  }

  #failed(actor: LocalActor, failure: FailedCreation): ActorCreated {
    const { actorId, incarnation } = actor;
    const from = this.#self;
    return { type: "actorCreated", from, actorId, incarnation, workerId: null, failure };
  }

  #stop(actor: LocalActor, out: RayletOut): void {
    assert(actor.worker !== null, "an actor without a thread");
    actor.state = "stopping";
    this.#pool.stop(actor.worker, out);
  }

  #remember(answer: ActorCreated | ActorWorkerDied): void {
    // Deleted first, so that the map stays in the order of the endings.
    this.#ended.delete(answer.actorId);
    this.#ended.set(answer.actorId, answer);
    if (this.#ended.size <= endedMax) return;
    for (const oldest of this.#ended.keys()) {
      this.#ended.delete(oldest);
      break;
    }
  }
}

/** The GCS has given it up. */
function isOver(state: LocalActor["state"]): boolean {
  return state === "draining" || state === "stopping";
}

/** What an actor takes to be placed: the greater of each. */
function union(a: ResourceRequest, b: ResourceRequest): ResourceRequest {
  const most = new Map(a);
  for (const [name, amount] of b) most.set(name, Math.max(amount, most.get(name) ?? 0));
  return makeRequest(most);
}
