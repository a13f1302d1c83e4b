/** What programs compute, and how their operands name slots: the same for all who run them. */

/** Fits a double whatever the number of values. */
const modulus = 1_000_003;

export function numberOfBody(own: number, values: readonly number[]): number {
  return values.reduce((sum, n) => (sum * 31 + n) % modulus, own);
}

export function numberOfCall(values: readonly number[], nestedCount: number): number {
  return numberOfBody(7 + nestedCount, values);
}

/** Undefined when there is nothing to choose from. */
export function pick<T>(items: readonly T[], at: number): T | undefined {
  return items[at % Math.max(1, items.length)];
}

/** Each item once at most. */
export function pickSome<T>(items: readonly T[], places: readonly number[]): T[] {
  if (items.length === 0) return [];
  return [...new Set(places.map((at) => items[at % items.length] as T))];
}
