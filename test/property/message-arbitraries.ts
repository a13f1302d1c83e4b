/** Arbitrary messages of every type, as odd as the types allow. */
import fc from "fast-check";
import type { EngineError, ErrorType } from "#engine/common/error-type.ts";
import type { FunctionDescriptor } from "#engine/common/function-descriptor.ts";
import type { Address, NodeId, WorkerId } from "#engine/common/ids.ts";
import { actorIndex, nodeIdOf } from "#engine/common/ids.ts";
import type { FunctionDefinition, SchedulingStrategy } from "#engine/common/task-spec.ts";
import { FrameBytes } from "#engine/protocol/arena.ts";
import type { CopyName, OwnedCopy, PullPriority, SealedObject } from "#engine/protocol/copy.ts";
import type { ArenaExtent } from "#engine/protocol/object.ts";
import type {
  ActorLifeState,
  ActorRegistration,
  ActorSpec,
  FailedCreation,
} from "#engine/protocol/gcs.ts";
import type { Message, MessageType } from "#engine/protocol/message.ts";
import { messageNumbers } from "#engine/protocol/codec/codec.ts";
import { FailedValue, InlineValue, StoredValue } from "#engine/protocol/outcome.ts";
import type { WaitQuestion } from "#engine/protocol/explain.ts";
import type { WaitProbe } from "#engine/protocol/probe.ts";
import type {
  ActorListing,
  ClusterRows,
  NodeListing,
  ObjectRow,
  ReferenceType,
  StateRows,
  StoreRow,
  TaskRow,
  WorkerRow,
} from "#engine/protocol/state.ts";
import type { Encoded, Outcome, Special } from "#engine/protocol/outcome.ts";
import {
  actorId,
  addresses,
  anyNumber,
  type Arb,
  count,
  few,
  nodeId,
  of,
  orNull,
  type Shape,
  strings,
  u16,
  u32,
  u48,
  workerId,
} from "./message-parts.ts";

export { addresses, strings } from "./message-parts.ts";

const errorType = fc.constantFrom<ErrorType>(
  "TASK_ERROR",
  "GET_TIMEOUT",
  "ACTOR_DIED",
  "OBJECT_RECONSTRUCTION_FAILED",
);
const error = of<EngineError>({
  type: errorType,
  message: strings,
  subject: strings,
  detail: strings,
});
const descriptor = of<FunctionDescriptor>({
  moduleUrl: strings,
  ordinal: anyNumber,
  name: strings,
  kind: fc.constantFrom("function", "class"),
  parameterCount: count,
  sourceHash: anyNumber,
  displayName: strings,
});
const resources = few(fc.tuple(strings, anyNumber)).map((entries) => new Map(entries));
const labels = few(fc.tuple(strings, strings)).map((entries) => new Map(entries));
const strategy: Arb<SchedulingStrategy> = fc.oneof(
  fc.constant({ type: "default" as const }),
  fc.constant({ type: "spread" as const }),
  of({ type: fc.constant("nodeAffinity" as const), nodeId, soft: fc.boolean() }),
  of({ type: fc.constant("nodeLabels" as const), hard: labels, soft: labels }),
);
const definition = of<FunctionDefinition>({
  descriptor: orNull(descriptor),
  method: strings,
  taskName: strings,
  numReturns: anyNumber,
  resources,
  timeoutMs: anyNumber,
});

/** Of the sender's own refs there are many: their owner is written in another way. */
const refTo = (owner: Arb<WorkerId>): Arb<Special> =>
  of({ type: fc.constant("ref"), owner, serial: u48, index: u16, topLevel: fc.boolean() });

const specialOf = (from: Address, depth: number): Arb<Special> =>
  fc.oneof(
    refTo(fc.oneof(workerId, fc.constant(from as WorkerId))),
    of({
      type: fc.constant("actor"),
      owner: fc.oneof(workerId, fc.constant(from as WorkerId)),
      serial: u48,
      index: fc.constant(actorIndex),
      className: strings,
      isDetached: fc.boolean(),
    }),
    ...(depth === 0
      ? []
      : [of({ type: fc.constant("function"), descriptor, options: inlineOf(from, depth - 1) })]),
  );

const inlineOf = (from: Address, depth: number): Arb<InlineValue> =>
  fc
    .tuple(fc.uint8Array({ maxLength: 90 }), fc.nat(90), fc.nat(90), few(specialOf(from, depth)))
    .map(([bytes, skip, cut, specials]) => {
      const start = Math.min(skip, bytes.length);
      return new InlineValue(bytes, start, Math.min(cut, bytes.length - start), specials);
    });

