/** What the engine tells of itself as the rows that a user sees. */
import { nodeIdOf, objectIdHex, objectKey, taskIdHex } from "#engine/common/ids.ts";
import { toRecord } from "#engine/common/resources.ts";
import type {
  ActorListing,
  NodeListing,
  ObjectRow,
  StoreRow,
  TaskRow,
  WorkerRow,
} from "#engine/protocol/state.ts";
import type { ObjectId, TaskId } from "./ids.ts";
import { embeddedJobId } from "./runtime-context.ts";
import type {
  ActorInfo,
  NodeInfo,
  ObjectInfo,
  ObjectStoreInfo,
  Row,
  TaskInfo,
  WorkerInfo,
} from "./state-types.ts";

export function objectInfo(row: ObjectRow): ObjectInfo {
  const { owner, serial, index, workerId, sizeBytes, referenceType } = row;
  return {
    objectId: objectIdHex(owner, objectKey(serial, index)) as ObjectId,
    sizeBytes,
    referenceType,
    ownerWorkerId: owner,
    workerId,
    nodeIds: row.hasValue ? [nodeIdOf(workerId)] : [],
    spilled: row.isSpilled,
    ...(row.callSite === "" ? {} : { callSite: row.callSite }),
    ...pending(row),
  };
}

export function taskInfo(row: TaskRow): TaskInfo {
  const { owner, serial, name, state, attempt, actorId, workerId, resources } = row;
  const { errorMessage } = row;
  return {
    taskId: taskIdHex(owner, serial) as TaskId,
    name,
    state,
    attemptNumber: attempt,
    jobId: embeddedJobId,
    resources: toRecord(resources),
    ...(actorId === null ? {} : { actorId }),
    ...(workerId === null ? {} : { workerId, nodeId: nodeIdOf(workerId) }),
    ...(errorMessage === "" ? {} : { errorMessage }),
    ...pending(row),
  };
}

export function workerInfo(row: WorkerRow): WorkerInfo {
  const { workerId, isAlive } = row;
  return { workerId, nodeId: nodeIdOf(workerId), alive: isAlive, ...pending(row) };
}

export function actorInfo(row: ActorListing): ActorInfo {
  const { actorId, className, name, namespace, state, restartCount } = row;
  const { nodeId, workerId, deathCause } = row;
  return {
    actorId,
    className,
    namespace,
    state,
    numRestarts: restartCount,
    ...(name === "" ? {} : { name }),
    ...(nodeId === null ? {} : { nodeId }),
    ...(workerId === null ? {} : { workerId }),
    ...(deathCause === "" ? {} : { deathCause }),
    ...pending(row),
  };
}

export function nodeInfo(row: NodeListing): NodeInfo {
  const { nodeId, isAlive, isHead, address, hostname, resources, labels, deathReason } = row;
  return {
    nodeId,
    alive: isAlive,
    isHead,
    address,
    hostname,
    resources: toRecord(resources),
    labels: Object.fromEntries(labels),
    ...(deathReason === "" ? {} : { deathReason }),
  };
}

export function storeInfo({ nodeId: _, ...info }: StoreRow): ObjectStoreInfo {
  return info;
}

function pending({ pendingReason }: { pendingReason: string }): Row {
  return pendingReason === "" ? {} : { pendingReason };
}
