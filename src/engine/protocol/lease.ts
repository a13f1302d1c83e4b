/**
 * Messages by which an owner gets the use of a worker from a raylet, in the order a task meets
 * them.
 */
import type { Address, NodeId, WorkerId } from "#engine/common/ids.ts";
import type { EngineError } from "#engine/common/error-type.ts";
import type { ResourceRequest } from "#engine/common/resources.ts";
import type { SchedulingStrategy } from "#engine/common/task-spec.ts";

/**
 * owner → raylet. Key: (owner, leaseId); a repeat gets the present answer. Every hop has an id of
 * its own.
 */
export interface RequestWorkerLease {
  readonly type: "requestWorkerLease";
  readonly from: Address;
  readonly leaseId: number;
  readonly taskName: string;
  readonly resources: ResourceRequest;
  readonly strategy: SchedulingStrategy;
  /** Nesting depth of the waiting tasks: deeper ones are placed first. */
  readonly depth: number;
  /** Another raylet has sent it here: it stays. */
  readonly noSpill: boolean;
  /** When the worker ends, its task may run again. */
  readonly isRetriable: boolean;
}

/** raylet → owner: ask that node, under a new id; this one is forgotten. */
export interface LeaseSpilled {
  readonly type: "leaseSpilled";
  readonly from: Address;
  readonly leaseId: number;
  readonly nodeId: NodeId;
}

/** raylet → owner. One that the owner does not expect is released at once. */
export interface LeaseGranted {
  readonly type: "leaseGranted";
  readonly from: Address;
  readonly leaseId: number;
  readonly workerId: WorkerId;
  /** Indices of the GPUs given to the lease. */
  readonly gpuIds: readonly number[];
}

/** raylet → owner: the request waits, and why. A later answer follows. */
export interface LeasePending {
  readonly type: "leasePending";
  readonly from: Address;
  readonly leaseId: number;
  readonly reason: string;
  /** No node could ever give it, as the nodes are now. */
  readonly infeasible: boolean;
}

/** raylet → owner: the request can never be met. */
export interface LeaseRefused {
  readonly type: "leaseRefused";
  readonly from: Address;
  readonly leaseId: number;
  readonly error: EngineError;
}

/** owner → raylet: "I do not want it, whatever its phase". */
export interface ReleaseLease {
  readonly type: "releaseLease";
  readonly from: Address;
  readonly leaseId: number;
}

/** raylet → owner: the worker is gone. */
export interface LeaseRevoked {
  readonly type: "leaseRevoked";
  readonly from: Address;
  readonly leaseId: number;
  readonly error: EngineError;
}

/**
 * raylet → holders of leases: somebody waits for a worker (or no longer does); latest version wins.
 */
export interface LeaseDemand {
  readonly type: "leaseDemand";
  readonly from: Address;
  readonly version: number;
  readonly waiting: boolean;
}

/** executor → raylet: the tasks of this lease wait in get or wait; highest blockSeq wins. */
export interface TaskBlocked {
  readonly type: "taskBlocked";
  readonly from: Address;
  readonly owner: WorkerId;
  readonly leaseId: number;
  readonly blockSeq: number;
  readonly blocked: boolean;
}

/**
 * any process → raylet, before it waits for something of a process that it had nothing to do with
 * so far: tell me of its end, at once if that was before I came. A raylet asks the one of the
 * worker's node in turn. Key: workerId.
 */
export interface WatchWorker {
  readonly type: "watchWorker";
  readonly from: Address;
  readonly workerId: WorkerId;
}

/** raylet → every process of the node, and raylets that watch it: a thread has ended. */
export interface WorkerDied {
  readonly type: "workerDied";
  readonly from: Address;
  readonly workerId: WorkerId;
  readonly error: EngineError;
}

export type LeaseMessage =
  | RequestWorkerLease
  | LeaseGranted
  | LeaseSpilled
  | LeasePending
  | LeaseRefused
  | ReleaseLease
  | LeaseRevoked
  | LeaseDemand
  | TaskBlocked
  | WatchWorker
  | WorkerDied;
