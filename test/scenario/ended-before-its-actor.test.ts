/**
 * Found by `npm run sim`: a thread that has an actor may be ended for want of memory before the
 * news of that actor reaches it. The oracle took it for one that was idle, and did not believe that
 * anything had happened to the actor.
 */
import { expect, test } from "vitest";
import { get, remote } from "#api/index.ts";
import { simulate } from "#sim/simulate.ts";

const Counter = remote(
  class Counter {
    count(): number {
      return 1;
    }
  },
);

test("an actor dies with its thread, which has not heard of it", async () => {
  const faults = [
    { at: 10, kind: "slowLink", from: 0, to: 0, delayMs: 70, forMs: 250 } as const,
    { at: 140, kind: "memoryPressure", node: 0, bytes: 1 << 30, forMs: 400 } as const,
  ];
  const nodes = [{ numCpus: 1 }];
  const report = await simulate({ seed: 1, nodes, faults }, async (sim) => {
    await sim.sleep(40);
    const counter = Counter.remote();
    return get(counter.count.remote()).catch((error: Error) => error.name);
  });
  expect(report.check()).toBe("ActorDiedError");
  expect(report.reached).toContain("endedForMemory");
});
