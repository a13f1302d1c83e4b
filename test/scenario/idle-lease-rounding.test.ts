/**
 * Seed 7 of the first simulated program: an idle lease was due at idleSince + 500 ms, but now -
 * idleSince rounded to just below 500, so its check was set again for the same moment, for ever.
 */
import { expect, test } from "vitest";
import { defaultConfig } from "#engine/common/config.ts";
import { DeadlineQueue } from "#engine/common/deadline-queue.ts";
import { simulate } from "#sim/simulate.ts";
import { get } from "#api/get.ts";
import { remote } from "#api/remote.ts";

const add = remote((a: number, b: number) => a + b);

test("a sum and a difference of the same times disagree", () => {
  const idleSinceMs = 62.76064882347173;
  const releaseAtMs = idleSinceMs + defaultConfig.idleLeaseMs;
  expect(releaseAtMs - idleSinceMs).toBeLessThan(defaultConfig.idleLeaseMs);
  const queue = new DeadlineQueue<string>();
  queue.add(releaseAtMs, "lease");
  expect(queue.takeDue(releaseAtMs)).toBe("lease");
});

test("idle leases go back in every world", async () => {
  for (let seed = 0; seed < 25; seed++) {
    const report = await simulate({ seed }, async () => {
      return get(Array.from({ length: 6 }, (_, i) => add.remote(i, add.remote(i, 1))));
    });
    expect(report.check()).toEqual([1, 3, 5, 7, 9, 11]);
  }
});
