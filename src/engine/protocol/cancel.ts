/**
 * Messages by which a task is cancelled: from a holder of its ref to its owner, from there to its
 * executor, and to the raylet when the executor's thread must end.
 */
import type { Address, WorkerId } from "#engine/common/ids.ts";
import type { ObjectName } from "./task.ts";

/**
 * owner → executor. Key: (stream, seq), which tells a task that has not come yet (it never starts)
 * from one that has ended (nothing happens): control frames may overtake task frames.
 */
export interface CancelTask {
  readonly type: "cancelTask";
  readonly from: Address;
  readonly stream: number;
  readonly seq: number;
  /** For its children: the owner sees to the thread of the task itself. */
  readonly force: boolean;
  readonly recursive: boolean;
}

/** executor → owner, for a task with a time-out: its time runs. */
export interface TaskStarted {
  readonly type: "taskStarted";
  readonly from: Address;
  readonly stream: number;
  readonly seq: number;
}

/** holder of a ref → its owner: cancel the task that makes the object. Key: (from, requestId). */
export interface CancelObject {
  readonly type: "cancelObject";
  readonly from: Address;
  readonly requestId: number;
  readonly object: ObjectName;
  readonly force: boolean;
  readonly recursive: boolean;
}

/** owner → holder: done, or nothing was left to do. */
export interface CancelTaken {
  readonly type: "cancelTaken";
  readonly from: Address;
  readonly requestId: number;
  /** Force was asked for a call of an actor, whose thread is not ended for one call. */
  readonly refused: boolean;
}

/** owner → raylet: a task on this lease was cancelled by force and has not ended. Key: leaseId. */
export interface StopLeasedWorker {
  readonly type: "stopLeasedWorker";
  readonly from: Address;
  readonly leaseId: number;
  /** Which task it was, for those whose tasks end with it. */
  readonly reason: string;
}

/**
 * raylet → worker: an owner that leased it has died. Its tasks are told to end, and when the last
 * one has, that is answered. Key: owner.
 */
export interface DoomLease {
  readonly type: "doomLease";
  readonly from: Address;
  readonly owner: WorkerId;
}

/** worker → raylet: no task of that owner runs here any more. */
export interface DoomedEnded {
  readonly type: "doomedEnded";
  readonly from: Address;
  readonly owner: WorkerId;
}

export type CancelMessage =
  | CancelTask
  | TaskStarted
  | CancelObject
  | CancelTaken
  | StopLeasedWorker
  | DoomLease
  | DoomedEnded;
