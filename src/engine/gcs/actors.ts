/**
 * Life of an actor: DEPENDENCIES_UNREADY → PENDING_CREATION → ALIVE → DEAD, which may come from any
 * of them. No restarts yet, so its one incarnation is 0.
 *
 * State:  live rows by id, with indices by name, owner and subscriber; dead rows, oldest death
 *         first.
 * In/out: registerActor, startActor, abandonActor, actorPending, actorCreated, actorWorkerDied,
 *         killActor, actorOutOfScope, actorJoined, subscribeActor, getActorByName, workerDied →
 *         answers, createActor, stopActorWorker, actorState.
 * Bounds: live rows by their makers; `deadActorsMax` dead ones, then a late subscriber hears that
 *         it is gone.
 * Errors: every death has a cause that its callers are told. A detached actor outlives its owner,
 *         unless its arguments were not ready, which nobody else can bring.
 * Source: Ray gcs_actor_manager; protocols §4 Actor.
 */
import { assert } from "#engine/common/assert.ts";
import { engineError } from "#engine/common/error-type.ts";
import type { EngineError } from "#engine/common/error-type.ts";
import { gcsAddress, nodeIdOf } from "#engine/common/ids.ts";
import type { ActorId, Address, NodeId, WorkerId } from "#engine/common/ids.ts";
import type {
  AbandonActor,
  ActorCreated,
  ActorJoined,
  ActorOutOfScope,
  ActorPending,
  ActorRegistered,
  ActorWorkerDied,
  FailedCreation,
  GetActorByName,
  KillActor,
  RegisterActor,
  StartActor,
  SubscribeActor,
} from "#engine/protocol/gcs.ts";
import type { ActorListing } from "#engine/protocol/state.ts";
import type { WorkerDied } from "#engine/protocol/lease.ts";
import type { Outbox } from "#engine/protocol/machine.ts";
import { ownActorSpec, ownFailure } from "#engine/protocol/own-value.ts";
import { ActorNames } from "./actor-names.ts";
import { ActorRow, creationFailure, died, expectedState, goneState } from "./actor-row.ts";
import { ExpectedActors } from "./expected-actors.ts";
import type { ExpectedActor } from "./expected-actors.ts";
import type { Nodes } from "./nodes.ts";
import { RowIndex } from "./row-index.ts";
import { UnmadeActors } from "./unmade-actors.ts";

type Out = Outbox<never>;

export class Actors {
  readonly #nodes: Nodes;
  readonly #deadActorsMax: number;
  readonly #live = new Map<ActorId, ActorRow>();
  /** Oldest death first. */
  readonly #dead = new Map<ActorId, ActorRow>();
  readonly #names = new ActorNames();
  readonly #expected = new ExpectedActors();
  readonly #unmade = new UnmadeActors();
  readonly #byOwner = new RowIndex();
  readonly #bySubscriber = new RowIndex();
  /** PENDING_CREATION, and no node has joined. */
  readonly #placeless = new Set<ActorRow>();

  constructor(nodes: Nodes, deadActorsMax: number) {
    this.#nodes = nodes;
    this.#deadActorsMax = deadActorsMax;
  }

  isLive(actorId: ActorId): boolean {
    return this.#live.has(actorId);
  }

  isOutOfScope(actorId: ActorId): boolean {
    return this.#dead.get(actorId)?.isOutOfScope === true;
  }

