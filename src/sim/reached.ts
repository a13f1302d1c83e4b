/**
 * Names of states that few runs reach. A set of runs is asked to reach each of them somewhere: a
 * property that never met one says nothing about it.
 */
import type { MessageType } from "#engine/protocol/message.ts";

export type RareState =
  | "actorAbandoned"
  | "copyEvicted"
  | "copyLost"
  | "copyRepinned"
  | "driverCrashed"
  | "leaseRevoked"
  | "leaseSpilled"
  | "nodeCrashed"
  | "nodeDied"
  | "nodeRestarted"
  | "pulled"
  | "pullRetried"
  | "secondaryCopy"
  | "sessionResumed"
  | "takenBack"
  | "workerCrashedWhileRunning"
  | "zombieReturned";

/** Reached when such a message is sent from one process to another. */
export const rareMessages: ReadonlyMap<MessageType | null, RareState> = new Map([
  ["abandonActor", "actorAbandoned"],
  ["chunk", "pulled"],
  ["copyAdded", "secondaryCopy"],
  ["pinCopy", "copyRepinned"],
  ["leaseRevoked", "leaseRevoked"],
  ["leaseSpilled", "leaseSpilled"],
  ["nodeDied", "nodeDied"],
  ["takenBack", "takenBack"],
]);
