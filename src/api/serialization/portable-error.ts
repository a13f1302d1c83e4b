/**
 * For a thrown error that cannot travel as it is (an HTTP error that holds its socket): the same
 * class, name, message and stack; a field that cannot travel says so in its place.
 */
import { errorClassNames, errorFields, reviveError, setErrorField } from "./error-envelope.ts";
import { inspectSerializability } from "./inspect-serializability.ts";

/** Causes below this depth become text: a chain may be a cycle. */
const causeDepthMax = 16;

export function portableError(
  error: Error,
  isSpecial: (value: object) => boolean,
  depth = 0,
): Error {
  const portable = reviveError(errorClassNames(error));
  const { keys, values, hiddenCount } = errorFields(
    error,
    (key) => (error as unknown as Record<string, unknown>)[key],
  );
  if (!keys.includes("stack")) delete portable.stack;
  for (const [i, key] of keys.entries()) {
    let value = values[i];
    const problem = inspectSerializability(value, isSpecial);
    if (problem !== undefined) {
      const isNested = value instanceof Error && depth < causeDepthMax;
      value = isNested
        ? portableError(value as Error, isSpecial, depth + 1)
        : `[not serializable: ${problem.reason}]`;
    }
    setErrorField(portable, key, value, i < hiddenCount);
  }
  return portable;
}
