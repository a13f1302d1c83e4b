/** What a pull comes to: the place of a copy that is here, or why there is none. */
import { assert } from "#engine/common/assert.ts";
import type { EngineError } from "#engine/common/error-type.ts";
import type { NodeId } from "#engine/common/ids.ts";
import { subjectOf } from "#engine/common/lost-object.ts";
import { type CopyGone, everyArrival } from "#engine/protocol/copy.ts";
import { noSpecials, StoredValue } from "#engine/protocol/outcome.ts";
import type { ObjectStore } from "#engine/object-store/object-store.ts";
import type { Copy } from "./copy.ts";
import type { Pull } from "./pull.ts";

/** Where there is no copy any more, and why. */
export type Lost = Pick<CopyGone, "nodeId" | "lastArrival" | "cause">;

export function died(nodeId: NodeId, reason = ""): Lost {
  return { nodeId, lastArrival: everyArrival, cause: reason };
}

export function localValue({ extent, version }: Copy, self: NodeId): StoredValue {
  assert(extent !== null, "what is read is in memory");
  const { segment, offset, size } = extent;
  return new StoredValue(segment, offset, size, noSpecials, self, version);
}

export function fullError(store: ObjectStore, pull: Pull, why: string): EngineError {
  const object = subjectOf(pull);
  const where = pull.copy === null ? "lies on another node" : "was spilled to the disk";
  const text =
    `object ${object} of ${pull.size} bytes ${where}, and there is no room for it ` +
    `in the object store of this one: ${why}${store.beyond}`;
  const advice =
    "let go of large values that are no longer needed, or give the node more objectStoreMemory";
  return store.shortage(text, advice, object);
}
