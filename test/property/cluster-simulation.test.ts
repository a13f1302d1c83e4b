/** Worlds of several nodes: where work goes, what the end of a node costs, links that break. */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ActorDiedError, NodeDiedError, WorkerCrashedError } from "#api/errors.ts";
import { get } from "#api/get.ts";
import { remote } from "#api/remote.ts";
import { getRuntimeContext } from "#api/runtime-context.ts";
import { simOptions } from "#sim/fast-check.ts";
import { type Fault, kindsFor } from "#sim/faults/fault.ts";
import { simulate } from "#sim/simulate.ts";
import type { Simulation, SimOptions } from "#sim/options.ts";

const square = remote((n: number) => n * n);
const whereAmI = remote(async (ms: number) => {
  await new Promise((resolve) => setTimeout(resolve, ms));
  return getRuntimeContext().nodeId as string;
});
const echo = remote(async (text: string) => {
  await new Promise((resolve) => setTimeout(resolve, 100));
  return text.length;
});
const sumOfSquares = remote(async (n: number) => {
  const squares = await get(Array.from({ length: n }, (_, i) => square.remote(i)));
  return squares.reduce((a, b) => a + b, 0);
});
const Counter = remote(
  class Counter {
    #n = 0;
    increment(): number {
      this.#n += 1;
      return this.#n;
    }
  },
);

/** Rounds that last as long as most faults; a round that a fault hit says which. */
async function rounds(sim: Simulation): Promise<(number[] | string)[]> {
  const results: (number[] | string)[] = [];
  for (let round = 0; round < 5; round++) {
    const counter = round % 2 === 0 ? Counter.remote() : null;
    try {
      const sums = await get([4, 5, 6].map((n) => sumOfSquares.remote(n)));
      const counts =
        counter === null ? [] : await get([1, 2].map(() => counter.increment.remote()));
      results.push([...sums, ...counts]);
    } catch (error) {
      results.push(lossOf(error));
    }
    await sim.sleep(400);
  }
  return results;
}

/** The name of an error that a fault may cause; everything else is wrong. */
function lossOf(error: unknown): string {
  const cause = (error as Error).cause;
  const losses = [WorkerCrashedError, NodeDiedError, ActorDiedError];
  const known = losses.find((type) => error instanceof type || cause instanceof type);
  if (known === undefined) throw error;
  return known.name;
}

function checkRounds(results: readonly (number[] | string)[]): void {
  for (const [round, result] of results.entries()) {
    if (typeof result === "string") continue;
    expect(result).toEqual(round % 2 === 0 ? [14, 30, 55, 1, 2] : [14, 30, 55]);
  }
}

