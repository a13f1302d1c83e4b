/**
 * One frame of every message, byte for byte. A failure here means that the wire has changed: raise
 * `wireVersion` in src/engine/protocol/codec/codec.ts, then write the new bytes down.
 */
import { describe, expect, it } from "vitest";
import type { ActorId, NodeId, WorkerId } from "#engine/common/ids.ts";
import { actorIndex, gcsAddress } from "#engine/common/ids.ts";
import {
  FrameWriter,
  encodeMessage,
  messageNumbers,
  wireVersion,
} from "#engine/protocol/codec/codec.ts";
import { FrameBytes } from "#engine/protocol/arena.ts";
import type { ActorSpec } from "#engine/protocol/gcs.ts";
import type { Message, MessageType } from "#engine/protocol/message.ts";
import type { Special } from "#engine/protocol/outcome.ts";
import { FailedValue, InlineValue, StoredValue, noSpecials } from "#engine/protocol/outcome.ts";
import type { WaitProbe } from "#engine/protocol/probe.ts";
import {
  type ActorListing,
  type NodeListing,
  noStateRows,
  type ObjectRow,
  type TaskRow,
} from "#engine/protocol/state.ts";
import { golden } from "./golden-bytes.ts";

const nodeId = "00112233445566778899aabbccddeeff" as NodeId;
const farNode = "ffeeddccbbaa99887766554433221100" as NodeId;
const workerId = `${nodeId}00000001` as WorkerId;
const otherId = `${nodeId}00000002` as WorkerId;
const actorId = `${workerId}000000000005` as ActorId;

const descriptor = {
  moduleUrl: "file:///a.js",
  ordinal: 1,
  name: "",
  kind: "function",
  parameterCount: 2,
  sourceHash: 300,
  displayName: "sum",
} as const;
const error = {
  type: "WORKER_CRASHED",
  message: "exit 1",
  subject: "ab",
  detail: "",
} as const;
const resources = new Map([["CPU", 10_000]]);
const value = new InlineValue(Uint8Array.of(9, 1, 2, 3, 9), 1, 3, noSpecials);
const stored = new StoredValue(1, 64, 4096, noSpecials);
const specials: readonly Special[] = [
  { type: "ref", owner: workerId, serial: 7, index: 1, topLevel: true },
  { type: "ref", owner: otherId, serial: 2 ** 40, index: 0, topLevel: false },
  {
    type: "actor",
    owner: otherId,
    serial: 5,
    index: actorIndex,
    className: "Counter",
    isDetached: true,
  },
  { type: "function", descriptor, options: value },
];
const spec: ActorSpec = {
  actorId,
  descriptor: { ...descriptor, kind: "class", name: "counter" },
  actorName: "c",
  namespace: "",
  detached: true,
  args: value,
  values: null,
  placementResources: resources,
  runningResources: new Map(),
  strategy: { type: "nodeAffinity", nodeId, soft: true },
  maxConcurrency: Infinity,
};
const failure = { error, cause: null };
const objectRow: ObjectRow = {
  owner: otherId,
  serial: 4,
  index: 1,
  workerId,
  sizeBytes: 99,
  referenceType: "USED_BY_PENDING_TASK",
  hasValue: true,
  isSpilled: false,
  pendingReason: "",
  callSite: "a.ts:1",
};
const taskRow: TaskRow = {
  owner: otherId,
  serial: 4,
  name: "sum",
  state: "RUNNING_IN_GET",
  attempt: 1,
  actorId: null,
  workerId,
  resources,
  pendingReason: "",
  errorMessage: "no",
};
const actorListing: ActorListing = {
  actorId,
  className: "Counter",
  name: "",
  namespace: "n",
  state: "DEAD",
  restartCount: 0,
  nodeId,
  workerId: null,
  deathCause: "x",
  pendingReason: "",
};
const nodeListing: NodeListing = {
  nodeId,
  isAlive: true,
  isHead: true,
  address: "l",
  hostname: "h",
  resources,
  labels: new Map(),
  deathReason: "",
};
const question = { asker: otherId, requestId: 3, depth: 1, text: "task a" };
const probe: WaitProbe = {
  owner: otherId,
  serial: 9,
  round: 3,
  yields: true,
  path: [{ workerId, blockSeq: 2 }],
  expected: [],
  lines: ["a waits for b", "b"],
};