  /** Of those that end when nobody has a handle to them. */
  *liveCounted(): IterableIterator<ActorId> {
    for (const { id, registration } of this.#live.values()) if (!registration.detached) yield id;
  }

  get liveCount(): number {
    return this.#live.size;
  }

  /** For those who ask what there is: the living, then the dead. */
  listings(limit: number): ActorListing[] {
    const rows = [...this.#live.values(), ...this.#dead.values()];
    return rows.slice(0, limit).map((row) => row.toListing());
  }

  get deadCount(): number {
    return this.#dead.size;
  }

  onRegisterActor(message: RegisterActor, out: Out): void {
    const { from, registration } = message;
    const { actorId, namespace, name, className } = registration;
    const unmade = this.#unmade.find(actorId);
    if (unmade !== undefined) {
      out.send(from, unmade);
      return;
    }
    const expected = this.#expected.onRegistered(actorId);
    if (this.#find(actorId) !== undefined) {
      out.send(from, registered(actorId, registration));
      return;
    }
    const holder = name === "" ? undefined : this.#names.find(namespace, name);
    if (holder !== undefined) {
      if (registration.getIfExists) {
        this.#expected.onFound(actorId, expected, holder.id);
        out.send(from, registered(actorId, holder.registration));
        // If that has ended for its owner, there will be a row to end.
        const killReason = expected?.killReason ?? null;
        if (killReason !== null) this.#kill(holder, killReason, out);
        this.#giveUpSurplus(out);
        return;
      }
      const text =
        `cannot create actor ${className}: the name ${JSON.stringify(name)} in namespace ` +
        `${JSON.stringify(namespace)} belongs to actor ${holder.id}`;
      const error = engineError("ACTOR_NAME_TAKEN", text, holder.id);
      const refused = registered(actorId, registration, error);
      out.send(from, refused);
      this.#onUnmade(refused, expected, out);
      return;
    }
    const row = new ActorRow(registration, from as WorkerId);
    this.#live.set(actorId, row);
    this.#names.reserve(row);
    this.#byOwner.add(row.owner, row);
    out.send(from, registered(actorId, registration));
    if (expected === undefined) return;
    for (const subscriber of expected.subscribers) this.#subscribe(row, subscriber, out);
    if (expected.killReason !== null) this.#kill(row, expected.killReason, out);
  }

  /** Its maker has a handle to the one that was found: nobody waits for this one any more. */
  onActorJoined({ requested, actorId, detached }: ActorJoined, out: Out): void {
    if (this.#find(requested) !== undefined || this.#unmade.find(requested) !== undefined) return;
    const expected = this.#expected.take(requested);
    this.#onUnmade(registered(requested, { actorId, detached }), expected, out);
  }

  onStartActor(message: StartActor, out: Out): void {
    const row = this.#live.get(message.spec.actorId);
    if (row?.state !== "DEPENDENCIES_UNREADY") return;
    row.spec = ownActorSpec(message.spec);
    row.state = "PENDING_CREATION";
    this.#placeAndPublish(row, out);
  }

  onAbandonActor(message: AbandonActor, out: Out): void {
    const row = this.#live.get(message.actorId);
    if (row?.state === "DEPENDENCIES_UNREADY") this.#bury(row, ownFailure(message.error), out);
  }

  onNodeRegistered(out: Out): void {
    for (const row of [...this.#placeless]) this.#placeAndPublish(row, out);
  }

  onActorPending(message: ActorPending, out: Out): void {
    const row = this.#reported(message);
    const { reason, infeasible } = message;
    if (row?.state !== "PENDING_CREATION" || row.pendingReason === reason) return;
    row.setPending(reason, infeasible);
    this.#publish(row, out);
  }

  onActorCreated(message: ActorCreated, out: Out): void {
    const row = this.#reported(message);
    if (row?.state !== "PENDING_CREATION") return;
    if (message.failure !== null) {
      this.#bury(row, creationFailure(row, message.failure), out);
      return;
    }
    row.state = "ALIVE";
    row.workerId = message.workerId;
    row.setPending("");
    this.#publish(row, out);
  }

  onActorWorkerDied(message: ActorWorkerDied, out: Out): void {
    const row = this.#reported(message);
    if (row === undefined) return;
    this.#bury(row, died(row, `actor ${row.title} died: ${message.error.message}`), out);
  }

  onKillActor(message: KillActor, makerIsDead: boolean, out: Out): void {
    const { from, actorId, reason, requestId } = message;
    const unmade = this.#unmade.find(actorId);
    const other = unmade?.actorId ?? this.#expected.foundFor(actorId);
    const row = this.#live.get(other ?? actorId);
    if (row !== undefined) this.#kill(row, reason, out);
    const isKnown = unmade !== undefined || this.#find(actorId) !== undefined;
    if (!isKnown && !makerIsDead && this.#expected.mayCome(actorId)) {
      this.#expected.expect(actorId).killReason = reason;
      this.#giveUpSurplus(out);
    }
    out.send(from, { type: "actorKilled", from: gcsAddress, requestId });
  }

  /** Its thread ends when nobody counts on that any more; as an actor it is dead now. */
  onActorOutOfScope({ actorId }: ActorOutOfScope, out: Out): void {
    this.#unmade.forget(actorId);
    const row = this.#live.get(actorId);
    if (row === undefined || row.registration.detached) return;
    row.isOutOfScope = true;
    const text = `actor ${row.title} ended: nobody has a handle to it any more`;
    this.#stopAndBury(row, died(row, text), out, true);
  }

  onSubscribeActor(message: SubscribeActor, makerIsDead: boolean, out: Out): void {
    const { from, actorId } = message;
    const row = this.#find(actorId);
    if (row !== undefined) {
      this.#subscribe(row, from, out);
      return;
    }
    const unmade = this.#unmade.find(actorId);
    if (unmade !== undefined) {
      out.send(from, unmade);
      return;
    }
    if (makerIsDead || !this.#expected.mayCome(actorId)) {
      out.send(from, goneState(actorId));
      return;
    }
    this.#expected.expect(actorId).subscribers.add(from);
    out.send(from, expectedState(actorId));
    this.#giveUpSurplus(out);
  }

  onGetActorByName(message: GetActorByName, out: Out): void {
    const { from, requestId, namespace, name } = message;
    const row = this.#names.find(namespace, name);
    out.send(from, {
      type: "actorByName",
      from: gcsAddress,
      requestId,
      actorId: row?.id ?? null,
      className: row?.registration.className ?? "",
      detached: row?.registration.detached ?? false,
    });
  }

  /**
   * As an owner and as a subscriber; that its own actor died with it is told by actorWorkerDied.
   */
  onWorkerDied({ workerId, error }: WorkerDied, out: Out): void {
    this.#endProcess(workerId, error, out);
  }

  #endProcess(workerId: WorkerId, error: EngineError, out: Out): void {
    for (const row of this.#bySubscriber.rows(workerId)) row.subscribers.delete(workerId);
    this.#bySubscriber.removeAll(workerId);
    for (const expected of this.#expected.dropProcess(workerId)) this.#giveUp(expected, out);
    for (const row of [...this.#byOwner.rows(workerId)]) {
      if (row.registration.detached && row.state !== "DEPENDENCIES_UNREADY") continue;
      const text = `actor ${row.title} died with its owner: ${error.message}`;
      this.#stopAndBury(row, died(row, text), out);
    }
  }

  /** Its actors, and what its processes owned or wanted to know. */
  onNodeDied(nodeId: NodeId, reason: string, out: Out): void {
    for (const row of [...this.#live.values()]) {
      if (row.nodeId !== nodeId) continue;
      this.#bury(row, died(row, `actor ${row.title} died: ${reason}`), out);
    }
    const processes = new Set([
      ...this.#byOwner.processes,
      ...this.#bySubscriber.processes,
      ...this.#expected.processes,
    ]);
    const error = engineError("NODE_DIED", reason, nodeId);
    for (const process of processes) {
      const workerId = process as WorkerId;
      if (nodeIdOf(workerId) !== nodeId) continue;
      this.#endProcess(workerId, error, out);
    }
  }

  checkInvariants(): void {
    assert(this.#dead.size <= this.#deadActorsMax, "too many dead actors are remembered");
    this.#names.checkInvariants();
    this.#expected.checkInvariants();
    this.#unmade.checkInvariants();
    let named = 0;
    let subscriptions = 0;
    for (const [actorId, row] of this.#live) {
      assert(actorId === row.id && !this.#dead.has(actorId), "an actor under another's id");
      this.#checkLiveRow(row);
      if (row.registration.name !== "") named += 1;
      for (const subscriber of row.subscribers) {
        assert(this.#bySubscriber.rows(subscriber).has(row), "a subscription without its index");
      }
      subscriptions += row.subscribers.size;
    }
    assert(named === this.#names.size, "names without a live actor");
    assert(subscriptions === this.#bySubscriber.count(), "subscriptions without a live actor");
    assert(this.#live.size === this.#byOwner.count(), "an owner of what is not alive");
    for (const row of this.#dead.values()) {
      assert(row.state === "DEAD" && row.death !== null, "a dead actor without a cause");
      assert(row.subscribers.size === 0 && row.spec === null, "a dead actor keeps things");
    }
  }

  #checkLiveRow(row: ActorRow): void {
    const { namespace, name } = row.registration;
    assert(row.state !== "DEAD" && row.death === null, "a dead actor among the living");
    assert(row.version > 0, "version of an actor");
    assert(name === "" || this.#names.find(namespace, name) === row, "an actor without its name");
    assert(this.#byOwner.rows(row.owner).has(row), "an actor without its owner");
    assert((row.state === "ALIVE") === (row.workerId !== null), "where an actor runs");
    assert((row.state === "DEPENDENCIES_UNREADY") === (row.spec === null), "spec of an actor");
    const isPlaceless = row.state === "PENDING_CREATION" && row.nodeId === null;
    assert(this.#placeless.has(row) === isPlaceless, "actors without a node");
  }

  #find(actorId: ActorId): ActorRow | undefined {
    return this.#live.get(actorId) ?? this.#dead.get(actorId);
  }

  /** The row that a raylet's report is about: of this incarnation, and placed on that node. */
  #reported(by: ActorPending | ActorCreated | ActorWorkerDied): ActorRow | undefined {
    const row = this.#live.get(by.actorId);
    return row?.incarnation === by.incarnation && row.nodeId === by.from ? row : undefined;
  }

  #placeAndPublish(row: ActorRow, out: Out): void {
    this.#place(row, out);
    if (row.state !== "DEAD") this.#publish(row, out);
  }

  #place(row: ActorRow, out: Out): void {
    assert(row.spec !== null, "an actor without its spec");
    const { placementResources, strategy } = row.spec;
    const choice = this.#nodes.pick(placementResources, strategy);
    if (choice.hopeless) {
      const error = engineError("ACTOR_UNSCHEDULABLE", `${row.title} ${choice.why}`, row.id);
      this.#bury(row, { error, cause: null }, out);
      return;
    }
    row.nodeId = choice.nodeId;
    if (row.nodeId === null) {
      row.setPending(choice.why, this.#nodes.size > 0);
      this.#placeless.add(row);
      return;
    }
    row.setPending("");
    this.#placeless.delete(row);
    const { spec, incarnation } = row;
    out.send(row.nodeId, { type: "createActor", from: gcsAddress, incarnation, spec });
  }

  #subscribe(row: ActorRow, subscriber: Address, out: Out): void {
    out.send(subscriber, row.toMessage());
    if (row.state === "DEAD") return;
    row.subscribers.add(subscriber);
    this.#bySubscriber.add(subscriber, row);
  }

  #publish(row: ActorRow, out: Out): void {
    row.version += 1;
    const message = row.toMessage();
    for (const subscriber of row.subscribers) out.send(subscriber, message);
  }

  #kill(row: ActorRow, reason: string, out: Out): void {
    const text = `actor ${row.title} died: ${reason || "killed by kill()"}`;
    this.#stopAndBury(row, died(row, text), out);
  }

  #stopAndBury(row: ActorRow, death: FailedCreation, out: Out, graceful = false): void {
    const { nodeId, id: actorId, incarnation } = row;
    if (nodeId !== null) {
      const stop = { type: "stopActorWorker", from: gcsAddress } as const;
      out.send(nodeId, { ...stop, actorId, incarnation, graceful });
    }
    this.#bury(row, death, out);
  }

  #bury(row: ActorRow, death: FailedCreation, out: Out): void {
    this.#names.release(row);
    this.#live.delete(row.id);
    this.#placeless.delete(row);
    this.#byOwner.remove(row.owner, row);
    row.state = "DEAD";
    row.death = death;
    row.workerId = null;
    row.setPending("");
    row.spec = null;
    this.#publish(row, out);
    for (const subscriber of row.subscribers) this.#bySubscriber.remove(subscriber, row);
    row.subscribers.clear();
    this.#dead.set(row.id, row);
    if (this.#dead.size <= this.#deadActorsMax) return;
    for (const oldest of this.#dead.keys()) {
      this.#dead.delete(oldest);
      break;
    }
  }

  #onUnmade(answer: ActorRegistered, expected: ExpectedActor | undefined, out: Out): void {
    this.#unmade.add(answer);
    for (const subscriber of expected?.subscribers ?? []) out.send(subscriber, answer);
  }

  #giveUpSurplus(out: Out): void {
    const surplus = this.#expected.takeSurplus();
    if (surplus !== undefined) this.#giveUp(surplus, out);
  }

  #giveUp(expected: ExpectedActor, out: Out): void {
    const message = goneState(expected.actorId);
    for (const subscriber of expected.subscribers) out.send(subscriber, message);
  }
}

function registered(
  requested: ActorId,
  { actorId, detached }: Pick<ActorRegistered, "actorId" | "detached">,
  error: EngineError | null = null,
): ActorRegistered {
  return { type: "actorRegistered", from: gcsAddress, requested, actorId, detached, error };
}
