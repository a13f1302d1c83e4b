/** What is told of an object that has no value any more, wherever that is found out. */
import type { WorkerId } from "./ids.ts";
import { objectIdHex, objectKey } from "./ids.ts";
import type { EngineError } from "./error-type.ts";
import { engineError } from "./error-type.ts";

export interface ObjectOf {
  readonly owner: WorkerId;
  readonly serial: number;
  readonly index: number;
}

export function lostError(object: ObjectOf, why: string): EngineError {
  const subject = subjectOf(object);
  return engineError("OBJECT_LOST", `object ${subject} is lost: ${why}`, subject);
}

export function ownerDiedError(object: ObjectOf, why: string): EngineError {
  const subject = subjectOf(object);
  return engineError("OWNER_DIED", `object ${subject} is lost with its owner: ${why}`, subject);
}

export function subjectOf({ owner, serial, index }: ObjectOf): string {
  return objectIdHex(owner, objectKey(serial, index));
}
