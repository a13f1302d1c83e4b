/**
 * A thread that is ended for want of memory costs its task an attempt of a budget of its own,
 * beside those that exceptions and crashes cost. The oracle of tasks knew of one budget only.
 */
import { expect, test } from "vitest";
import { get, getRuntimeContext, remote } from "#api/index.ts";
import { simulate } from "#sim/simulate.ts";

test("an attempt lost to want of memory is beside those of maxRetries", async () => {
  const nodes = [{ numCpus: 1 }];
  const faults = [{ at: 20, kind: "memoryPressure", node: 0, bytes: 1 << 30, forMs: 100 } as const];
  const attempts: number[] = [];
  const report = await simulate({ seed: 1, nodes, faults }, () => {
    const late = remote({ maxRetries: 1, retryExceptions: true }, async () => {
      const { attemptNumber } = getRuntimeContext();
      attempts.push(attemptNumber);
      if (attemptNumber === 0) throw new Error("not yet");
      await new Promise((resolve) => setTimeout(resolve, 100));
      return attemptNumber;
    });
    return get(late.remote());
  });
  expect(report.check()).toBe(2);
  expect(attempts).toEqual([0, 1, 2]);
  expect(report.reached).toContain("endedForMemory");
});
