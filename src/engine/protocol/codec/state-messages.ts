/** The messages that list what there is, by their fields in the order of the wire. */
import type { ActorId, NodeId, WorkerId } from "#engine/common/ids.ts";
import type {
  ActorListing,
  ClusterRows,
  NodeListing,
  NodeStateKind,
  ObjectRow,
  ReferenceType,
  StateMessage,
  StateRows,
  StoreRow,
  TaskRow,
  WorkerRow,
} from "#engine/protocol/state.ts";
import type { MessageFields } from "./field.ts";
import {
  anyNumber,
  bool,
  id,
  list,
  messageOf,
  nullableId,
  oneOf,
  record,
  text,
  u16,
  u32,
  u48,
} from "./field.ts";
import { labelsField, lifeStateField, resourcesField } from "./shared-fields.ts";

const nodeId = id<NodeId>();
const workerId = id<WorkerId>();
const actorId = id<ActorId>();

const referenceType = oneOf<ReferenceType>({
  LOCAL_REFERENCE: 0,
  PINNED_IN_MEMORY: 1,
  USED_BY_PENDING_TASK: 2,
  CAPTURED_IN_OBJECT: 3,
  ACTOR_HANDLE: 4,
});

const taskState = oneOf<TaskRow["state"]>({
  PENDING_ARGS_AVAIL: 0,
  PENDING_NODE_ASSIGNMENT: 1,
  SUBMITTED_TO_WORKER: 2,
  PENDING_ACTOR_TASK_ORDERING_OR_CONCURRENCY: 3,
  RUNNING: 4,
  RUNNING_IN_GET: 5,
  RUNNING_IN_WAIT: 6,
  FINISHED: 7,
  FAILED: 8,
});

const objectRow = record<ObjectRow>({
  owner: workerId,
  serial: u48,
  index: u16,
  workerId,
  sizeBytes: anyNumber,
  referenceType,
  hasValue: bool,
  isSpilled: bool,
  pendingReason: text,
  callSite: text,
});

const taskRow = record<TaskRow>({
  owner: workerId,
  serial: u48,
  name: text,
  state: taskState,
  attempt: u32,
  actorId: nullableId<ActorId>(),
  workerId: nullableId<WorkerId>(),
  resources: resourcesField,
  pendingReason: text,
  errorMessage: text,
});

const workerRow = record<WorkerRow>({ workerId, isAlive: bool, pendingReason: text });

const storeRow = record<StoreRow>({
  nodeId,
  capacityBytes: anyNumber,
  usedBytes: anyNumber,
  overflowBytes: anyNumber,
  spilledObjects: anyNumber,
  spilledBytes: anyNumber,
  fallbackObjects: anyNumber,
  fallbackBytes: anyNumber,
  restoredObjects: anyNumber,
  restoredBytes: anyNumber,
  spillFiles: anyNumber,
});

const stateRows = record<StateRows>({
  objects: list(objectRow, 16),
  tasks: list(taskRow, 13),
  workers: list(workerRow, 3),
  stores: list(storeRow, 9),
});

const actorListing = record<ActorListing>({
  actorId,
  className: text,
  name: text,
  namespace: text,
  state: lifeStateField,
  restartCount: anyNumber,
  nodeId: nullableId<NodeId>(),
  workerId: nullableId<WorkerId>(),
  deathCause: text,
  pendingReason: text,
});

const nodeListing = record<NodeListing>({
  nodeId,
  isAlive: bool,
  isHead: bool,
  address: text,
  hostname: text,
  resources: resourcesField,
  labels: labelsField,
  deathReason: text,
});

const clusterRows = record<ClusterRows>({
  actors: list(actorListing, 10),
  nodes: list(nodeListing, 7),
});

const kind = oneOf<NodeStateKind>({ objects: 0, tasks: 1, workers: 2, stores: 3 });

export const stateMessages: MessageFields<StateMessage> = {
  listState: messageOf("listState", { requestId: anyNumber, kind, limit: u32 }),
  collectState: messageOf("collectState", { requestId: anyNumber, kind, limit: u32 }),
  stateCollected: messageOf("stateCollected", {
    requestId: anyNumber,
    rows: stateRows,
    isLast: bool,
    note: text,
  }),
  askStore: messageOf("askStore", { requestId: anyNumber }),
  storeTold: messageOf("storeTold", { requestId: anyNumber, store: storeRow }),
  stateListed: messageOf("stateListed", {
    requestId: anyNumber,
    rows: stateRows,
    isLast: bool,
    missing: list(text),
  }),
  listCluster: messageOf("listCluster", {
    requestId: anyNumber,
    kind: oneOf({ actors: 0, nodes: 1 }),
    limit: u32,
  }),
  clusterListed: messageOf("clusterListed", {
    requestId: anyNumber,
    rows: clusterRows,
    isLast: bool,
  }),
};
