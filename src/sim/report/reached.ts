/**
 * Names of states that few runs reach. A set of runs is asked to reach each of them somewhere: a
 * property that never met one says nothing about it.
 */
import type { AttemptCounts } from "#engine/core-worker/task-retries.ts";
import type { MessageType } from "#engine/protocol/message.ts";

export type RareState =
  | "actorAbandoned"
  | "actorJoined"
  | "actorNeededAfterItsEnd"
  | "actorOutOfScope"
  | "attemptRefused"
  | "borrowerOfBorrower"
  /** Transferred buffers were given to another node as a copy. */
  | "buffersCopied"
  /** A task could not run again since its buffers had gone with it. */
  | "buffersLost"
  | "buffersMoved"
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
  /** Threads were ended because their machine was short of memory. */
  | "endedForMemory"
  /** A process ended in the midst of writing a file for itself. */
  | "endedWhileWriting"
  /** … and the raylet, which had never heard of it, removed what it left. */
  | "fileLeft"
  | "holdMakerDied"
  | "holdReleasedUnconfirmed"
  /** A grant was under way when its link was cut: the request stands, the grant is sent again. */
  | "leaseReRequestedWhileGranting"
  | "leaseRevoked"
  | "leaseSpilled"
  | "maxRetriesExhausted"
  | "nodeCrashed"
  | "nodeDied"
  | "nodeRestarted"
  | "objectRecovered"
  /** A machine came back under the id of its last life: the GCS told it that this one is dead. */
  | "oldIdRefused"
  | "objectStoreFull"
  /** A task came with the place of a value that its arguments only name. */
  | "placeTold"
  | "pulled"
  /** Something of a dead process was still read where it lay. */
  | "readOfTheDead"
  /** A raylet was asked why bytes are not here, and has told. */
  | "pullExplained"
  | "pullRetried"
  | "secondaryCopy"
  /** … before the GCS had found out that it was gone. */
  | "restartedUnnoticed"
  /** Processes were asked what they read of a dead one, whose room is given out again. */
  | "reclaimed"
  /** … and segments that it had made for itself. */
  | "segmentsReclaimed"
  /** The store grew for what somebody waited for. */
  | "overflowed"
  /** … or had no memory for that. */
  | "overflowRefused"
  | "retried"
  | "retriedException"
  /** A value was spilled whose place others than its owner had been told. */
  | "revokedSpilled"
  | "sessionResumed"
  | "fallback"
  /** A machine came back with its disk: what its former life had spilled was removed. */
  | "formerFilesRemoved"
  | "spilled"
  /** What was read is not what was written. */
  | "spillCorrupt"
  /** What was written, or was to be, could not be read or written at first. */
  | "spillFailed"
  | "spillReadFailed"
  /** … and then it was. */
  | "spillReadAgain"
  /** A copy was given up, since it could not be read. */
  | "spillLost"
  | "spillRestored"
  | "spillServed"
  | "takenBack"
  /** … which was lost with its link, and sent again. */
  | "takeBackLost"
  /** What was optional waited until its peer had read of what was under way. */
  | "waitedForRoom"
  /** Another process was asked why something waits, and told. */
  | "waitExplained"
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
  ["askArenaUse", "reclaimed"],
  ["actorJoined", "actorJoined"],
  ["actorOutOfScope", "actorOutOfScope"],
  ["buffersCopied", "buffersCopied"],
  ["cancelObject", "cancelledByBorrower"],
  ["explained", "waitExplained"],
  ["stopLeasedWorker", "cancelledByForce"],
  ["abandonHolds", "holdReleasedUnconfirmed"],
  ["createHolds", "borrowerOfBorrower"],
  ["queryHolds", "holdMakerDied"],
  ["chunk", "pulled"],
  ["copyAdded", "secondaryCopy"],
  ["pinCopy", "copyRepinned"],
  ["pullExplained", "pullExplained"],
  ["leaseRevoked", "leaseRevoked"],
  ["objectWritten", "fallback"],
  ["leaseSpilled", "leaseSpilled"],
  ["nodeDied", "nodeDied"],
  ["takenBack", "takenBack"],
]);

/** Reached when such a message was on a link that was cut, and is sent again on the next. */
export const rareResent: ReadonlyMap<MessageType, RareState> = new Map([
  ["leaseGranted", "leaseReRequestedWhileGranting"],
  ["takenBack", "takeBackLost"],
]);
