/**
 * Names of states that few runs reach. A set of runs is asked to reach each of them somewhere: a
 * property that never met one says nothing about it.
 */
import type { AttemptCounts } from "#engine/core-worker/task-retries.ts";
import type { MessageType } from "#engine/protocol/message.ts";

export type RareState =
  | "actorAbandoned"
  | "attemptRefused"
  | "borrowerOfBorrower"
  | "cancelledByBorrower"
  | "cancelledByForce"
  | "cancelledOnItsWay"
  | "cancelledQueued"
  | "cancelledRecursively"
  | "cancelledRunning"
  | "crashedAfterMessage"
  | "deadlockFound"
  | "copyEvicted"
  | "copyLost"
  | "copyRepinned"
  | "driverCrashed"
  | "holdMakerDied"
  | "holdReleasedUnconfirmed"
  | "leaseRevoked"
  | "leaseSpilled"
  | "maxRetriesExhausted"
  | "nodeCrashed"
  | "nodeDied"
  | "nodeRestarted"
  | "objectRecovered"
  | "pulled"
  | "pullRetried"
  | "secondaryCopy"
  | "retried"
  | "retriedException"
  | "sessionResumed"
  | "takenBack"
  | "workerCrashedWhileRunning"
  | "zombieReturned";

/** Reached by a process that has counted one. */
export const rareCounts: ReadonlyMap<keyof AttemptCounts, RareState> = new Map([
  ["exhausted", "maxRetriesExhausted"],
  ["refused", "attemptRefused"],
  ["retried", "retried"],
  ["retriedExceptions", "retriedException"],
]);

/** Reached when such a message is sent from one process to another. */
export const rareMessages: ReadonlyMap<MessageType | null, RareState> = new Map([
  ["abandonActor", "actorAbandoned"],
  ["cancelObject", "cancelledByBorrower"],
  ["stopLeasedWorker", "cancelledByForce"],
  ["abandonHolds", "holdReleasedUnconfirmed"],
  ["createHolds", "borrowerOfBorrower"],
  ["queryHolds", "holdMakerDied"],
  ["chunk", "pulled"],
  ["copyAdded", "secondaryCopy"],
  ["pinCopy", "copyRepinned"],
  ["leaseRevoked", "leaseRevoked"],
  ["leaseSpilled", "leaseSpilled"],
  ["nodeDied", "nodeDied"],
  ["takenBack", "takenBack"],
]);
