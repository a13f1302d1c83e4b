/**
 * Names of states that few runs reach. A set of runs is asked to reach each of them somewhere: a
 * property that never met one says nothing about it.
 */
import type { MessageType } from "#engine/protocol/message.ts";

export type RareState =
  | "actorAbandoned"
  | "cancelledByBorrower"
  | "cancelledByForce"
  | "cancelledOnItsWay"
  | "cancelledQueued"
  | "cancelledRecursively"
  | "cancelledRunning"
  | "driverCrashed"
  | "leaseRevoked"
  | "leaseSpilled"
  | "nodeCrashed"
  | "nodeDied"
  | "nodeRestarted"
  | "sessionResumed"
  | "takenBack"
  | "workerCrashedWhileRunning"
  | "zombieReturned";

/** Reached when such a message is sent from one process to another. */
export const rareMessages: ReadonlyMap<MessageType | null, RareState> = new Map([
  ["abandonActor", "actorAbandoned"],
  ["cancelObject", "cancelledByBorrower"],
  ["stopLeasedWorker", "cancelledByForce"],
  ["leaseRevoked", "leaseRevoked"],
  ["leaseSpilled", "leaseSpilled"],
  ["nodeDied", "nodeDied"],
  ["takenBack", "takenBack"],
]);
