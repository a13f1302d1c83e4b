/** Messages of the control plane: nodes and the life of actors. */
import type { ActorId, Address, NodeId, WorkerId } from "#engine/common/ids.ts";
import type { EngineError } from "#engine/common/error-type.ts";
import type { FunctionDescriptor } from "#engine/common/function-descriptor.ts";
import type { ResourceRequest } from "#engine/common/resources.ts";
import type { SchedulingStrategy } from "#engine/common/task-spec.ts";
import type { Encoded, InlineValue, Outcome } from "./outcome.ts";

export type ActorLifeState =
  | "DEPENDENCIES_UNREADY"
  | "PENDING_CREATION"
  | "ALIVE"
  | "RESTARTING"
  | "DEAD";

/** raylet → GCS, first message of a node. */
export interface RegisterNode {
  readonly type: "registerNode";
  readonly from: Address;
  readonly nodeId: NodeId;
  readonly address: string;
  readonly hostname: string;
  /** The GCS lives in its process. */
  readonly isHead: boolean;
  readonly resources: ResourceRequest;
  readonly labels: ReadonlyMap<string, string>;
}

/** raylet → GCS: the node lives, and what it has free. The latest seq counts. */
export interface Heartbeat {
  readonly type: "heartbeat";
  readonly from: Address;
  readonly seq: number;
  /** In fixed point; CPU may be below 0 for a while. */
  readonly available: ResourceRequest;
}

/** GCS → raylet. `nodeIsDead`: the cluster has given the node up, so all of it must end. */
export interface HeartbeatAck {
  readonly type: "heartbeatAck";
  readonly from: Address;
  readonly seq: number;
  readonly nodeIsDead: boolean;
}

/** A living node as the GCS knows it. */
export interface NodeState {
  readonly nodeId: NodeId;
  readonly totals: ResourceRequest;
  readonly available: ResourceRequest;
  readonly labels: ReadonlyMap<string, string>;
}

/** GCS → every raylet: all living nodes, in the order they joined. The latest version counts. */
export interface ResourceView {
  readonly type: "resourceView";
  readonly from: Address;
  readonly version: number;
  readonly nodes: readonly NodeState[];
}

/** GCS → every raylet → every process of its node: final; its workers have ended too. */
export interface NodeDied {
  readonly type: "nodeDied";
  readonly from: Address;
  readonly nodeId: NodeId;
  readonly reason: string;
}

/** What the GCS keeps of an actor's options. */
export interface ActorRegistration {
  readonly actorId: ActorId;
  readonly className: string;
  readonly name: string;
  readonly namespace: string;
  readonly getIfExists: boolean;
  readonly detached: boolean;
}

/** owner → GCS: reserves the name. Key: actorId. */
export interface RegisterActor {
  readonly type: "registerActor";
  readonly from: Address;
  readonly registration: ActorRegistration;
}

/**
 * GCS → owner, and who subscribed to one that was never made. `actorId` differs from `requested`
 * when getIfExists found another.
 */
export interface ActorRegistered {
  readonly type: "actorRegistered";
  readonly from: Address;
  readonly requested: ActorId;
  readonly actorId: ActorId;
  readonly detached: boolean;
  readonly error: EngineError | null;
}

export interface ActorSpec {
  readonly actorId: ActorId;
  readonly descriptor: FunctionDescriptor;
  readonly actorName: string;
  readonly namespace: string;
  readonly detached: boolean;
  readonly args: Encoded;
  /** As in pushTask: values of top-level refs among the constructor's arguments. */
  readonly values: readonly Outcome[] | null;
  /**
   * Needed for placement; given back once the actor runs, unless `runningResources` say otherwise.
   */
  readonly placementResources: ResourceRequest;
  readonly runningResources: ResourceRequest;
  readonly strategy: SchedulingStrategy;
  /** 0: as the class says (1, or 1000 with an async method). */
  readonly maxConcurrency: number;
}

/** owner → GCS: the constructor's arguments are there. Key: actorId. */
export interface StartActor {
  readonly type: "startActor";
  readonly from: Address;
  readonly spec: ActorSpec;
}

/** owner → GCS: an argument of the constructor failed. Key: actorId. */
export interface AbandonActor {
  readonly type: "abandonActor";
  readonly from: Address;
  readonly actorId: ActorId;
  readonly error: FailedCreation;
}

/** Why there will be no instance: the engine's reason, and the user's error when there is one. */
export interface FailedCreation {
  readonly error: EngineError;
  readonly cause: InlineValue | null;
}

/** anyone → GCS: tell me the actor's state now and at each change. */
export interface SubscribeActor {
  readonly type: "subscribeActor";
  readonly from: Address;
  readonly actorId: ActorId;
}

