/**
 * The messages that are rare, each by its fields in the order of the wire. A field that is missing
 * here is an error of the types; one that is moved changes the wire (see `wireVersion`).
 */
import type { ActorId, NodeId, WorkerId } from "#engine/common/ids.ts";
import type {
  ActorRegistration,
  ActorSpec,
  FailedCreation,
  GcsMessage,
  NodeState,
} from "#engine/protocol/gcs.ts";
import type { CancelMessage } from "#engine/protocol/cancel.ts";
import type { WaitQuestion } from "#engine/protocol/explain.ts";
import type { HoldId, HoldMessage, HoldToMake } from "#engine/protocol/hold.ts";
import type { Message } from "#engine/protocol/message.ts";
import type { WaitProbe, WaitStamp } from "#engine/protocol/probe.ts";
import { copyMessages, extentField, objectName } from "./copy-messages.ts";
import type { MessageFields } from "./field.ts";
import {
  anyNumber,
  bool,
  id,
  list,
  messageOf,
  nullable,
  nullableId,
  record,
  text,
  u16,
  u32,
  u48,
} from "./field.ts";
import { causeField, encodedField, outcomeField } from "./outcome-codec.ts";
import {
  descriptorField,
  errorField,
  heldRefsField,
  labelsField,
  lifeStateField,
  resourcesField,
  strategyField,
} from "./shared-fields.ts";
import { stateMessages } from "./state-messages.ts";

export type HotMessageType =
  | "pushTask"
  | "taskReply"
  | "takenBack"
  | "requestWorkerLease"
  | "leaseGranted"
  | "releaseLease"
  | "taskBlocked";

export type ColdMessage = Exclude<Message, { readonly type: HotMessageType }>;

const nodeId = id<NodeId>();
const workerId = id<WorkerId>();
const actorId = id<ActorId>();
const error = errorField;
const nullableError = nullable(errorField);

const waitStamp = record<WaitStamp>({ workerId, blockSeq: u48 });

const probe = record<WaitProbe>({
  owner: workerId,
  serial: u48,
  round: u32,
  yields: bool,
  path: list(waitStamp, 7),
  expected: list(waitStamp, 7),
  lines: list(text),
});

const question = record<WaitQuestion>({ asker: workerId, requestId: anyNumber, depth: u32, text });

const registration = record<ActorRegistration>({
  actorId,
  className: text,
  name: text,
  namespace: text,
  getIfExists: bool,
  detached: bool,
});

const failure = record<FailedCreation>({ error, cause: causeField });
const nullableFailure = nullable(failure);

const spec = record<ActorSpec>({
  actorId,
  descriptor: descriptorField,
  actorName: text,
  namespace: text,
  detached: bool,
  args: encodedField,
  values: nullable(list(outcomeField)),
  placementResources: resourcesField,
  runningResources: resourcesField,
  strategy: strategyField,
  maxConcurrency: anyNumber,
});

const nodeState = record<NodeState>({
  nodeId,
  totals: resourcesField,
  available: resourcesField,
  labels: labelsField,
});

const gcsMessages: MessageFields<GcsMessage> = {
  registerNode: messageOf("registerNode", {
    nodeId,
    address: text,
    hostname: text,
    isHead: bool,
    resources: resourcesField,
    labels: labelsField,
  }),
  heartbeat: messageOf("heartbeat", { seq: anyNumber, available: resourcesField }),
  heartbeatAck: messageOf("heartbeatAck", { seq: anyNumber, nodeIsDead: bool }),
  resourceView: messageOf("resourceView", { version: anyNumber, nodes: list(nodeState) }),
  nodeDied: messageOf("nodeDied", { nodeId, reason: text }),
  registerActor: messageOf("registerActor", { registration }),
  actorRegistered: messageOf("actorRegistered", {
    requested: actorId,
    actorId,
    detached: bool,
    error: nullableError,
  }),
  startActor: messageOf("startActor", { spec }),
  abandonActor: messageOf("abandonActor", { actorId, error: failure }),
  subscribeActor: messageOf("subscribeActor", { actorId }),
  actorState: messageOf("actorState", {
    actorId,
    version: anyNumber,
    state: lifeStateField,
    incarnation: anyNumber,
    workerId: nullableId<WorkerId>(),
    death: nullableFailure,
    pendingReason: text,
    infeasible: bool,
  }),
  createActor: messageOf("createActor", { incarnation: anyNumber, spec }),
  actorPending: messageOf("actorPending", {
    actorId,
    incarnation: anyNumber,
    reason: text,
    infeasible: bool,
  }),
  constructActor: messageOf("constructActor", {
    incarnation: anyNumber,
    gpuIds: list(anyNumber),
    spec,
  }),
  actorConstructed: messageOf("actorConstructed", {
    actorId,
    incarnation: anyNumber,
    failure: nullableFailure,
  }),
  actorCreated: messageOf("actorCreated", {
    actorId,
    incarnation: anyNumber,
    workerId: nullableId<WorkerId>(),
    failure: nullableFailure,
  }),
  actorWorkerDied: messageOf("actorWorkerDied", { actorId, incarnation: anyNumber, error }),
  stopActorWorker: messageOf("stopActorWorker", {
    actorId,
    incarnation: anyNumber,
    graceful: bool,
  }),
  actorOutOfScope: messageOf("actorOutOfScope", { actorId }),
  actorJoined: messageOf("actorJoined", { requested: actorId, actorId, detached: bool }),
  drainActor: messageOf("drainActor", { actorId, incarnation: anyNumber }),
  actorDrained: messageOf("actorDrained", { actorId, incarnation: anyNumber }),
  killActor: messageOf("killActor", { requestId: anyNumber, actorId, reason: text }),
  actorKilled: messageOf("actorKilled", { requestId: anyNumber }),
  getActorByName: messageOf("getActorByName", {
    requestId: anyNumber,
    name: text,
    namespace: text,
  }),
  actorByName: messageOf("actorByName", {
    requestId: anyNumber,
    actorId: nullableId<ActorId>(),
    className: text,
    detached: bool,
  }),
};