describe("a cluster in one world", () => {
  test("work goes where there is room", async () => {
    const report = await simulate({ seed: 1, nodes: [{}, { numCpus: 4 }, {}] }, async (sim) => {
      await sim.sleep(100);
      return get(Array.from({ length: 8 }, () => whereAmI.remote(200)));
    });
    const perNode = new Map<string, number>();
    for (const node of report.check()) perNode.set(node, (perNode.get(node) ?? 0) + 1);
    expect([...perNode.values()].sort()).toEqual([2, 2, 4]);
    expect(report.reached).toContain("leaseSpilled");
  });

  test("a node that crashes costs what ran there, and a new one takes its place", async () => {
    const faults: Fault[] = [{ at: 300, kind: "crash", node: 1, restartAfterMs: 1_000 }];
    const report = await simulate({ seed: 2, nodes: 2, faults }, async (sim) => {
      await sim.sleep(100);
      const once = whereAmI.options({ maxRetries: 0 });
      const refs = Array.from({ length: 4 }, () => once.remote(1_000));
      const first = await Promise.allSettled(refs.map((ref) => get(ref)));
      await sim.sleep(1_000);
      return [first, await get(Array.from({ length: 4 }, () => whereAmI.remote(1_000)))] as const;
    });
    const [first, second] = report.check();
    const lost = first.flatMap((one) => (one.status === "rejected" ? [String(one.reason)] : []));
    expect(lost).toHaveLength(2);
    expect(lost[0]).toMatch(/NodeDiedError: task .* node [0-9a-f]{32} died/);
    expect(new Set(second).size).toBe(2);
    expect(report.violations).toEqual([]);
    expect(report.reached).toEqual(expect.arrayContaining(["nodeDied", "nodeRestarted"]));
  });

  test("what ran on a node that crashed runs again where there is room", async () => {
    const faults: Fault[] = [{ at: 300, kind: "crash", node: 1 }];
    const report = await simulate({ seed: 2, nodes: 2, faults }, async (sim) => {
      await sim.sleep(100);
      return get(Array.from({ length: 4 }, () => whereAmI.remote(1_000)));
    });
    expect(new Set(report.check()).size).toBe(1);
    expect(report.reached).toEqual(expect.arrayContaining(["nodeDied", "retried"]));
  });

  test("a node that stood still for too long comes back as another", async () => {
    const faults: Fault[] = [{ at: 200, kind: "pause", node: 1, forMs: 30_000 }];
    const report = await simulate({ seed: 3, nodes: 2, faults }, async (sim) => {
      await sim.sleep(60_000);
      return get(Array.from({ length: 4 }, () => whereAmI.remote(500)));
    });
    expect(new Set(report.check()).size).toBe(2);
    expect(report.reached).toContain("zombieReturned");
  });

  test("a node that is to come back does so also when the world has healed", async () => {
    const faults: Fault[] = [{ at: 100, kind: "crash", node: 1, restartAfterMs: 5_000 }];
    const onlyThere = whereAmI.options({ resources: { there: 1 } });
    const nodes = [{}, { resources: { there: 1 } }];
    const report = await simulate({ seed: 8, nodes, faults, healAtMs: 1_000 }, async (sim) => {
      await sim.sleep(2_000);
      return get(onlyThere.remote(10));
    });
    expect(report.check()).toMatch(/^[0-9a-f]{32}$/);
    expect(report.reached).toContain("nodeRestarted");
  });

  test("a program that waits for a node that never comes back: the reason is named", async () => {
    const faults: Fault[] = [{ at: 100, kind: "crash", node: 1 }];
    const onlyThere = whereAmI.options({ resources: { there: 1 } });
    const nodes = [{}, { resources: { there: 1 } }, {}];
    const report = await simulate({ seed: 9, nodes, faults }, async (sim) => {
      await sim.sleep(30_000);
      return get(onlyThere.remote(10));
    });
    expect(String(report.error)).toMatch(/deadlock.*\n.*no node has .*there: 1/);
    expect(report.virtualMs).toBeLessThan(150_000);
  });

  test("a narrow link lets frames through one after another", async () => {
    const timesOf = async (faults: Fault[]): Promise<number> => {
      const report = await simulate({ seed: 10, nodes: 2, faults }, async (sim) => {
        await sim.sleep(100);
        const startMs = sim.nowMs;
        await get(Array.from({ length: 4 }, () => echo.remote("x".repeat(20_000))));
        return sim.nowMs - startMs;
      });
      return report.check();
    };
    const slowLink = {
      at: 50,
      kind: "slowLink",
      from: 0,
      to: 1,
      delayMs: 0,
      forMs: 60_000,
    } as const;
    const wideMs = await timesOf([slowLink]);
    // At 100 bytes a millisecond a frame of 20,000 takes 200; two of the four go there.
    const narrowMs = await timesOf([{ ...slowLink, bytesPerMs: 100 }]);
    expect(narrowMs).toBeGreaterThan(wideMs + 390);
  });

  test("a partition that ends in time costs nothing but time", async () => {
    const faults: Fault[] = [{ at: 150, kind: "partition", from: [0], to: [1], forMs: 8_000 }];
    const report = await simulate({ seed: 4, nodes: 2, faults }, async (sim) => {
      await sim.sleep(100);
      return get(Array.from({ length: 4 }, () => whereAmI.remote(1_000)));
    });
    expect(new Set(report.check()).size).toBe(2);
    expect(report.virtualMs).toBeGreaterThan(8_000);
    expect(report.reached).toContain("sessionResumed");
    expect(report.reached).not.toContain("nodeDied");
  });

  test.each(["beforeSend", "whileHandled", "replyLost"] as const)("rpc %s", async (instant) => {
    const faults = ["requestWorkerLease", "leaseGranted", "pushTask", "taskReply"].map((method) => {
      return { at: 0, kind: "rpc", method, instant, count: 2 } as const;
    });
    const report = await simulate({ seed: 5, nodes: 2, faults }, async (sim) => {
      await sim.sleep(100);
      return get(Array.from({ length: 8 }, () => whereAmI.remote(300)));
    });
    expect(report.check()).toHaveLength(8);
    expect(report.reached).toContain("sessionResumed");
  });

  test("the verbs of a simulation act at once", async () => {
    const report = await simulate({ seed: 6, nodes: 3 }, async (sim) => {
      sim.crash(1);
      sim.partition([0], [2]);
      expect(() => sim.crash(0)).toThrow(TypeError);
      expect(() => sim.crash(7)).toThrow(RangeError);
      expect(() => sim.partition([0], [9])).toThrow(RangeError);
      expect(() => sim.restart(2)).toThrow(/node 2 is running/);
      expect(() => sim.restart(3)).toThrow(RangeError);
      sim.restart(1);
      await sim.sleep(100);
      sim.heal();
      return get(Array.from({ length: 6 }, () => whereAmI.remote(500)));
    });
    expect(new Set(report.check()).size).toBe(3);
  });

  test("a driver that crashes takes its tasks and actors along", async () => {
    const faults: Fault[] = [{ at: 500, kind: "crashDriver" }];
    const report = await simulate({ seed: 7, nodes: 2, faults }, async (sim) => {
      await sim.sleep(100);
      const counter = Counter.remote();
      await get(counter.increment.remote());
      return get([whereAmI.remote(2_000), whereAmI.remote(2_000), whereAmI.remote(2_000)]);
    });
    expect(String(report.error)).toMatch(/the driver was crashed/);
    expect(report.violations).toEqual([]);
  });
});

