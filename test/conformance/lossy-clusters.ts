/**
 * Clusters whose nodes die at chosen moments, for the cases of Ray that only a simulator can show:
 * each program runs from several seeds, in which only the schedule differs, and comes to the same.
 */
import { expect } from "vitest";
import { get, wait } from "#api/get.ts";
import { ObjectReconstructionFailedError } from "#api/errors.ts";
import type { ObjectRef } from "#api/types.ts";
import { simulate } from "#sim/simulate.ts";
import type { NodeSpec, SimOptions, SimReport, Simulation } from "#sim/options.ts";

/** The driver's node, which never dies; two others, told apart by what they have. */
export const nodes: NodeSpec[] = [
  { resources: { here: 1 } },
  { resources: { there: 1 } },
  { resources: { beyond: 1 } },
];
export const here = { resources: { here: 0.1 } };
export const there = { resources: { there: 0.1 } };
export const beyond = { resources: { beyond: 0.1 } };

export const size = 4_000;
const seedCount = 4;
/** What is returned lies in a store, and not inside of messages. */
export const stored = { systemConfig: { inlineBytesMax: 64 } };

/** From every seed; what the program expects holds in each, and no oracle objects. */
export async function inClusters(
  program: (sim: Simulation) => Promise<void>,
  options: Partial<SimOptions> = {},
): Promise<SimReport<void>[]> {
  const reports: SimReport<void>[] = [];
  for (let seed = 0; seed < seedCount; seed++) {
    const report = await simulate({ seed, nodes, init: stored, ...options }, program);
    report.check();
    reports.push(report);
  }
  return reports;
}

/** The machine loses all that it had, and is back as a new node. */
export function replace(sim: Simulation, node: number): void {
  sim.crash(node);
  sim.restart(node);
}

export function bytesOf(n: number): Uint8Array {
  return new Uint8Array(size).fill(n);
}

export function sumOf(bytes: Uint8Array): number {
  return bytes.reduce((sum, byte) => sum + byte, 0);
}

/** They have values, and nothing of them came to the driver's node. */
export async function areMade(...refs: readonly ObjectRef<unknown>[]): Promise<void> {
  await wait(refs, { numReturns: refs.length, fetchLocal: false });
}

/** It is lost for good: the reason, by its name. */
export async function reasonOf(ref: ObjectRef<unknown>): Promise<string> {
  const error = await get(ref).then(
    () => null,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(ObjectReconstructionFailedError);
  return (error as ObjectReconstructionFailedError).reason;
}

export function drop(...refs: readonly ObjectRef<unknown>[]): void {
  for (const ref of refs) ref[Symbol.dispose]();
}
