/**
 * Messages about the copies of stored objects: where they lie, who needs one here, and their bytes
 * on the way from node to node.
 *
 * A process asks its own raylet for a copy; raylets ask the owner where there is one, and each
 * other for its bytes. The owner's directory says what is kept: every copy that it does not know
 * it answers with freeObjects.
 */
import type { Address, NodeId, WorkerId } from "#engine/common/ids.ts";
import type { ArenaExtent } from "./object.ts";
import type { FrameBytes } from "./arena.ts";
import type { Outcome } from "./outcome.ts";
import type { SpilledPlace } from "./spilled-place.ts";
import type { ObjectName } from "./task.ts";

/** Of a node that has died: whatever has come to it is gone. */
export const everyArrival: number = 2 ** 48 - 1;

/** One version of an object of the sender or receiver who owns it. */
export interface CopyName extends ObjectName {
  readonly version: number;
}

export interface SealedObject extends CopyName {
  readonly owner: WorkerId;
  readonly extent: ArenaExtent;
}

/**
 * process → its raylet: the bytes of these lie here; keep them for their owner until it frees them,
 * and let other nodes have them. Key: requestId of the sender.
 */
export interface ObjectSealed {
  readonly type: "objectSealed";
  readonly from: Address;
  readonly requestId: number;
  readonly objects: readonly SealedObject[];
}

/**
 * raylet → processes of its node: the store is too full; which of your own values does nobody read
 * where they lie? One at a time: asked again when it has been answered.
 */
export interface OfferObjects {
  readonly type: "offerObjects";
  readonly from: Address;
  /** About as many are wanted. */
  readonly bytes: number;
}

/**
 * process → its raylet, the answer to offerObjects: these are yours to move from now on, also to
 * the disk; who needs one asks for it. Empty when there are none. Key: requestId of the sender.
 */
export interface ObjectsOffered {
  readonly type: "objectsOffered";
  readonly from: Address;
  readonly requestId: number;
  readonly objects: readonly SealedObject[];
  /** These as well, once no other process of the node reads them in place: revokePlaces. */
  readonly told: readonly SealedObject[];
}

/** One version of an object of any owner. */
export interface OwnedCopy extends CopyName {
  readonly owner: WorkerId;
}

/**
 * raylet → processes of its node: where these lie is told to nobody any more, and who needs one
 * asks for it; which of them do you not read in place? Key: requestId of the sender; one question
 * at a time.
 */
export interface RevokePlaces {
  readonly type: "revokePlaces";
  readonly from: Address;
  readonly requestId: number;
  readonly objects: readonly OwnedCopy[];
}

/**
 * process → its raylet: these I do not, or no more. At once, perhaps of none; of the others when
 * that is so.
 */
export interface PlacesRevoked {
  readonly type: "placesRevoked";
  readonly from: Address;
  /** Of the last question. */
  readonly requestId: number;
  readonly objects: readonly OwnedCopy[];
}

/**
 * process → its raylet: there was no room in memory for this value of mine, so it lies in a file of
 * its own; from now on it is yours like any that was spilled. Key: requestId of the sender.
 */
export interface ObjectWritten extends CopyName {
  readonly type: "objectWritten";
  readonly from: Address;
  readonly requestId: number;
  readonly place: SpilledPlace;
}

/**
 * raylet → the sender of objectSealed, objectsOffered or objectWritten: from now on others may be
 * told.
 */
export interface ObjectsKept {
  readonly type: "objectsKept";
  readonly from: Address;
  readonly requestId: number;
}

/** For get before wait before arguments of tasks. */
export type PullPriority = 0 | 1 | 2;

/**
 * process → its raylet: bring it here and keep it here for me, until I let go of the request. Key:
 * requestId of the sender; a repeat changes the priority and gets the present answer.
 */
export interface PullObject {
  readonly type: "pullObject";
  readonly from: Address;
  readonly requestId: number;
  readonly owner: WorkerId;
  readonly object: ObjectName;
  readonly priority: PullPriority;
}

