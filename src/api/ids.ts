/**
 * Ids as a user meets them: lower-case hex, one brand a kind: an id of one kind is no id of
 * another.
 */
import type { ActorId, JobId, NodeId, WorkerId } from "#engine/common/ids.ts";

export type { ActorId, JobId, NodeId, WorkerId };

declare const brand: unique symbol;
type Id<N extends string> = string & { readonly [brand]: N };

export type ObjectId = Id<"Object">;
export type TaskId = Id<"Task">;
export type ActorClassId = Id<"ActorClass">;
export type FunctionId = Id<"Function">;
export type PlacementGroupId = Id<"PlacementGroup">;
export type ClusterId = Id<"Cluster">;
export type UniqueId =
  | ActorClassId
  | ActorId
  | ClusterId
  | FunctionId
  | JobId
  | NodeId
  | ObjectId
  | PlacementGroupId
  | TaskId
  | WorkerId;
