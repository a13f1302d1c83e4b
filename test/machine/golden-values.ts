/** What the messages of codec-golden.test.ts carry: ids, values, specs, rows of state. */
import type { ActorId, NodeId, WorkerId } from "#engine/common/ids.ts";
import { actorIndex } from "#engine/common/ids.ts";
import type { ActorSpec } from "#engine/protocol/gcs.ts";
import type { Special } from "#engine/protocol/outcome.ts";
import { InlineValue, StoredValue, noSpecials } from "#engine/protocol/outcome.ts";
import type { WaitProbe } from "#engine/protocol/probe.ts";
import type { ActorListing, NodeListing, ObjectRow, TaskRow } from "#engine/protocol/state.ts";

export const nodeId = "00112233445566778899aabbccddeeff" as NodeId;
export const farNode = "ffeeddccbbaa99887766554433221100" as NodeId;
export const workerId = `${nodeId}00000001` as WorkerId;
export const otherId = `${nodeId}00000002` as WorkerId;
export const actorId = `${workerId}000000000005` as ActorId;

export const descriptor = {
  moduleUrl: "file:///a.js",
  ordinal: 1,
  name: "",
  kind: "function",
  parameterCount: 2,
  sourceHash: 300,
  displayName: "sum",
} as const;
export const error = {
  type: "WORKER_CRASHED",
  message: "exit 1",
  subject: "ab",
  detail: "",
} as const;
export const resources = new Map([["CPU", 10_000]]);
export const value = new InlineValue(Uint8Array.of(9, 1, 2, 3, 9), 1, 3, noSpecials);
export const stored = new StoredValue(1, 64, 4096, noSpecials);
export const specials: readonly Special[] = [
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
export const spec: ActorSpec = {
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
export const failure = { error, cause: null };
export const objectRow: ObjectRow = {
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
export const taskRow: TaskRow = {
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
export const actorListing: ActorListing = {
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
export const nodeListing: NodeListing = {
  nodeId,
  isAlive: true,
  isHead: true,
  address: "l",
  hostname: "h",
  resources,
  labels: new Map(),
  deathReason: "",
};
export const question = { asker: otherId, requestId: 3, depth: 1, text: "task a" };
export const probe: WaitProbe = {
  owner: otherId,
  serial: 9,
  round: 3,
  yields: true,
  path: [{ workerId, blockSeq: 2 }],
  expected: [],
  lines: ["a waits for b", "b"],
};