/** GCS → subscriber; latest version wins. */
export interface ActorState {
  readonly type: "actorState";
  readonly from: Address;
  readonly actorId: ActorId;
  readonly version: number;
  readonly state: ActorLifeState;
  readonly incarnation: number;
  /** Where it runs; null unless ALIVE. */
  readonly workerId: WorkerId | null;
  /** Set when DEAD. */
  readonly death: FailedCreation | null;
  /** While it waits for a place. */
  readonly pendingReason: string;
  /** No node could ever have it, as the nodes are now. */
  readonly infeasible: boolean;
}

/** GCS → raylet. Key: (actorId, incarnation). */
export interface CreateActor {
  readonly type: "createActor";
  readonly from: Address;
  readonly incarnation: number;
  readonly spec: ActorSpec;
}

/** raylet → GCS: it waits for a place, and why. */
export interface ActorPending {
  readonly type: "actorPending";
  readonly from: Address;
  readonly actorId: ActorId;
  readonly incarnation: number;
  readonly reason: string;
  readonly infeasible: boolean;
}

/** raylet → worker: run the constructor. */
export interface ConstructActor {
  readonly type: "constructActor";
  readonly from: Address;
  readonly incarnation: number;
  /** Its own for life, by number. */
  readonly gpuIds: readonly number[];
  readonly spec: ActorSpec;
}

/** worker → raylet: the constructor has ended. */
export interface ActorConstructed {
  readonly type: "actorConstructed";
  readonly from: Address;
  readonly actorId: ActorId;
  readonly incarnation: number;
  readonly failure: FailedCreation | null;
}

/** raylet → GCS: the instance is there, or will not be. */
export interface ActorCreated {
  readonly type: "actorCreated";
  readonly from: Address;
  readonly actorId: ActorId;
  readonly incarnation: number;
  readonly workerId: WorkerId | null;
  readonly failure: FailedCreation | null;
}

/** raylet → GCS: the actor's thread has ended. */
export interface ActorWorkerDied {
  readonly type: "actorWorkerDied";
  readonly from: Address;
  readonly actorId: ActorId;
  readonly incarnation: number;
  readonly error: EngineError;
}

/** GCS → raylet. Key: (actorId, incarnation). `graceful`: not while others count on its thread. */
export interface StopActorWorker {
  readonly type: "stopActorWorker";
  readonly from: Address;
  readonly actorId: ActorId;
  readonly incarnation: number;
  readonly graceful: boolean;
}

/**
 * owner → GCS: nobody has a handle to the actor any more. Also from one that its owner has told so.
 * Key: actorId.
 */
export interface ActorOutOfScope {
  readonly type: "actorOutOfScope";
  readonly from: Address;
  readonly actorId: ActorId;
}

/**
 * owner → GCS: getIfExists found that one, and we have a handle to it now, which nobody needs for
 * one that is detached. From now on `requested` stands for it. Key: requested.
 */
export interface ActorJoined {
  readonly type: "actorJoined";
  readonly from: Address;
  readonly requested: ActorId;
  readonly actorId: ActorId;
  readonly detached: boolean;
}

/** raylet → worker: your actor is done; say when nobody counts on this process. Key: actorId. */
export interface DrainActor {
  readonly type: "drainActor";
  readonly from: Address;
  readonly actorId: ActorId;
  readonly incarnation: number;
}

/** worker → raylet: nobody does. Key: (actorId, incarnation). */
export interface ActorDrained {
  readonly type: "actorDrained";
  readonly from: Address;
  readonly actorId: ActorId;
  readonly incarnation: number;
}

/** anyone → GCS. Key: requestId of the sender. */
export interface KillActor {
  readonly type: "killActor";
  readonly from: Address;
  readonly requestId: number;
  readonly actorId: ActorId;
  /** Who ended it, for the error of its callers. */
  readonly reason: string;
}

/** GCS → the sender of killActor. */
export interface ActorKilled {
  readonly type: "actorKilled";
  readonly from: Address;
  readonly requestId: number;
}

/** anyone → GCS; a read. */
export interface GetActorByName {
  readonly type: "getActorByName";
  readonly from: Address;
  readonly requestId: number;
  readonly name: string;
  readonly namespace: string;
}

/** GCS → reader; null when no live actor has the name. */
export interface ActorByName {
  readonly type: "actorByName";
  readonly from: Address;
  readonly requestId: number;
  readonly actorId: ActorId | null;
  readonly className: string;
  readonly detached: boolean;
}

export type GcsMessage =
  | RegisterNode
  | Heartbeat
  | HeartbeatAck
  | ResourceView
  | NodeDied
  | RegisterActor
  | ActorRegistered
  | StartActor
  | AbandonActor
  | SubscribeActor
  | ActorState
  | CreateActor
  | ActorPending
  | ConstructActor
  | ActorConstructed
  | ActorCreated
  | ActorWorkerDied
  | StopActorWorker
  | ActorOutOfScope
  | ActorJoined
  | DrainActor
  | ActorDrained
  | KillActor
  | ActorKilled
  | GetActorByName
  | ActorByName;
