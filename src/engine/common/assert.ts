/**
 * Always-on checks for our own mistakes: what a user can cause is an ErrorType, never an assertion.
 */

export class AssertionError extends Error {
  override readonly name = "AssertionError";
}

export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionError(`mobula: internal invariant broken: ${message}`);
}

/** For the default branch of a switch over a union: a new member is then a type error. */
export function unreachable(value: never, what: string): never {
  throw new AssertionError(
    `mobula: internal invariant broken: unexpected ${what}: ${String(value)}`,
  );
}
