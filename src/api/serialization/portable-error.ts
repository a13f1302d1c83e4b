/**
 * For a thrown error that cannot travel as it is (it holds a socket, a getter of it throws): the
 * same class, name, message and stack; a field that cannot travel says so in its place.
 */
import { isInstance, thrownText } from "#engine/common/thrown.ts";
import {
  errorClassNames,
  errorFields,
  type ErrorFields,
  reviveError,
  setErrorField,
} from "./error-envelope.ts";

/** Causes below this depth become text: a chain may be a cycle. */
const causeDepthMax = 16;
const noFields: ErrorFields = { keys: [], values: [], hiddenCount: 0 };

/** Never throws. `whyNot`: why a value cannot travel; undefined when it can. */
export function portableError(
  error: Error,
  whyNot: (value: unknown) => string | undefined,
  depth = 0,
): Error {
  const portable = reviveError(attempt(() => errorClassNames(error), []));
  const { keys, values, hiddenCount } = attempt(
    () => errorFields(error, (key, convert) => readField(error, key, convert)),
    noFields,
  );
  if (!keys.includes("stack")) delete portable.stack;
  for (const [i, key] of keys.entries()) {
    let value = values[i];
    const reason = whyNot(value);
    if (reason !== undefined) {
      const isNested = isInstance(value, Error) && depth < causeDepthMax;
      value = isNested ? portableError(value as Error, whyNot, depth + 1) : lost(reason);
    }
    setErrorField(portable, key, value, i < hiddenCount);
  }
  return portable;
}

function readField(error: Error, key: string, convert: (value: unknown) => unknown): unknown {
  try {
    return convert((error as unknown as Record<string, unknown>)[key]);
  } catch (thrown) {
    return lost(`reading it threw: ${thrownText(thrown)}`);
  }
}

function lost(reason: string): string {
  return `[not serializable: ${reason}]`;
}

/** A Proxy may refuse to be asked at all. */
function attempt<T>(look: () => T, otherwise: T): T {
  try {
    return look();
  } catch {
    return otherwise;
  }
}
