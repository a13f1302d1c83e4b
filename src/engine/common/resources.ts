/**
 * Amounts of resources in Ray's fixed point: integers of 1/10,000, so that 0.1 + 0.2 is 0.3.
 *
 * A request is immutable and shared by all tasks of one remote function; a node's ledger (raylet)
 * is mutable.
 */

export const fixedPointScale = 10_000;

/** Name → amount in 1/10,000, names in rising order, no zero entries. */
export type ResourceRequest = ReadonlyMap<string, number>;

export const cpuName = "CPU";
export const gpuName = "GPU";
export const memoryName = "memory";

export function toFixedPoint(amount: number): number {
  return Math.round(amount * fixedPointScale);
}

export function fromFixedPoint(amount: number): number {
  return amount / fixedPointScale;
}

/** Drops zeros and orders the names, so that equal requests have equal keys. */
export function makeRequest(amounts: Iterable<readonly [string, number]>): ResourceRequest {
  const entries = [...amounts].filter(([, amount]) => amount !== 0);
  entries.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return new Map(entries);
}

export function requestKey(request: ResourceRequest): string {
  let key = "";
  for (const [name, amount] of request) key += `${name}=${amount};`;
  return key;
}

/** As a person writes it: `{CPU: 1, GPU: 0.5}`. */
export function formatResources(amounts: ReadonlyMap<string, number>): string {
  const parts: string[] = [];
  for (const [name, amount] of amounts) parts.push(`${name}: ${fromFixedPoint(amount)}`);
  return `{${parts.join(", ")}}`;
}

export function toRecord(amounts: ReadonlyMap<string, number>): Record<string, number> {
  const record: Record<string, number> = {};
  for (const [name, amount] of amounts) record[name] = fromFixedPoint(amount);
  return record;
}