/** The sender's own node takes one byte. */
const homeOf = (from: Address): Arb<[NodeId, number]> =>
  fc.tuple(fc.oneof(fc.constant(nodeIdOf(from as WorkerId)), nodeId), count);

const encodedOf = (from: Address): Arb<Encoded> =>
  fc.oneof(
    inlineOf(from, 2),
    fc
      .tuple(u32, u48, u48, few(specialOf(from, 1)), homeOf(from))
      .map(([segment, offset, size, specials, [node, version]]) => {
        return new StoredValue(segment, offset, size, specials, node, version);
      }),
  );

const outcomeOf = (from: Address): Arb<Outcome> =>
  fc.oneof(
    fc.constantFrom(undefined, null, true, false, 0, -0, NaN, Infinity, 2 ** 31, -(2 ** 31)),
    anyNumber,
    strings,
    encodedOf(from),
    fc.tuple(error, orNull(inlineOf(from, 2))).map(([e, cause]) => new FailedValue(e, cause)),
  );

const objectName = of({ serial: u48, index: u16 });
const heldRef = of({ owner: workerId, serial: u48, index: u16, hold: u48 });
const waitStamps = few(of({ workerId, blockSeq: u48 }));
const question = of<WaitQuestion>({
  asker: workerId,
  requestId: count,
  depth: u32,
  text: strings,
});
const probe = of<WaitProbe>({
  owner: workerId,
  serial: u48,
  round: u32,
  yields: fc.boolean(),
  path: waitStamps,
  expected: waitStamps,
  lines: few(strings),
});
const objectRow = of<ObjectRow>({
  owner: workerId,
  serial: u48,
  index: u16,
  workerId,
  sizeBytes: count,
  referenceType: fc.constantFrom<ReferenceType>("LOCAL_REFERENCE", "ACTOR_HANDLE"),
  hasValue: fc.boolean(),
  isSpilled: fc.boolean(),
  pendingReason: strings,
  callSite: strings,
});
const taskRow = of<TaskRow>({
  owner: workerId,
  serial: u48,
  name: strings,
  state: fc.constantFrom<TaskRow["state"]>("PENDING_ARGS_AVAIL", "RUNNING_IN_WAIT", "FAILED"),
  attempt: u32,
  actorId: orNull(actorId),
  workerId: orNull(workerId),
  resources,
  pendingReason: strings,
  errorMessage: strings,
});
const storeRow = of<StoreRow>({
  nodeId,
  capacityBytes: count,
  usedBytes: count,
  overflowBytes: count,
  spilledObjects: count,
  spilledBytes: count,
  fallbackObjects: count,
  fallbackBytes: count,
  restoredObjects: count,
  restoredBytes: count,
  spillFiles: count,
});
const stateRows = of<StateRows>({
  objects: few(objectRow),
  tasks: few(taskRow),
  workers: few(of<WorkerRow>({ workerId, isAlive: fc.boolean(), pendingReason: strings })),
  stores: few(storeRow),
});
const lifeStates = fc.constantFrom<ActorLifeState>("DEPENDENCIES_UNREADY", "ALIVE", "DEAD");
const actorListing = of<ActorListing>({
  actorId,
  className: strings,
  name: strings,
  namespace: strings,
  state: lifeStates,
  restartCount: count,
  nodeId: orNull(nodeId),
  workerId: orNull(workerId),
  deathCause: strings,
  pendingReason: strings,
});
const nodeListing = of<NodeListing>({
  nodeId,
  isAlive: fc.boolean(),
  isHead: fc.boolean(),
  address: strings,
  hostname: strings,
  resources,
  labels,
  deathReason: strings,
});
const clusterRows = of<ClusterRows>({ actors: few(actorListing), nodes: few(nodeListing) });
const listedKind = fc.constantFrom(
  "objects" as const,
  "tasks" as const,
  "workers" as const,
  "stores" as const,
);
const copy = of<CopyName>({ serial: u48, index: u16, version: u32 });
const extent = of<ArenaExtent>({ segment: u32, offset: u48, size: u48 });
const ownedCopy = of<OwnedCopy>({ owner: workerId, serial: u48, index: u16, version: u32 });
const sealed = of<SealedObject>({
  owner: workerId,
  serial: u48,
  index: u16,
  version: u32,
  extent,
});
const chunkBytes = fc.tuple(fc.uint8Array({ maxLength: 90 }), fc.nat(90)).map(([bytes, skip]) => {
  const start = Math.min(skip, bytes.length);
  return new FrameBytes(bytes, start, bytes.length - start);
});
const registration = of<ActorRegistration>({
  actorId,
  className: strings,
  name: strings,
  namespace: strings,
  getIfExists: fc.boolean(),
  detached: fc.boolean(),
});

