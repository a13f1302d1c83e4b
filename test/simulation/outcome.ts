/** What a ref came to beside what it should: a fault may take a value away, never change it. */
import { get, MobulaError, type ObjectRef, ObjectStoreFullError, TaskError } from "mobula";

/** Null when it is right, a fault took it, or its time was up; else what was wrong. */
export async function settle<T>(
  ref: ObjectRef<T>,
  expected: T | Error,
  within: { readonly timeoutMs?: number } = {},
): Promise<string | null> {
  try {
    const value = await get(ref, within);
    return value === expected ? null : `expected ${String(expected)}, got ${String(value)}`;
  } catch (error) {
    if (!(error instanceof MobulaError)) return `not an error of ours: ${String(error)}`;
    if (!(error instanceof TaskError)) return null;
    const cause = rootOf(error);
    if (!(cause instanceof Error) || cause instanceof MobulaError) return null;
    const isExpected = expected instanceof Error && cause.message === expected.message;
    return isExpected ? null : `expected ${String(expected)}, got ${String(cause)}`;
  }
}

/** Throws what was wrong with any of them, all at once. */
export async function settleAll(settling: readonly Promise<string | null>[]): Promise<void> {
  const wrong = (await Promise.all(settling)).filter((outcome) => outcome !== null);
  if (wrong.length > 0) throw new Error(wrong.join("\n"));
}

/** Null when a fault took it. */
export async function valueOf<T>(promise: Promise<T>): Promise<T | null> {
  try {
    return await promise;
  } catch (error) {
    if (error instanceof MobulaError) return null;
    throw error;
  }
}

/** What a put or a call gives; null where memory and disk are both full, as drawn ones may be. */
export function ifRoom<T>(make: () => T): T | null {
  try {
    return make();
  } catch (error) {
    if (error instanceof ObjectStoreFullError) return null;
    throw error;
  }
}

function rootOf(error: Error): unknown {
  let cause: unknown = error;
  while (cause instanceof TaskError && cause.cause !== undefined) cause = cause.cause;
  return cause;
}

/** By which the programs tell bytes apart. */
export function sumOf(bytes: Uint8Array): number {
  return bytes.reduce((total, byte) => total + byte, 0);
}
