/**
 * Names of states that few runs reach. A set of runs is asked to reach each of them somewhere: a
 * property that never met one says nothing about it.
 */
import type { MessageType } from "#engine/protocol/message.ts";

export type RareState =
  | "actorAbandoned"
  | "borrowerOfBorrower"
  | "driverCrashed"
  | "holdMakerDied"
  | "holdReleasedUnconfirmed"
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
  ["abandonHolds", "holdReleasedUnconfirmed"],
  ["createHolds", "borrowerOfBorrower"],
  ["queryHolds", "holdMakerDied"],
  ["leaseRevoked", "leaseRevoked"],
  ["leaseSpilled", "leaseSpilled"],
  ["nodeDied", "nodeDied"],
  ["takenBack", "takenBack"],
]);
