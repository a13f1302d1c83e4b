/** Messages about objects: who has them, who still needs them, and where their bytes may lie. */
import type { Address, WorkerId } from "#engine/common/ids.ts";
import type { EngineError } from "#engine/common/error-type.ts";
import type { ObjectName } from "./task.ts";
import type { HeldRef } from "./hold.ts";
import type { Outcome } from "./outcome.ts";

/** borrower → owner: tell me when it is there, and hold it for me until I release it. */
export interface SubscribeObject {
  readonly type: "subscribeObject";
  readonly from: Address;
  readonly object: ObjectName;
}

/** owner → borrower: the value or error of an object that the borrower subscribed to. */
export interface ObjectState {
  readonly type: "objectState";
  readonly from: Address;
  readonly object: ObjectName;
  readonly outcome: Outcome;
  /** Refs inside that a third process owns. */
  readonly holds: readonly HeldRef[] | null;
}

/** holder → owner: no longer used here. */
export interface ReleaseHolds {
  readonly type: "releaseHolds";
  readonly from: Address;
  readonly objects: readonly ObjectName[];
}

/** Any thread → its node's object store: room for an object or for a chunk of small ones. */
export interface AllocateArena {
  readonly type: "allocateArena";
  readonly from: Address;
  readonly requestId: number;
  readonly size: number;
  /** Rather later than not at all. */
  readonly mayWait: boolean;
}

/** object store → requester. */
export interface ArenaAllocated {
  readonly type: "arenaAllocated";
  readonly from: Address;
  readonly requestId: number;
  readonly segment: number;
  readonly offset: number;
  /** Set when there is no room; then segment and offset mean nothing. */
  readonly error: EngineError | null;
}

/** owner → object store: nobody needs these bytes any more. */
export interface FreeArena {
  readonly type: "freeArena";
  readonly from: Address;
  readonly extents: readonly ArenaExtent[];
}

/** executor → its raylet, ahead of its reply: these results are of that owner on this node. */
export interface ArenaGiven {
  readonly type: "arenaGiven";
  readonly from: Address;
  readonly to: WorkerId;
  readonly extents: readonly ArenaExtent[];
}

/**
 * raylet → processes of its node, behind workerDied: what of the dead process do you still read
 * where it lies? What it had and nobody names is given out again.
 */
export interface AskArenaUse {
  readonly type: "askArenaUse";
  readonly from: Address;
  readonly of: WorkerId;
}

/**
 * process → its raylet, the answer to askArenaUse, and again when it reads less: all that it reads.
 * The last one is empty.
 */
export interface ArenaInUse {
  readonly type: "arenaInUse";
  readonly from: Address;
  readonly of: WorkerId;
  readonly extents: readonly ArenaExtent[];
}

export interface ArenaExtent {
  readonly segment: number;
  readonly offset: number;
  readonly size: number;
}

export type ObjectMessage =
  | SubscribeObject
  | ObjectState
  | ReleaseHolds
  | AllocateArena
  | ArenaAllocated
  | FreeArena
  | ArenaGiven
  | AskArenaUse
  | ArenaInUse;
