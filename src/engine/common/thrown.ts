/**
 * Looks at what user code threw. It may be anything, also what throws when it is looked at (a
 * getter for `message`, a revoked Proxy): nothing here does.
 */

/** `instanceof`, and false for what does not let itself be asked. */
export function isInstance<T>(
  value: unknown,
  cls: abstract new (...args: never[]) => T,
): value is T {
  try {
    return value instanceof cls;
  } catch {
    return false;
  }
}

/** The message of an error; anything else as text. */
export function thrownText(thrown: unknown): string {
  try {
    return String(isInstance(thrown, Error) ? thrown.message : thrown);
  } catch {
    return isInstance(thrown, Error)
      ? "an error whose message cannot be read"
      : "something that cannot be shown as text was thrown";
  }
}

/** As `thrownText`, an error with its name before it. */
export function thrownSummary(thrown: unknown): string {
  const text = thrownText(thrown);
  if (!isInstance(thrown, Error)) return text;
  try {
    return `${String(thrown.name)}: ${text}`;
  } catch {
    return text;
  }
}
