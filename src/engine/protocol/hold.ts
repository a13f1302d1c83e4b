/**
 * Messages about holds that one process makes at an owner for another. A hold's id is (maker,
 * counter of the maker); it is *unconfirmed*, and the maker's to give up, until its holder has the
 * ref. Then it is one more of the holder's own.
 */
import type { EngineError } from "#engine/common/error-type.ts";
import type { Address, WorkerId } from "#engine/common/ids.ts";
import type { ObjectName } from "./task.ts";

/** A hold that is to be made at the owner of the object. */
export interface HoldToMake extends ObjectName {
  readonly hold: number;
  readonly holder: WorkerId;
}

/** A ref that travels with a hold which its sender has made for the receiver. */
export interface HeldRef extends ObjectName {
  readonly owner: WorkerId;
  readonly hold: number;
}

export interface HoldId {
  readonly maker: WorkerId;
  readonly hold: number;
}

/** borrower → owner, before it sends refs on to `holder`, or for itself. Key: (from, hold). */
export interface CreateHolds {
  readonly type: "createHolds";
  readonly from: Address;
  readonly holds: readonly HoldToMake[];
}

/** owner → maker: these are there; these objects were gone. */
export interface HoldsCreated {
  readonly type: "holdsCreated";
  readonly from: Address;
  readonly created: readonly number[];
  readonly gone: readonly number[];
}

/** holder → owner: I have the refs that these were made for. */
export interface ConfirmHolds {
  readonly type: "confirmHolds";
  readonly from: Address;
  readonly holds: readonly HoldId[];
}

/** maker → owner: what these were made for was never sent. */
export interface AbandonHolds {
  readonly type: "abandonHolds";
  readonly from: Address;
  readonly holds: readonly number[];
}

/** owner → holder: the maker has died; take nothing more from it, then say so. Key: maker. */
export interface QueryHolds {
  readonly type: "queryHolds";
  readonly from: Address;
  readonly maker: WorkerId;
  readonly error: EngineError;
}

/**
 * holder → owner: what I have of the maker I have confirmed, on this very link; the rest will never
 * come.
 */
export interface HoldsQueried {
  readonly type: "holdsQueried";
  readonly from: Address;
  readonly maker: WorkerId;
}

export type HoldMessage =
  | CreateHolds
  | HoldsCreated
  | ConfirmHolds
  | AbandonHolds
  | QueryHolds
  | HoldsQueried;
