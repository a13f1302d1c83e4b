/** Why an object has no value for whoever asks: the words of OBJECT_LOST and OWNER_DIED. */
import { lostError, ownerDiedError } from "#engine/common/lost-object.ts";
import { FailedValue } from "#engine/protocol/outcome.ts";
import type { ObjectEntry } from "./object-entry.ts";

/** An owner has the entry for as long as anyone may name it, so this one was freed. */
export function freedByOwner(entry: ObjectEntry): FailedValue {
  return new FailedValue(lostError(entry, "its owner has already freed it"), null);
}

export function diedWithOwner(entry: ObjectEntry, why: string): FailedValue {
  return new FailedValue(ownerDiedError(entry, why), null);
}
