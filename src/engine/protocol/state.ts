/**
 * Messages that list what there is, for a person who looks: objects, tasks and workers from the
 * processes of a node by its raylet, what stores hold from all raylets by that of who looks, actors
 * and nodes from the GCS. Asked once, answered in pages.
 */
import type { ActorId, Address, NodeId, WorkerId } from "#engine/common/ids.ts";
import type { ResourceRequest } from "#engine/common/resources.ts";
import type { ActorLifeState } from "./gcs.ts";

/** Most rows of one answer, whoever asks. */
export const stateRowsMax = 10_000;
/** Rows of one message, so that it stays small. */
export const statePageRows = 100;

export type NodeStateKind = "objects" | "tasks" | "workers" | "stores";
export type ClusterStateKind = "actors" | "nodes";

export type ReferenceType =
  | "LOCAL_REFERENCE"
  | "PINNED_IN_MEMORY"
  | "USED_BY_PENDING_TASK"
  | "CAPTURED_IN_OBJECT"
  | "ACTOR_HANDLE";

export type LiveTaskState =
  | "PENDING_ARGS_AVAIL"
  | "PENDING_NODE_ASSIGNMENT"
  | "SUBMITTED_TO_WORKER"
  | "PENDING_ACTOR_TASK_ORDERING_OR_CONCURRENCY"
  | "RUNNING"
  | "RUNNING_IN_GET"
  | "RUNNING_IN_WAIT";
export type EndedTaskState = "FINISHED" | "FAILED";

/** One object as one process knows it. */
export interface ObjectRow {
  readonly owner: WorkerId;
  readonly serial: number;
  readonly index: number;
  /** The process. */
  readonly workerId: WorkerId;
  /** 0 while it has no value. */
  readonly sizeBytes: number;
  readonly referenceType: ReferenceType;
  readonly hasValue: boolean;
  /** Its bytes are on the disk alone; told by the raylet. */
  readonly isSpilled: boolean;
  /** "" when there is none. */
  readonly pendingReason: string;
  /** `file:line`, or "" when it was not recorded. */
  readonly callSite: string;
}

/**
 * An attempt of a task. One that has not ended: as its owner knows it, or, once it runs, its
 * executor. One that has: as long as its owner remembers it.
 */
export interface TaskRow {
  readonly owner: WorkerId;
  readonly serial: number;
  readonly name: string;
  readonly state: LiveTaskState | EndedTaskState;
  readonly attempt: number;
  readonly actorId: ActorId | null;
  /** That runs it, or that it was sent to. */
  readonly workerId: WorkerId | null;
  readonly resources: ResourceRequest;
  readonly pendingReason: string;
  /** Of one that failed, else "". */
  readonly errorMessage: string;
}

export interface WorkerRow {
  readonly workerId: WorkerId;
  readonly isAlive: boolean;
  readonly pendingReason: string;
}

/** What the object store of a node holds, and what it has written to the disk since it began. */
export interface StoreRow {
  readonly nodeId: NodeId;
  readonly capacityBytes: number;
  readonly usedBytes: number;
  /** Beside what it has. */
  readonly overflowBytes: number;
  readonly spilledObjects: number;
  readonly spilledBytes: number;
  /** What processes wrote themselves while they waited: there was no room in memory. */
  readonly fallbackObjects: number;
  readonly fallbackBytes: number;
  readonly restoredObjects: number;
  readonly restoredBytes: number;
  /** That there are now. */
  readonly spillFiles: number;
}

export interface StateRows {
  readonly objects: readonly ObjectRow[];
  readonly tasks: readonly TaskRow[];
  readonly workers: readonly WorkerRow[];
  readonly stores: readonly StoreRow[];
}

export interface ActorListing {
  readonly actorId: ActorId;
  readonly className: string;
  readonly name: string;
  readonly namespace: string;
  readonly state: ActorLifeState;
  readonly restartCount: number;
  readonly nodeId: NodeId | null;
  readonly workerId: WorkerId | null;
  readonly deathCause: string;
  readonly pendingReason: string;
}

export interface NodeListing {
  readonly nodeId: NodeId;
  readonly isAlive: boolean;
  readonly isHead: boolean;
  readonly address: string;
  readonly hostname: string;
  readonly resources: ResourceRequest;
  readonly labels: ReadonlyMap<string, string>;
  readonly deathReason: string;
}

export interface ClusterRows {
  readonly actors: readonly ActorListing[];
  readonly nodes: readonly NodeListing[];
}

/** process → its raylet. Key: (from, requestId). */
export interface ListState {
  readonly type: "listState";
  readonly from: Address;
  readonly requestId: number;
  readonly kind: NodeStateKind;
  readonly limit: number;
}

/** raylet → each of its processes; the request is numbered by the raylet. */
export interface CollectState {
  readonly type: "collectState";
  readonly from: Address;
  readonly requestId: number;
  readonly kind: NodeStateKind;
  readonly limit: number;
}

/** process → raylet, a page. */
export interface StateCollected {
  readonly type: "stateCollected";
  readonly from: Address;
  readonly requestId: number;
  readonly rows: StateRows;
  readonly isLast: boolean;
  /** On the last page: what it cannot tell and why, or "". */
  readonly note: string;
}

/** raylet → the raylet of another node; the request is numbered by who asks. */
export interface AskStore {
  readonly type: "askStore";
  readonly from: Address;
  readonly requestId: number;
}

/** raylet → raylet. */
export interface StoreTold {
  readonly type: "storeTold";
  readonly from: Address;
  readonly requestId: number;
  readonly store: StoreRow;
}

/** raylet → who asked, a page. */
export interface StateListed {
  readonly type: "stateListed";
  readonly from: Address;
  readonly requestId: number;
  readonly rows: StateRows;
  readonly isLast: boolean;
  /** Processes or nodes that are left out, or that cannot tell of all, and why. */
  readonly missing: readonly string[];
}

/** process → GCS. Key: (from, requestId). */
export interface ListCluster {
  readonly type: "listCluster";
  readonly from: Address;
  readonly requestId: number;
  readonly kind: ClusterStateKind;
  readonly limit: number;
}

/** GCS → who asked, a page. */
export interface ClusterListed {
  readonly type: "clusterListed";
  readonly from: Address;
  readonly requestId: number;
  readonly rows: ClusterRows;
  readonly isLast: boolean;
}

export type StateMessage =
  | ListState
  | CollectState
  | StateCollected
  | AskStore
  | StoreTold
  | StateListed
  | ListCluster
  | ClusterListed;

export const noStateRows: StateRows = { objects: [], tasks: [], workers: [], stores: [] };
export const noClusterRows: ClusterRows = { actors: [], nodes: [] };

/** At least one page, which may be empty. */
export function statePages<T>(rows: readonly T[]): (readonly T[])[] {
  const pages: (readonly T[])[] = [];
  for (let at = 0; at < Math.max(1, rows.length); at += statePageRows) {
    pages.push(rows.slice(at, at + statePageRows));
  }
  return pages;
}
