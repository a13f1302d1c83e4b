/** Choices of what comes next: orders of events as plain values, that shrink. */
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { get, remote } from "#api/index.ts";
import { choices } from "#sim/fast-check.ts";
import type { SimOptions } from "#sim/options.ts";
import { simulate } from "#sim/simulate.ts";

/** In which order the tasks of tasks have run. */
async function orderOf(options: Omit<SimOptions, "seed">) {
  const report = await simulate({ seed: 1, choicesOnly: true, ...options }, async () => {
    const log: number[] = [];
    const note = remote((item: number) => void log.push(item));
    const pair = remote((item: number) => get([note.remote(item), note.remote(item + 1)]));
    await get([10, 20, 30, 40].map((item) => pair.remote(item)));
    return log.join();
  });
  return { order: report.check(), hash: report.traceHash };
}

test.each([1, 3])(
  "of one seed make many runs, and orders that a program sees: %i nodes",
  async (nodes) => {
    const lists = fc.sample(choices(), { numRuns: 60, seed: 4 });
    const hashes = new Set<string>();
    const orders = new Set<string>();
    for (const list of lists) {
      const { order, hash } = await orderOf({ nodes, choices: list });
      hashes.add(hash);
      orders.add(order);
    }
    expect(hashes.size).toBeGreaterThan(40);
    expect(orders.size).toBeGreaterThan(5);
  },
);

test("of 0 are first come, first served: as none", async () => {
  const none = await orderOf({});
  expect(await orderOf({ choices: Array.from({ length: 500 }, () => 0) })).toEqual(none);
});

test("shrink to the few that make the order another", async () => {
  const { order: usual } = await orderOf({});
  const property = fc.asyncProperty(choices({ maxLength: 60 }), async (list) => {
    return (await orderOf({ choices: list })).order === usual;
  });
  const { failed, counterexample } = await fc.check(property, { seed: 7, numRuns: 50 });
  expect(failed).toBe(true);
  const [list = []] = counterexample ?? [];
  expect(list.filter((choice) => choice !== 0).length).toBeLessThanOrEqual(2);
});