describe("whatever happens to it", () => {
  const check = async (options: SimOptions): Promise<void> => {
    const report = await simulate(options, rounds);
    expect(report.violations).toEqual([]);
    checkRounds(report.check());
  };

  test("three nodes under drawn faults and orders", { timeout: 60_000 }, () =>
    fc.assert(fc.asyncProperty(simOptions({ nodes: 3 }), check), { numRuns: 60 }),
  );

  test.each([false, true])(
    "nodes that come back before anybody has missed them, old id: %s",
    { timeout: 60_000 },
    async (sameId) => {
      const reached = new Set<string>();
      for (let seed = 0; seed < 60; seed++) {
        const restartAfterMs = [0, 3, 40, 900][seed % 4] as number;
        const again = { kind: "crash", restartAfterMs, ...(sameId ? { sameId } : {}) } as const;
        const faults = [
          { ...again, at: 2 + (seed % 5) * 100, node: 1 },
          { ...again, at: 3 + (seed % 7) * 100, node: 2 },
          { ...again, at: 20_000, node: 1 },
        ];
        const report = await simulate({ seed, nodes: 3, faults }, rounds);
        expect(report.violations).toEqual([]);
        checkRounds(report.check());
        for (const state of report.reached) reached.add(state);
      }
      expect(reached).toContain("restartedUnnoticed");
      expect(reached.has("oldIdRefused")).toBe(sameId);
    },
  );

  test("links that lose, double and turn frames round", { timeout: 60_000 }, async () => {
    const during = { at: 0, probability: 0.2, forMs: 3_000 };
    for (let seed = 0; seed < 30; seed++) {
      const kinds = ["drop", "duplicate", "reorder"] as const;
      const to = (from: number): number => (from + 1 + (seed % 2)) % 3;
      const faults = kinds.map((kind, i) => ({ ...during, kind, from: i, to: to(i) }));
      await check({ seed, nodes: 3, faults, hostile: true });
    }
  });

  test("chaos of every kind, hostile ones too", { timeout: 60_000 }, async () => {
    const fired = new Set<string>();
    for (let seed = 0; seed < 60; seed++) {
      const chaos = { intensity: 2 };
      const report = await simulate({ seed, nodes: 3, chaos, hostile: seed % 2 === 0 }, rounds);
      expect(report.violations).toEqual([]);
      checkRounds(report.check());
      for (const [, kind] of report.trace().matchAll(/fault fault \{.*?"kind":"(\w+)"/g)) {
        fired.add(kind ?? "");
      }
    }
    expect([...fired].sort()).toEqual([...kindsFor(3, true)].sort());
  });

  test("the same run twice", async () => {
    for (let seed = 0; seed < 10; seed++) {
      const run = (): Promise<{ traceHash: string }> => {
        return simulate({ seed, nodes: 3, chaos: true }, rounds);
      };
      expect((await run()).traceHash).toBe((await run()).traceHash);
    }
  });
});

describe("a crash right behind a message", () => {
  const after = { at: 0, kind: "crashAfter", skip: 0, count: 1, wholeNode: false } as const;
  const far = echo.options({ schedulingStrategy: "SPREAD", maxRetries: 3 });
  type CrashAfter = Extract<Fault, { kind: "crashAfter" }>;
  const run = (fault: Pick<CrashAfter, "method" | "who"> & Partial<CrashAfter>) =>
    simulate({ seed: 3, nodes: 3, faults: [{ ...after, ...fault }] }, async (sim) => {
      // Until every node knows of the others.
      await sim.sleep(100);
      return get([far.remote("a"), far.remote("bb"), far.remote("ccc")]);
    });

  test.each(["sender", "receiver"] as const)("ends its %s, which is a worker", async (who) => {
    const method = who === "sender" ? "taskReply" : "pushTask";
    const report = await run({ method, who });
    expect(report.check()).toEqual([1, 2, 3]);
    expect(report.faultsFired).toBe(1);
    expect(report.reached).toEqual(expect.arrayContaining(["crashedAfterMessage"]));
    const lines = report.trace().split("\n");
    const at = lines.findIndex((line) => /fault fault \{.*"hits":/.test(line));
    // In the very next step: nothing comes between.
    expect(lines[at]).toMatch(new RegExp(`^ +${at + 1} .* ← ${at}$`));
  });

  test("ends as many as it is told to, and lets go as many", async () => {
    const report = await run({ method: "taskReply", who: "sender", skip: 1, count: 2 });
    expect(report.check()).toEqual([1, 2, 3]);
    expect(report.faultsFired).toBe(2);
  });

  test("takes the node of a worker along, or of a raylet", async () => {
    const worker = await run({ method: "pushTask", who: "receiver", skip: 1, wholeNode: true });
    const raylet = await run({ method: "requestWorkerLease", who: "receiver" });
    for (const report of [worker, raylet]) {
      expect(report.check()).toEqual([1, 2, 3]);
      expect(report.reached).toEqual(expect.arrayContaining(["nodeCrashed", "nodeDied"]));
    }
  });

  test("hits the driver if it is told to", async () => {
    const faults = [{ ...after, method: "pushTask", who: "sender", driver: true }] as const;
    const report = await simulate({ seed: 3, nodes: 1, faults }, () => get(square.remote(1)));
    expect(() => report.check()).toThrow("the driver");
    expect(report.violations).toEqual([]);
    expect(report.reached).toEqual(expect.arrayContaining(["driverCrashed"]));
  });

  test("hits neither the driver nor the head", async () => {
    const faults = [
      { ...after, method: "requestWorkerLease", who: "sender" },
      { ...after, method: "requestWorkerLease", who: "receiver" },
      { ...after, method: "pushTask", who: "sender" },
    ] as const;
    const report = await simulate({ seed: 3, nodes: 1, faults }, () =>
      get([square.remote(1), square.remote(2)]),
    );
    expect(report.check()).toEqual([1, 4]);
    expect(report.faultsFired).toBe(0);
  });
});
