/** Why a value cannot travel, without sending it. */
import { SerializationError } from "#api/errors.ts";
import { reasonOf } from "./unserializable.ts";
import { ValueEncoder } from "./value-encoder.ts";

/** The place (from `value` on) and the reason; undefined when it can travel. */
export function inspectSerializability(
  value: unknown,
  isSpecial: (value: object) => boolean = () => false,
): { path: string; reason: string } | undefined {
  try {
    new ValueEncoder(isSpecial).encode(value, "value");
    return undefined;
  } catch (error) {
    if (!(error instanceof SerializationError)) throw error;
    return { path: error.path, reason: reasonOf(error) };
  }
}
