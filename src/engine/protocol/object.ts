/** Messages about objects: who has them, who still needs them, and where their bytes may lie. */
import type { Address } from "#engine/common/ids.ts";
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
  | FreeArena;
