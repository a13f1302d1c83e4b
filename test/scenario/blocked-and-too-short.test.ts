/**
 * Seed 3109 of the random programs: tasks so short that one worker does for all of them, whose only
 * worker was blocked. No other was asked for, so a task that the blocked one waited for never ran.
 */
import { expect, test } from "vitest";
import { get } from "#api/get.ts";
import { remote } from "#api/remote.ts";
import type { ObjectRef } from "#api/types.ts";
import { simulate } from "#sim/simulate.ts";

const late = remote(async (n: number) => {
  await new Promise((resolve) => setTimeout(resolve, 40));
  return n;
});
const step = remote((n: number, waitsFor: ObjectRef<number>[]): number | Promise<number> => {
  const [ref] = waitsFor;
  return ref === undefined ? n : get(ref).then((value) => n + value);
});

test("a short task behind a blocked one of its kind gets a worker of its own", async () => {
  for (let seed = 0; seed < 10; seed++) {
    const report = await simulate({ seed, nodes: 1 }, async () => {
      for (let i = 0; i < 3; i++) await get(step.remote(i, []));
      const waitedFor = step.remote(late.remote(1), []);
      return get(step.remote(10, [waitedFor]));
    });
    expect(report.check()).toBe(11);
  }
});