const failureOf = (from: Address): Arb<FailedCreation> =>
  of<FailedCreation>({ error, cause: orNull(inlineOf(from, 2)) });

const specOf = (from: Address): Arb<ActorSpec> =>
  of<ActorSpec>({
    actorId,
    descriptor,
    actorName: strings,
    namespace: strings,
    detached: fc.boolean(),
    args: encodedOf(from),
    values: orNull(few(outcomeOf(from))),
    placementResources: resources,
    runningResources: resources,
    strategy,
    maxConcurrency: anyNumber,
  });

type FieldsOf<T extends MessageType> = Omit<Extract<Message, { type: T }>, "type" | "from">;
type AllFields = { [T in MessageType]: Shape<FieldsOf<T>> };

function fieldsFrom(from: Address): AllFields {
  const spec = specOf(from);
  const failure = failureOf(from);
  const outcome = outcomeOf(from);
  const incarnation = count;
  return {
    pushTask: {
      stream: u48,
      seq: u48,
      serial: u48,
      attempt: u32,
      depth: u32,
      functionNumber: u32,
      definition: orNull(definition),
      args: encodedOf(from),
      values: orNull(few(outcome)),
      gpuIds: orNull(few(count)),
      holds: orNull(few(heldRef)),
      hasBuffers: fc.boolean(),
    },
    askBuffers: { stream: u48, seq: u48 },
    buffersCopied: { stream: u48, seq: u48, object: objectName, outcome },
    taskReply: {
      stream: u48,
      seq: u48,
      durationMs: anyNumber,
      outcome,
      outcomes: orNull(few(outcome)),
      keptRefs: orNull(few(objectName)),
      holds: orNull(few(heldRef)),
    },
    takenBack: { stream: u48, seqs: few(u48) },
    listState: { requestId: count, kind: listedKind, limit: u32 },
    collectState: { requestId: count, kind: listedKind, limit: u32 },
    stateCollected: { requestId: count, rows: stateRows, isLast: fc.boolean(), note: strings },
    askStore: { requestId: count },
    storeTold: { requestId: count, store: storeRow },
    stateListed: {
      requestId: count,
      rows: stateRows,
      isLast: fc.boolean(),
      missing: few(strings),
    },
    listCluster: {
      requestId: count,
      kind: fc.constantFrom("actors" as const, "nodes" as const),
      limit: u32,
    },
    clusterListed: { requestId: count, rows: clusterRows, isLast: fc.boolean() },
    probeObject: { object: objectName, probe },
    probeTask: { serial: u48, stream: u48, seq: u48, probe },
    explainObject: { object: objectName, question },
    explainTask: { serial: u48, stream: u48, seq: u48, question },
    explainPull: { requestId: u48, pullId: u48 },
    pullExplained: { requestId: u48, text: strings },
    explained: { requestId: count, depth: u32, text: strings, isLast: fc.boolean() },
    requestWorkerLease: {
      leaseId: u48,
      taskName: strings,
      resources,
      strategy,
      depth: u32,
      noSpill: fc.boolean(),
      isRetriable: fc.boolean(),
    },
    leaseSpilled: { leaseId: u48, nodeId },
    leaseGranted: { leaseId: u48, workerId, gpuIds: few(count) },
    leasePending: { leaseId: u48, reason: strings, infeasible: fc.boolean() },
    leaseRefused: { leaseId: u48, error },
    releaseLease: { leaseId: u48 },
    leaseRevoked: { leaseId: u48, error },
    leaseDemand: { version: count, waiting: fc.boolean() },
    taskBlocked: { owner: workerId, leaseId: u48, blockSeq: u48, blocked: fc.boolean() },
    workerDied: { workerId, error },
    watchWorker: { workerId },
    subscribeObject: { object: objectName },
    objectState: { object: objectName, outcome, holds: orNull(few(heldRef)) },
    releaseHolds: { objects: few(objectName) },
    createHolds: {
      holds: few(of({ serial: u48, index: u16, hold: u48, holder: workerId })),
    },
    holdsCreated: { created: few(u48), gone: few(u48) },
    confirmHolds: { holds: few(of({ maker: workerId, hold: u48 })) },
    abandonHolds: { holds: few(u48) },
    queryHolds: { maker: workerId, error },
    holdsQueried: { maker: workerId },
    allocateArena: { requestId: count, size: count, mayWait: fc.boolean() },
    arenaAllocated: { requestId: count, segment: count, offset: count, error: orNull(error) },
    freeArena: { extents: few(extent) },
    arenaGiven: { to: workerId, extents: few(extent) },
    askArenaUse: { of: workerId },
    arenaInUse: { of: workerId, extents: few(extent) },
    registerNode: {
      nodeId,
      address: strings,
      hostname: strings,
      isHead: fc.boolean(),
      resources,
      labels,
    },
    objectSealed: { requestId: u48, objects: few(sealed) },
    offerObjects: { bytes: u48 },
    objectsOffered: { requestId: u48, objects: few(sealed), told: few(sealed) },
    revokePlaces: { requestId: u48, objects: few(ownedCopy) },
    placesRevoked: { requestId: u48, objects: few(ownedCopy) },
    objectWritten: {
      requestId: u48,
      ...{ serial: u48, index: u16, version: u32 },
      place: of({
        file: u48,
        offset: u48,
        size: u48,
        checksums: few(fc.maxSafeNat()),
      }),
    },
    objectsKept: { requestId: u48 },
    pullObject: {
      requestId: u48,
      owner: workerId,
      object: objectName,
      priority: fc.constantFrom<PullPriority>(0, 1, 2),
    },
    objectLocal: { requestId: u48, outcome },
    unpinObjects: { requestIds: few(u48) },
    locateObject: { object: objectName },
    objectLocations: { object: objectName, nodes: few(nodeId), outcome },
    copyAdded: { copy, arrival: u48 },
    copyGone: { copy, nodeId, lastArrival: u48, cause: strings },
    pinCopy: { copy },
    copyPinned: { copy, isHere: fc.boolean() },
    freeObjects: { objects: few(copy) },
    segmentFreed: { segment: u32 },
    pullChunk: { requestId: u48, owner: workerId, copy, offset: u48, size: u48 },
    chunk: { requestId: u48, bytes: chunkBytes },
    notHere: { requestId: u48, lastArrival: u48 },
    heartbeat: { seq: count, available: resources },
    heartbeatAck: { seq: count, nodeIsDead: fc.boolean() },
    resourceView: {
      version: count,
      nodes: few(of({ nodeId, totals: resources, available: resources, labels })),
    },
    nodeDied: { nodeId, reason: strings },
    registerActor: { registration },
    actorRegistered: {
      requested: actorId,
      actorId,
      detached: fc.boolean(),
      error: orNull(error),
    },
    startActor: { spec },
    abandonActor: { actorId, error: failure },
    subscribeActor: { actorId },
    actorState: {
      actorId,
      version: count,
      state: lifeStates,
      incarnation,
      workerId: orNull(workerId),
      death: orNull(failure),
      pendingReason: strings,
      infeasible: fc.boolean(),
    },
    createActor: { incarnation, spec },
    actorPending: { actorId, incarnation, reason: strings, infeasible: fc.boolean() },
    constructActor: { incarnation, gpuIds: few(count), spec },
    actorConstructed: { actorId, incarnation, failure: orNull(failure) },
    actorCreated: { actorId, incarnation, workerId: orNull(workerId), failure: orNull(failure) },
    actorWorkerDied: { actorId, incarnation, error },
    stopActorWorker: { actorId, incarnation, graceful: fc.boolean() },
    actorOutOfScope: { actorId },
    actorJoined: { requested: actorId, actorId, detached: fc.boolean() },
    drainActor: { actorId, incarnation },
    actorDrained: { actorId, incarnation },
    killActor: { requestId: count, actorId, reason: strings },
    actorKilled: { requestId: count },
    getActorByName: { requestId: count, name: strings, namespace: strings },
    actorByName: {
      requestId: count,
      actorId: orNull(actorId),
      className: strings,
      detached: fc.boolean(),
    },
    cancelTask: { stream: u48, seq: u48, force: fc.boolean(), recursive: fc.boolean() },
    taskStarted: { stream: u48, seq: u48 },
    cancelObject: {
      requestId: count,
      object: objectName,
      force: fc.boolean(),
      recursive: fc.boolean(),
    },
    cancelTaken: { requestId: count, refused: fc.boolean() },
    stopLeasedWorker: { leaseId: u48, reason: strings },
    doomLease: { owner: workerId },
    doomedEnded: { owner: workerId },
  };
}

export const messageTypes = Object.keys(messageNumbers) as MessageType[];

export function messagesOf(type: MessageType): Arb<Message> {
  return addresses.chain((from) =>
    of<object>({ type: fc.constant(type), from: fc.constant(from), ...fieldsFrom(from)[type] }),
  ) as Arb<Message>;
}

export const messages: Arb<Message> = fc.constantFrom(...messageTypes).chain(messagesOf);
