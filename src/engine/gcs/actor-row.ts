/** What the GCS knows of one actor, from registration until it is forgotten. */
import { engineError } from "#engine/common/error-type.ts";
import { gcsAddress } from "#engine/common/ids.ts";
import type { ActorId, Address, NodeId, WorkerId } from "#engine/common/ids.ts";
import type {
  ActorLifeState,
  ActorRegistration,
  ActorSpec,
  ActorState,
  FailedCreation,
} from "#engine/protocol/gcs.ts";
import type { ActorListing } from "#engine/protocol/state.ts";
import { ownFailure } from "#engine/protocol/own-value.ts";

export class ActorRow {
  readonly registration: ActorRegistration;
  readonly owner: WorkerId;
  state: ActorLifeState = "DEPENDENCIES_UNREADY";
  /** Rises with every change that subscribers are told. */
  version = 1;
  incarnation = 0;
  /** Kept from startActor until it is dead. */
  spec: ActorSpec | null = null;
  nodeId: NodeId | null = null;
  workerId: WorkerId | null = null;
  death: FailedCreation | null = null;
  /** It ended because nobody had a handle to it. */
  isOutOfScope = false;
  pendingReason = "";
  infeasible = false;
  /** None once it is dead: nothing will change. */
  readonly subscribers = new Set<Address>();

  constructor(registration: ActorRegistration, owner: WorkerId) {
    this.registration = registration;
    this.owner = owner;
  }

  get id(): ActorId {
    return this.registration.actorId;
  }

  /** `Counter`, or `Counter "name"`. */
  get title(): string {
    const { className, name } = this.registration;
    return name === "" ? className : `${className} ${JSON.stringify(name)}`;
  }

  /** Why it has no place yet; "" once it has one. */
  setPending(reason: string, infeasible = false): void {
    this.pendingReason = reason;
    this.infeasible = infeasible;
  }

  toListing(): ActorListing {
    const { id: actorId, registration, state, incarnation, death, pendingReason } = this;
    const { className, name, namespace } = registration;
    return {
      actorId,
      className,
      name,
      namespace,
      state,
      restartCount: incarnation,
      nodeId: this.nodeId,
      workerId: this.workerId,
      deathCause: death?.error.message ?? "",
      pendingReason,
    };
  }

  toMessage(): ActorState {
    const { version, state, incarnation, workerId, death, pendingReason, infeasible } = this;
    const place = { incarnation, workerId, pendingReason, infeasible };
    return stateMessage({ actorId: this.id, version, state, death, ...place });
  }
}

export function died(row: ActorRow, text: string): FailedCreation {
  return { error: engineError("ACTOR_DIED", text, row.id), cause: null };
}

/**
 * The user's error becomes the cause of the actor's death; the engine's reasons stay as they are.
 */
export function creationFailure(row: ActorRow, failure: FailedCreation): FailedCreation {
  const { error, cause } = ownFailure(failure);
  if (error.type !== "TASK_ERROR") return { error: { ...error, subject: row.id }, cause };
  const text = `the constructor of ${row.registration.className} threw: ${error.message}`;
  return { error: engineError("ACTOR_DIED", text, row.id), cause };
}

/** What a subscriber hears at first of an actor that is not registered yet. */
export function expectedState(actorId: ActorId): ActorState {
  return stateMessage({
    actorId,
    version: 0,
    state: "DEPENDENCIES_UNREADY",
    incarnation: 0,
    workerId: null,
    death: null,
    pendingReason: "waits for its maker to register it",
    infeasible: false,
  });
}

/** What it hears when there is no use in waiting. */
export function goneState(actorId: ActorId): ActorState {
  const text = `actor ${actorId} was never registered or is long gone`;
  const death = { error: engineError("ACTOR_DIED", text, actorId), cause: null };
  return { ...expectedState(actorId), version: 1, state: "DEAD", death, pendingReason: "" };
}

function stateMessage(fields: Omit<ActorState, "type" | "from">): ActorState {
  return { type: "actorState", from: gcsAddress, ...fields };
}
