/** Results that the contract streams: until this version can, they are refused, never flattened. */
import { SerializationError } from "./errors.ts";
import { isSpecial } from "./specials.ts";

/** A handle answers every name, a remote function any call: those travel as they are. */
export function refuseStream(result: unknown, taskName: string): void {
  if (typeof result !== "object" || result === null || isSpecial(result)) return;
  if (!isStream(result)) return;
  throw new SerializationError(
    `${taskName} returned a generator, which this version does not stream yet: return an array`,
    { path: "result" },
  );
}

/** Anything with `next()` and any async iterable, as `Returned` of the contract has it. */
function isStream(result: object): boolean {
  const { next } = result as { next?: unknown };
  if (typeof next === "function" && !isSpecial(next)) return true;
  return Symbol.asyncIterator in result;
}