const pushTask: Message = {
  type: "pushTask",
  from: workerId,
  stream: 1,
  seq: 2,
  serial: 2 ** 33,
  attempt: 1,
  depth: 3,
  functionNumber: 4,
  definition: { descriptor, method: "", taskName: "sum", numReturns: 1, resources, timeoutMs: 0 },
  args: new InlineValue(Uint8Array.of(1, 2), 0, 2, specials),
  values: [undefined, 1, -0, "π", stored],
  gpuIds: [0, 1],
  holds: [{ owner: otherId, serial: 7, index: 1, hold: 3 }],
};
const taskReply: Message = {
  type: "taskReply",
  from: otherId,
  stream: 1,
  seq: 2,
  durationMs: 0.5,
  outcome: new FailedValue({ ...error, type: "TASK_ERROR" }, value),
  outcomes: [null, true, false, -1, 0.1, "é"],
  keptRefs: [{ serial: 7, index: 1 }],
  holds: [{ owner: workerId, serial: 7, index: 1, hold: 3 }],
};

const from = workerId;
const copy = { serial: 7, index: 1, version: 2 };
type Examples = { readonly [T in MessageType]: Extract<Message, { readonly type: T }> };
const examples: Examples = {
  pushTask,
  taskReply,
  takenBack: { type: "takenBack", from, stream: 1, seqs: [2, 3] },
  requestWorkerLease: {
    type: "requestWorkerLease",
    from,
    leaseId: 1,
    taskName: "sum",
    resources,
    strategy: { type: "nodeLabels", hard: new Map([["zone", "a"]]), soft: new Map() },
    depth: 2,
    noSpill: true,
    isRetriable: false,
  },
  leaseSpilled: { type: "leaseSpilled", from, leaseId: 1, nodeId },
  heartbeat: { type: "heartbeat", from, seq: 3, available: resources },
  heartbeatAck: { type: "heartbeatAck", from, seq: 3, nodeIsDead: true },
  resourceView: {
    type: "resourceView",
    from,
    version: 4,
    nodes: [{ nodeId, totals: resources, available: resources, labels: new Map([["zone", "a"]]) }],
  },
  nodeDied: { type: "nodeDied", from, nodeId, reason: "gone" },
  leaseGranted: { type: "leaseGranted", from, leaseId: 1, workerId, gpuIds: [3] },
  leasePending: { type: "leasePending", from, leaseId: 1, reason: "no CPU", infeasible: true },
  leaseRefused: { type: "leaseRefused", from, leaseId: 1, error },
  releaseLease: { type: "releaseLease", from, leaseId: 1 },
  leaseRevoked: { type: "leaseRevoked", from, leaseId: 1, error },
  leaseDemand: { type: "leaseDemand", from, version: 2, waiting: true },
  taskBlocked: {
    type: "taskBlocked",
    from,
    owner: otherId,
    leaseId: 1,
    blockSeq: 2,
    blocked: true,
  },
  workerDied: { type: "workerDied", from, workerId, error },
  watchWorker: { type: "watchWorker", from, workerId },
  subscribeObject: { type: "subscribeObject", from, object: { serial: 7, index: 1 } },
  objectState: {
    type: "objectState",
    from,
    object: { serial: 7, index: 1 },
    outcome: stored,
    holds: null,
  },
  listState: { type: "listState", from: workerId, requestId: 3, kind: "tasks", limit: 100 },
  collectState: { type: "collectState", from: workerId, requestId: 3, kind: "objects", limit: 7 },
  stateCollected: {
    type: "stateCollected",
    from: workerId,
    requestId: 3,
    rows: { ...noStateRows, objects: [objectRow] },
    isLast: false,
    note: "no",
  },
  stateListed: {
    type: "stateListed",
    from: workerId,
    requestId: 3,
    rows: {
      ...noStateRows,
      tasks: [taskRow],
      workers: [{ workerId, isAlive: true, pendingReason: "" }],
    },
    isLast: true,
    missing: ["w"],
  },
  listCluster: { type: "listCluster", from: workerId, requestId: 3, kind: "nodes", limit: 9 },
  clusterListed: {
    type: "clusterListed",
    from: workerId,
    requestId: 3,
    rows: { actors: [actorListing], nodes: [nodeListing] },
    isLast: true,
  },
  probeObject: { type: "probeObject", from: workerId, object: { serial: 7, index: 1 }, probe },
  probeTask: { type: "probeTask", from: workerId, serial: 7, stream: 5, seq: 2 ** 33, probe },
  explainObject: {
    type: "explainObject",
    from: workerId,
    object: { serial: 7, index: 1 },
    question,
  },
  explainTask: { type: "explainTask", from: workerId, serial: 7, stream: 5, seq: 2, question },
  explainPull: { type: "explainPull", from: workerId, requestId: 3, pullId: 4 },
  pullExplained: { type: "pullExplained", from: workerId, requestId: 3, text: "why" },
  explained: {
    type: "explained",
    from: workerId,
    requestId: 3,
    depth: 2,
    text: "why",
    isLast: true,
  },
  releaseHolds: { type: "releaseHolds", from, objects: [{ serial: 7, index: 1 }] },
  createHolds: {
    type: "createHolds",
    from,
    holds: [{ serial: 7, index: 1, hold: 3, holder: otherId }],
  },
  holdsCreated: { type: "holdsCreated", from, created: [3], gone: [4, 5] },
  confirmHolds: { type: "confirmHolds", from, holds: [{ maker: otherId, hold: 3 }] },
  abandonHolds: { type: "abandonHolds", from, holds: [3] },
  queryHolds: { type: "queryHolds", from, maker: otherId, error },
  holdsQueried: { type: "holdsQueried", from, maker: otherId },
  allocateArena: { type: "allocateArena", from, requestId: 1, size: 4096, mayWait: true },
  arenaAllocated: {
    type: "arenaAllocated",
    from,
    requestId: 1,
    segment: 2,
    offset: 4096,
    error: null,
  },
  freeArena: { type: "freeArena", from, extents: [{ segment: 1, offset: 64, size: 4096 }] },
  arenaGiven: {
    type: "arenaGiven",
    from,
    to: otherId,
    extents: [{ segment: 1, offset: 64, size: 4096 }],
  },
  askArenaUse: { type: "askArenaUse", from: nodeId, of: otherId },
  arenaInUse: {
    type: "arenaInUse",
    from,
    of: otherId,
    extents: [{ segment: 1, offset: 64, size: 4096 }],
  },
  objectSealed: {
    type: "objectSealed",
    from,
    requestId: 3,
    objects: [{ ...copy, owner: otherId, extent: { segment: 1, offset: 64, size: 4096 } }],
  },
  offerObjects: { type: "offerObjects", from: nodeId, bytes: 5000 },
  objectsOffered: {
    type: "objectsOffered",
    from,
    requestId: 3,
    objects: [
      {
        owner: from,
        serial: 5,
        index: 1,
        version: 0,
        extent: { segment: 1, offset: 64, size: 4096 },
      },
    ],
    told: [],
  },
  revokePlaces: {
    type: "revokePlaces",
    from: nodeId,
    requestId: 3,
    objects: [{ owner: otherId, ...copy }],
  },
  placesRevoked: {
    type: "placesRevoked",
    from,
    requestId: 3,
    objects: [{ owner: otherId, ...copy }],
  },
  objectWritten: {
    type: "objectWritten",
    from,
    requestId: 3,
    ...copy,
    place: { file: 2 ** 31, offset: 0, size: 4096, checksums: [7, 2 ** 53 - 1] },
  },
  objectsKept: { type: "objectsKept", from: nodeId, requestId: 3 },
  pullObject: {
    type: "pullObject",
    from,
    requestId: 3,
    owner: otherId,
    object: { serial: 7, index: 1 },
    priority: 2,
  },
  objectLocal: { type: "objectLocal", from: nodeId, requestId: 3, outcome: stored },
  unpinObjects: { type: "unpinObjects", from, requestIds: [3, 4] },
  locateObject: { type: "locateObject", from: nodeId, object: { serial: 7, index: 1 } },
  objectLocations: {
    type: "objectLocations",
    from,
    object: { serial: 7, index: 1 },
    nodes: [nodeId],
    outcome: new StoredValue(1, 64, 4096, noSpecials, farNode, 2),
  },
  copyAdded: { type: "copyAdded", from: nodeId, copy, arrival: 5 },
  copyGone: {
    type: "copyGone",
    from: nodeId,
    copy,
    nodeId: farNode,
    lastArrival: 6,
    cause: "it died",
  },
  pinCopy: { type: "pinCopy", from, copy },
  copyPinned: { type: "copyPinned", from: nodeId, copy, isHere: true },
  freeObjects: { type: "freeObjects", from, objects: [copy] },
  segmentFreed: { type: "segmentFreed", from: nodeId, segment: 65_536 },
  pullChunk: {
    type: "pullChunk",
    from: nodeId,
    requestId: 4,
    owner: otherId,
    copy,
    offset: 4096,
    size: 64,
  },
  chunk: {
    type: "chunk",
    from: nodeId,
    requestId: 4,
    bytes: new FrameBytes(Uint8Array.of(9, 1, 2, 3, 9), 1, 3),
  },
  notHere: { type: "notHere", from: nodeId, requestId: 4, lastArrival: 6 },
  registerNode: {
    type: "registerNode",
    from: nodeId,
    nodeId,
    address: "here",
    hostname: "host",
    isHead: true,
    resources,
    labels: new Map([["zone", "a"]]),
  },
  registerActor: {
    type: "registerActor",
    from,
    registration: {
      actorId,
      className: "Counter",
      name: "c",
      namespace: "",
      getIfExists: true,
      detached: false,
    },
  },
  actorRegistered: {
    type: "actorRegistered",
    from: gcsAddress,
    requested: actorId,
    actorId,
    detached: true,
    error: null,
  },
  startActor: { type: "startActor", from, spec },
  abandonActor: { type: "abandonActor", from, actorId, error: { error, cause: value } },
  subscribeActor: { type: "subscribeActor", from, actorId },
  actorState: {
    type: "actorState",
    from: gcsAddress,
    actorId,
    version: 3,
    state: "ALIVE",
    incarnation: 1,
    workerId,
    death: null,
    pendingReason: "",
    infeasible: false,
  },
  createActor: { type: "createActor", from: gcsAddress, incarnation: 1, spec },
  actorPending: {
    type: "actorPending",
    from,
    actorId,
    incarnation: 1,
    reason: "no CPU",
    infeasible: true,
  },
  constructActor: { type: "constructActor", from, incarnation: 1, gpuIds: [2], spec },
  actorConstructed: { type: "actorConstructed", from, actorId, incarnation: 1, failure },
  actorCreated: {
    type: "actorCreated",
    from,
    actorId,
    incarnation: 1,
    workerId: null,
    failure,
  },
  actorWorkerDied: { type: "actorWorkerDied", from, actorId, incarnation: 1, error },
  stopActorWorker: { type: "stopActorWorker", from, actorId, incarnation: 1, graceful: true },
  actorOutOfScope: { type: "actorOutOfScope", from, actorId },
  actorJoined: {
    type: "actorJoined",
    from,
    requested: actorId,
    actorId,
    detached: false,
  },
  drainActor: { type: "drainActor", from, actorId, incarnation: 1 },
  actorDrained: { type: "actorDrained", from, actorId, incarnation: 1 },
  killActor: { type: "killActor", from, requestId: 1, actorId, reason: "kill()" },
  actorKilled: { type: "actorKilled", from, requestId: 1 },
  getActorByName: { type: "getActorByName", from, requestId: 1, name: "c", namespace: "" },
  actorByName: {
    type: "actorByName",
    from,
    requestId: 1,
    actorId: null,
    className: "",
    detached: true,
  },
  cancelTask: { type: "cancelTask", from, stream: 1, seq: 2, force: true, recursive: false },
  taskStarted: { type: "taskStarted", from, stream: 1, seq: 2 },
  cancelObject: {
    type: "cancelObject",
    from,
    requestId: 1,
    object: { serial: 7, index: 1 },
    force: false,
    recursive: true,
  },
  cancelTaken: { type: "cancelTaken", from, requestId: 1, refused: true },
  stopLeasedWorker: { type: "stopLeasedWorker", from, leaseId: 1, reason: "sum" },
  doomLease: { type: "doomLease", from, owner: workerId },
  doomedEnded: { type: "doomedEnded", from, owner: workerId },
};

function hexOf(message: Message): string {
  const writer = new FrameWriter(new Uint8Array(1000));
  encodeMessage(message, 0x12, writer);
  const bytes = Array.from(writer.bytes.subarray(0, writer.at));
  return bytes.map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

describe("golden bytes", () => {
  it("are of this version", () => {
    expect(wireVersion).toBe(14);
  });

  it.each(Object.keys(messageNumbers) as MessageType[])("%s", (type) => {
    expect(hexOf(examples[type])).toBe(golden[type]);
  });
});
