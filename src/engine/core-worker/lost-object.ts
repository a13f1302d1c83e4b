/** Why an object has no value for whoever asks: the words of OBJECT_LOST and OWNER_DIED. */
import { engineError } from "#engine/common/error-type.ts";
import { objectIdHex, objectKey } from "#engine/common/ids.ts";
import { FailedValue } from "#engine/protocol/outcome.ts";
import type { ObjectEntry } from "./object-entry.ts";

/** An owner has the entry for as long as anyone may name it, so this one was freed. */
export function freedByOwner(entry: ObjectEntry): FailedValue {
  const subject = subjectOf(entry);
  const text = `object ${subject} is lost: its owner has already freed it`;
  return new FailedValue(engineError("OBJECT_LOST", text, subject), null);
}

export function diedWithOwner(entry: ObjectEntry, why: string): FailedValue {
  const subject = subjectOf(entry);
  const text = `object ${subject} is lost with its owner: ${why}`;
  return new FailedValue(engineError("OWNER_DIED", text, subject), null);
}

function subjectOf({ owner, serial, index }: ObjectEntry): string {
  return objectIdHex(owner, objectKey(serial, index));
}
