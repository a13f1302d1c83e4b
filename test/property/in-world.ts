/** A program whose result the seed alone decides. */
import { expect } from "vitest";
import type { SimOptions, Simulation } from "#sim/options.ts";
import { simulate } from "#sim/simulate.ts";

/** The result of one run, that a second one must give again. */
export async function inWorld<R>(
  program: (sim: Simulation) => Promise<R>,
  options: Partial<SimOptions> = {},
): Promise<R> {
  const given = { seed: 7, nodes: 1, ...options };
  const first = (await simulate(given, program)).check();
  const second = (await simulate(given, program)).check();
  expect(second).toEqual(first);
  return first;
}
