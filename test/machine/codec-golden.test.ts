/**
 * One frame of every message, byte for byte. A failure here means that the wire has changed: raise
 * `wireVersion` in src/engine/protocol/codec/codec.ts, then write the new bytes down.
 */
import { describe, expect, it } from "vitest";
import type { ActorId, NodeId, WorkerId } from "#engine/common/ids.ts";
import { gcsAddress } from "#engine/common/ids.ts";
import {
  FrameWriter,
  encodeMessage,
  messageNumbers,
  wireVersion,
} from "#engine/protocol/codec/codec.ts";
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

const nodeId = "00112233445566778899aabbccddeeff" as NodeId;
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
  { type: "actor", actorId, className: "Counter" },
  { type: "function", descriptor, options: value },
];
const spec: ActorSpec = {
  actorId,
  descriptor: { ...descriptor, kind: "class", name: "counter" },
  actorName: "c",
  namespace: "",
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
  allocateArena: { type: "allocateArena", from, requestId: 1, size: 4096 },
  arenaAllocated: {
    type: "arenaAllocated",
    from,
    requestId: 1,
    segment: 2,
    offset: 4096,
    error: null,
  },
  freeArena: { type: "freeArena", from, extents: [{ segment: 1, offset: 64, size: 4096 }] },
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
  stopActorWorker: { type: "stopActorWorker", from, actorId, incarnation: 1 },
  killActor: { type: "killActor", from, requestId: 1, actorId, reason: "kill()" },
  actorKilled: { type: "actorKilled", from, requestId: 1 },
  getActorByName: { type: "getActorByName", from, requestId: 1, name: "c", namespace: "" },
  actorByName: { type: "actorByName", from, requestId: 1, actorId: null, className: "" },
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

const golden: Readonly<Record<MessageType, string>> = {
  pushTask:
    "01120f010000000000020000000000000000000200010000000300000004000000070201020401ff07000000" +
    "00000100001400112233445566778899aabbccddeeff000000020000000000010000021a0011223344556677" +
    "8899aabbccddeeff000000010000000000050e436f756e746572031866696c653a2f2f2f612e6a7302000003" +
    "ad020673756d0301020300011866696c653a2f2f2f612e6a7302000003ad020673756d000673756d02010643" +
    "5055914e01050004010000000500000000000000800603c00308010000004000000000000010000000000002" +
    "0001011400112233445566778899aabbccddeeff000000020700000000000100030000000000",
  taskReply:
    "021207010000000000020000000000000000000000e03f09000c657869742031046162000703010203000601" +
    "030204ffffffff059a9999999999b93f0602e9010700000000000100011400112233445566778899aabbccdd" +
    "eeff000000010700000000000100030000000000",
  takenBack: "031201000000000002020000000000030000000000",
  requestWorkerLease: "041201000000000002000000010673756d0106435055914e0401087a6f6e65026100",
  leaseSpilled: "0e120100000000001000112233445566778899aabbccddeeff",
  heartbeat: "3212040106435055914e",
  heartbeatAck: "33120401",
  resourceView:
    "341205011000112233445566778899aabbccddeeff0106435055914e0106435055914e01087a6f6e650261",
  nodeDied: "35121000112233445566778899aabbccddeeff08676f6e65",
  leaseGranted: "05120100000000001400112233445566778899aabbccddeeff000000010103",
  releaseLease: "0612010000000000",
  taskBlocked: "0712010000000000020000000000011400112233445566778899aabbccddeeff00000002",
  leasePending: "08120100000000000c6e6f2043505501",
  leaseRefused: "0912010000000000020c65786974203104616200",
  leaseRevoked: "0a12010000000000020c65786974203104616200",
  leaseDemand: "0b120301",
  workerDied: "0c121400112233445566778899aabbccddeeff00000001020c65786974203104616200",
  watchWorker: "0d121400112233445566778899aabbccddeeff00000001",
  subscribeObject: "10120700000000000100",
  objectState: "1112070000000000010008010000004000000000000010000000000000",
  releaseHolds: "1212010700000000000100",
  listState: "4212040164000000",
  collectState: "4312040007000000",
  stateCollected:
    "441204011400112233445566778899aabbccddeeff0000000204000000000001001400112233445566778899" +
    "aabbccddeeff00000001640201000c612e74733a31000000",
  stateListed:
    "45120400011400112233445566778899aabbccddeeff000000020400000000000673756d0501000000fe1400" +
    "112233445566778899aabbccddeeff000000010106435055914e00011400112233445566778899aabbccddee" +
    "ff00000001010001010277",
  listCluster: "4612040109000000",
  clusterListed:
    "471204011a00112233445566778899aabbccddeeff000000010000000000050e436f756e74657200026e0401" +
    "1000112233445566778899aabbccddeefffe027800011000112233445566778899aabbccddeeff0101026c02" +
    "680106435055914e000001",
  probeObject:
    "401207000000000001001400112233445566778899aabbccddeeff0000000209000000000003000000010114" +
    "00112233445566778899aabbccddeeff0000000102000000000000021a6120776169747320666f7220620262",
  probeTask:
    "41120700000000000500000000000000000002001400112233445566778899aabbccddeeff00000002090000" +
    "0000000300000001011400112233445566778899aabbccddeeff0000000102000000000000021a6120776169" +
    "747320666f7220620262",
  createHolds: "1a120107000000000001000300000000001400112233445566778899aabbccddeeff00000002",
  holdsCreated: "1b120103000000000002040000000000050000000000",
  confirmHolds: "1c12011400112233445566778899aabbccddeeff00000002030000000000",
  abandonHolds: "1d1201030000000000",
  queryHolds: "1e121400112233445566778899aabbccddeeff00000002020c65786974203104616200",
  holdsQueried: "1f121400112233445566778899aabbccddeeff00000002",
  allocateArena: "1312028120",
  arenaAllocated: "14120203812000",
  freeArena: "15120101000000400000000000001000000000",
  registerNode:
    "20121000112233445566778899aabbccddeeff086865726508686f7374010106435055914e01087a6f6e6502" +
    "61",
  registerActor:
    "21121a00112233445566778899aabbccddeeff000000010000000000050e436f756e7465720263000100",
  actorRegistered:
    "22121a00112233445566778899aabbccddeeff000000010000000000051a00112233445566778899aabbccdd" +
    "eeff0000000100000000000500",
  startActor:
    "23121a00112233445566778899aabbccddeeff000000010000000000051866696c653a2f2f2f612e6a73020e" +
    "636f756e7465720103ad020673756d026300070301020300000106435055914e000310001122334455667788" +
    "99aabbccddeeff00000000000000f07f",
  abandonActor:
    "24121a00112233445566778899aabbccddeeff00000001000000000005020c65786974203104616200070301" +
    "020300",
  subscribeActor: "25121a00112233445566778899aabbccddeeff00000001000000000005",
  actorState:
    "26121a00112233445566778899aabbccddeeff000000010000000000050402021400112233445566778899aa" +
    "bbccddeeff00000001000000",
  createActor:
    "2712021a00112233445566778899aabbccddeeff000000010000000000051866696c653a2f2f2f612e6a7302" +
    "0e636f756e7465720103ad020673756d026300070301020300000106435055914e0003100011223344556677" +
    "8899aabbccddeeff00000000000000f07f",
  actorPending: "28121a00112233445566778899aabbccddeeff00000001000000000005020c6e6f2043505501",
  constructActor:
    "29120201031a00112233445566778899aabbccddeeff000000010000000000051866696c653a2f2f2f612e6a73" +
    "020e636f756e7465720103ad020673756d026300070301020300000106435055914e00031000112233445566" +
    "778899aabbccddeeff00000000000000f07f",
  actorConstructed:
    "2a121a00112233445566778899aabbccddeeff000000010000000000050201020c6578697420310461620001",
  actorCreated:
    "2b121a00112233445566778899aabbccddeeff0000000100000000000502fe01020c65786974203104616200" +
    "01",
  actorWorkerDied:
    "2c121a00112233445566778899aabbccddeeff0000000100000000000502020c65786974203104616200",
  stopActorWorker: "2d121a00112233445566778899aabbccddeeff0000000100000000000502",
  killActor: "2e12021a00112233445566778899aabbccddeeff000000010000000000050c6b696c6c2829",
  actorKilled: "2f1202",
  getActorByName: "301202026300",
  actorByName: "311202fe00",
  cancelTask: "50120100000000000200000000000100",
  taskStarted: "5112010000000000020000000000",
  cancelObject: "52120207000000000001000001",
  cancelTaken: "53120201",
  stopLeasedWorker: "54120100000000000673756d",
  doomLease: "55121400112233445566778899aabbccddeeff00000001",
  doomedEnded: "56121400112233445566778899aabbccddeeff00000001",
};

describe("golden bytes", () => {
  it("are of this version", () => {
    expect(wireVersion).toBe(3);
  });

  it.each(Object.keys(messageNumbers) as MessageType[])("%s", (type) => {
    expect(hexOf(examples[type])).toBe(golden[type]);
  });
});