/** raylet → the sender of pullObject: it is here, or why it never will be. */
export interface ObjectLocal {
  readonly type: "objectLocal";
  readonly from: Address;
  readonly requestId: number;
  /** Stored in this node's arena; or what the owner has instead of stored bytes. */
  readonly outcome: Outcome;
}

/** process → its raylet: these requests are over, answered or not. */
export interface UnpinObjects {
  readonly type: "unpinObjects";
  readonly from: Address;
  readonly requestIds: readonly number[];
}

/** raylet → owner: where are copies? Asked again when those it named are gone. */
export interface LocateObject {
  readonly type: "locateObject";
  readonly from: Address;
  readonly object: ObjectName;
}

/** owner → raylet: once the object has an outcome, that and the nodes with a copy, best first. */
export interface ObjectLocations {
  readonly type: "objectLocations";
  readonly from: Address;
  readonly object: ObjectName;
  readonly nodes: readonly NodeId[];
  readonly outcome: Outcome;
}

/** raylet → owner: there is one more copy; it goes when its room is needed. */
export interface CopyAdded {
  readonly type: "copyAdded";
  readonly from: Address;
  readonly copy: CopyName;
  /** A node numbers what is brought to it, from 1. */
  readonly arrival: number;
}

/**
 * raylet → owner: that node has none any more, it gave it up, died, or says so. Told by another
 * node it may come late, when the copy has been brought there again.
 */
export interface CopyGone {
  readonly type: "copyGone";
  readonly from: Address;
  readonly copy: CopyName;
  readonly nodeId: NodeId;
  /** The last that had come to that node by then: nothing is said of later ones. */
  readonly lastArrival: number;
  readonly cause: string;
}

/** owner → raylet: the copy there is now the one that must stay. */
export interface PinCopy {
  readonly type: "pinCopy";
  readonly from: Address;
  readonly copy: CopyName;
}

/** raylet → owner. */
export interface CopyPinned {
  readonly type: "copyPinned";
  readonly from: Address;
  readonly copy: CopyName;
  /** False: it was not there any more. */
  readonly isHere: boolean;
}

/**
 * owner → raylets with copies: these versions are needed no more. No others go with them: a task
 * that runs again for one of its returns makes new bytes of all of them.
 */
export interface FreeObjects {
  readonly type: "freeObjects";
  readonly from: Address;
  readonly objects: readonly CopyName[];
}

/** raylet → owner: of a freed object that lay in a segment of its own nothing is read any more. */
export interface SegmentFreed {
  readonly type: "segmentFreed";
  readonly from: Address;
  readonly segment: number;
}

/** raylet → raylet. Key: requestId of the sender. */
export interface PullChunk {
  readonly type: "pullChunk";
  readonly from: Address;
  readonly requestId: number;
  readonly owner: WorkerId;
  readonly copy: CopyName;
  readonly offset: number;
  readonly size: number;
}

/** raylet → the sender of pullChunk. */
export interface Chunk {
  readonly type: "chunk";
  readonly from: Address;
  readonly requestId: number;
  /** To be copied into the frame by whoever encodes it; in the frame it came in. */
  readonly bytes: ArenaExtent | FrameBytes;
}

/** raylet → the sender of pullChunk: no such copy here. */
export interface NotHere {
  readonly type: "notHere";
  readonly from: Address;
  readonly requestId: number;
  /** The last that has come here so far. */
  readonly lastArrival: number;
}

export type CopyMessage =
  | ObjectSealed
  | OfferObjects
  | ObjectsOffered
  | RevokePlaces
  | PlacesRevoked
  | ObjectWritten
  | ObjectsKept
  | PullObject
  | ObjectLocal
  | UnpinObjects
  | LocateObject
  | ObjectLocations
  | CopyAdded
  | CopyGone
  | PinCopy
  | CopyPinned
  | FreeObjects
  | SegmentFreed
  | PullChunk
  | Chunk
  | NotHere;
