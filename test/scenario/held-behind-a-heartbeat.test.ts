/**
 * Found by random programs: a world was taken for quiet while a message was held up on a link. Only
 * the first frame of a link has a step of its own, and that was a report which nobody waits for.
 */
import { expect, test } from "vitest";
import { get } from "#api/get.ts";
import { remote } from "#api/remote.ts";
import { simulate } from "#sim/simulate.ts";

const leaf = remote((n: number) => n);
const spawning = remote(async (n: number): Promise<number> => {
  await new Promise((resolve) => void setTimeout(resolve, 4));
  for (let i = 0; i < 3; i++) leaf.options({ maxRetries: i }).remote(i);
  return n;
});

test("what is held up is still to come", async () => {
  for (let seed = 0; seed < 30; seed++) {
    const hold = { at: 0, kind: "hold", from: 0, forMs: 3_500 + (seed % 20) } as const;
    const faults = [1, 2].map((to) => ({ ...hold, to }));
    const report = await simulate({ seed, nodes: 3, faults }, () => get(spawning.remote(seed)));
    expect(report.check()).toBe(seed);
  }
});
