/**
 * Found by choices of what arrives first: a worker ended between the grant of its lease and the
 * push, whose sender had not heard of it. It rightly said where the task had been sent; the oracle
 * of reasons had seen no frame, since none travels to a process that is gone.
 */
import { expect, test } from "vitest";
import { get, GetTimeoutError, remote } from "#api/index.ts";
import type { Fault } from "#sim/faults/fault.ts";
import { simulate } from "#sim/simulate.ts";

test("a task that was sent to a worker that is gone was sent there", async () => {
  const slow = { kind: "slowLink", from: 0, to: 0, delayMs: 100, forMs: 10_000 } as const;
  const crashes = [0, 1].map((worker) => {
    return { at: 50, kind: "crashWorker", node: 0, worker } as const;
  });
  const faults: Fault[] = [{ at: 0, ...slow }, ...crashes];
  const nodes = [{ numCpus: 1 }];
  const report = await simulate({ seed: 1, nodes, faults }, async () => {
    const double = remote((n: number) => 2 * n);
    const ref = double.remote(1);
    const early = await get(ref, { timeoutMs: 240 }).catch((error: unknown) => error);
    return { early, late: await get(ref) };
  });
  const { early, late } = report.check();
  expect(early).toBeInstanceOf(GetTimeoutError);
  expect(String(early)).toMatch(/it was sent to worker/);
  expect(late).toBe(2);
});