const holdToMake = record<HoldToMake>({ serial: u48, index: u16, hold: u48, holder: workerId });
const holdId = record<HoldId>({ maker: workerId, hold: u48 });
const holdNumbers = list(u48, 6);

const holdMessages: MessageFields<HoldMessage> = {
  createHolds: messageOf("createHolds", { holds: list(holdToMake, 15) }),
  holdsCreated: messageOf("holdsCreated", { created: holdNumbers, gone: holdNumbers }),
  confirmHolds: messageOf("confirmHolds", { holds: list(holdId, 7) }),
  abandonHolds: messageOf("abandonHolds", { holds: holdNumbers }),
  queryHolds: messageOf("queryHolds", { maker: workerId, error }),
  holdsQueried: messageOf("holdsQueried", { maker: workerId }),
};

const cancelMessages: MessageFields<CancelMessage> = {
  cancelTask: messageOf("cancelTask", { stream: u48, seq: u48, force: bool, recursive: bool }),
  taskStarted: messageOf("taskStarted", { stream: u48, seq: u48 }),
  cancelObject: messageOf("cancelObject", {
    requestId: anyNumber,
    object: objectName,
    force: bool,
    recursive: bool,
  }),
  cancelTaken: messageOf("cancelTaken", { requestId: anyNumber, refused: bool }),
  stopLeasedWorker: messageOf("stopLeasedWorker", { leaseId: u48, reason: text }),
  doomLease: messageOf("doomLease", { owner: workerId }),
  doomedEnded: messageOf("doomedEnded", { owner: workerId }),
};

export const coldMessages: MessageFields<ColdMessage> = {
  askBuffers: messageOf("askBuffers", { stream: u48, seq: u48 }),
  buffersCopied: messageOf("buffersCopied", {
    stream: u48,
    seq: u48,
    object: objectName,
    outcome: outcomeField,
  }),
  leasePending: messageOf("leasePending", { leaseId: u48, reason: text, infeasible: bool }),
  leaseSpilled: messageOf("leaseSpilled", { leaseId: u48, nodeId }),
  leaseRefused: messageOf("leaseRefused", { leaseId: u48, error }),
  leaseRevoked: messageOf("leaseRevoked", { leaseId: u48, error }),
  leaseDemand: messageOf("leaseDemand", { version: anyNumber, waiting: bool }),
  workerDied: messageOf("workerDied", { workerId, error }),
  watchWorker: messageOf("watchWorker", { workerId }),
  subscribeObject: messageOf("subscribeObject", { object: objectName }),
  objectState: messageOf("objectState", {
    object: objectName,
    outcome: outcomeField,
    holds: nullable(heldRefsField),
  }),
  releaseHolds: messageOf("releaseHolds", { objects: list(objectName, 8) }),
  allocateArena: messageOf("allocateArena", {
    requestId: anyNumber,
    size: anyNumber,
    mayWait: bool,
  }),
  arenaAllocated: messageOf("arenaAllocated", {
    requestId: anyNumber,
    segment: anyNumber,
    offset: anyNumber,
    error: nullableError,
  }),
  freeArena: messageOf("freeArena", { extents: list(extentField, 16) }),
  arenaGiven: messageOf("arenaGiven", { to: workerId, extents: list(extentField, 16) }),
  askArenaUse: messageOf("askArenaUse", { of: workerId }),
  arenaInUse: messageOf("arenaInUse", { of: workerId, extents: list(extentField, 16) }),
  probeObject: messageOf("probeObject", { object: objectName, probe }),
  probeTask: messageOf("probeTask", { serial: u48, stream: u48, seq: u48, probe }),
  explainObject: messageOf("explainObject", { object: objectName, question }),
  explainTask: messageOf("explainTask", { serial: u48, stream: u48, seq: u48, question }),
  explainPull: messageOf("explainPull", { requestId: u48, pullId: u48 }),
  pullExplained: messageOf("pullExplained", { requestId: u48, text }),
  explained: messageOf("explained", { requestId: anyNumber, depth: u32, text, isLast: bool }),
  ...copyMessages,
  ...stateMessages,
  ...holdMessages,
  ...gcsMessages,
  ...cancelMessages,
};
