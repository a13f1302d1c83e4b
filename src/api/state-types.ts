/** Rows of `mobula/state`, and what a list is asked with. Nothing here exists at run time. */
import type { ReferenceType } from "#engine/protocol/state.ts";
import type {
  ActorId,
  JobId,
  NodeId,
  ObjectId,
  PlacementGroupId,
  TaskId,
  WorkerId,
} from "./ids.ts";
import type { NodeInfo } from "./types.ts";

export type { NodeInfo } from "./types.ts";

export type TaskState =
  | "PENDING_ARGS_AVAIL"
  | "PENDING_NODE_ASSIGNMENT"
  | "PENDING_OBJ_STORE_MEM_AVAIL"
  | "PENDING_ARGS_FETCH"
  | "SUBMITTED_TO_WORKER"
  | "PENDING_ACTOR_TASK_ARGS_FETCH"
  | "PENDING_ACTOR_TASK_ORDERING_OR_CONCURRENCY"
  | "RUNNING"
  | "RUNNING_IN_GET"
  | "RUNNING_IN_WAIT"
  | "FINISHED"
  | "FAILED";
export type ActorState =
  | "DEPENDENCIES_UNREADY"
  | "PENDING_CREATION"
  | "ALIVE"
  | "RESTARTING"
  | "DEAD";

/** Every pending row says why. Fields may be added, never removed. */
export interface Row {
  pendingReason?: string;
}
/**
 * One attempt of a task or call: those that have not ended, and of each process the last
 * `systemConfig.endedTasksKept` that have.
 */
export interface TaskInfo extends Row {
  taskId: TaskId;
  name: string;
  state: TaskState;
  attemptNumber: number;
  jobId: JobId;
  actorId?: ActorId;
  nodeId?: NodeId;
  workerId?: WorkerId;
  resources?: Record<string, number>;
  startMs?: number;
  endMs?: number;
  errorMessage?: string;
  progress?: { done: number; total?: number; message?: string };
}
export interface ActorInfo extends Row {
  actorId: ActorId;
  className: string;
  name?: string;
  namespace: string;
  state: ActorState;
  numRestarts: number;
  nodeId?: NodeId;
  workerId?: WorkerId;
  deathCause?: string;
}
/** One object as one process refers to it: an object that several use has a row for each. */
export interface ObjectInfo extends Row {
  objectId: ObjectId;
  sizeBytes: number;
  referenceType: ReferenceType;
  ownerWorkerId: WorkerId;
  /** The process that refers to it. */
  workerId: WorkerId;
  nodeIds: NodeId[];
  spilled: boolean;
  /** `file:line` of the call that made it, with `systemConfig: { recordRefCreationSites: 1 }`. */
  callSite?: string;
}
export interface WorkerInfo extends Row {
  workerId: WorkerId;
  nodeId: NodeId;
  alive: boolean;
  exitReason?: string;
}
export interface JobInfo extends Row {
  jobId: JobId;
  entrypoint: string;
  status: "PENDING" | "RUNNING" | "STOPPED" | "SUCCEEDED" | "FAILED";
  startMs: number;
  endMs?: number;
}
export interface PlacementGroupInfo extends Row {
  placementGroupId: PlacementGroupId;
  name?: string;
  state: "PENDING" | "PREPARED" | "CREATED" | "RESCHEDULING" | "REMOVED";
  bundles: { resources: Record<string, number>; nodeId?: NodeId }[];
}
/** What the store of a node holds, and what went to its disk since it began. */
export interface ObjectStoreInfo {
  capacityBytes: number;
  usedBytes: number;
  /** Beside that: what is read or returned while the store is full. */
  overflowBytes: number;
  spilledObjects: number;
  spilledBytes: number;
  /** What `put` and calls wrote to files themselves, for want of room; not counted as spilled. */
  fallbackObjects: number;
  fallbackBytes: number;
  restoredObjects: number;
  restoredBytes: number;
  /** That there are now. */
  spillFiles: number;
}
export interface Rows {
  tasks: TaskInfo;
  actors: ActorInfo;
  objects: ObjectInfo;
  nodes: NodeInfo & Row & { objectStore?: ObjectStoreInfo };
  workers: WorkerInfo;
  jobs: JobInfo;
  placementGroups: PlacementGroupInfo;
}
export type Kind = keyof Rows;
export type Filter<R> = readonly [
  field: keyof R & string,
  op: "=" | "!=",
  value: string | number | boolean,
];
// oxlint-disable-next-line typescript/no-explicit-any -- as in the contract: rows of any kind.
export interface ListOptions<R = any> {
  /** Rows that meet all of them. */
  filters?: readonly Filter<R>[];
  /** 100 unless given, at most 10,000. */
  limit?: number;
  /** Accepted as in Ray: rows are always whole. */
  detail?: boolean;
}
/** Rows, and the processes that did not answer or could not tell all, each with the reason. */
export type Listing<R> = R[] & { readonly missing: readonly string[] };

export interface Summary<S extends string> {
  total: number;
  byName: Record<string, { counts: Record<S, number> }>;
  /** As that of a list: what was not counted, and why. */
  readonly missing: readonly string[];
}
