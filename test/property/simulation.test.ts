/** The simulator itself: one seed, one run; user code sees only the world; bad input is told. */
import { setImmediate as realTurn } from "node:timers/promises";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { get, put, wait } from "#api/get.ts";
import { kill } from "#api/actors.ts";
import { remote } from "#api/remote.ts";
import { choices, faults } from "#sim/fast-check.ts";
import type { Fault } from "#sim/faults/fault.ts";
import { simulate } from "#sim/simulate.ts";
import type { Simulation } from "#sim/options.ts";

const add = remote((a: number, b: number) => a + b);
const fail = remote((text: string): number => {
  throw new RangeError(text);
});
const fib = remote(async (n: number): Promise<number> => {
  if (n < 2) return n;
  const [a, b] = await get([fib.remote(n - 1), fib.remote(n - 2)]);
  return a + b;
});
const ambient = remote(async () => {
  await new Promise((resolve) => setTimeout(resolve, 50 * Math.random()));
  return [Math.random(), Date.now(), performance.now(), crypto.randomUUID()] as const;
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

async function program(sim: Simulation) {
  const counter = Counter.remote();
  const sums = Array.from({ length: 8 }, (_, i) => add.remote(i, add.remote(i, put(1))));
  const nested = fib.remote(4);
  const failed = add.remote(fail.remote("no"), 1);
  await sim.sleep(3);
  const [ready] = await wait(sums, { numReturns: 2 });
  const counts = await Promise.allSettled([1, 2, 3].map(() => get(counter.increment.remote())));
  const rest = await Promise.allSettled([...sums, nested, failed].map((ref) => get(ref)));
  await kill(counter);
  const seen = await Promise.allSettled([get(ambient.remote())]);
  return { ready: ready.length, counts, rest, seen };
}

describe("determinism", () => {
  test("a seed gives the same run twice, with faults and without", async () => {
    const hashes = new Set<string>();
    for (let seed = 0; seed < 20; seed++) {
      const options = { seed, chaos: seed % 2 === 1 };
      const first = await simulate(options, program);
      const second = await simulate(options, program);
      expect(second.trace()).toBe(first.trace());
      expect(second.traceHash).toBe(first.traceHash);
      expect(second.result).toEqual(first.result);
      hashes.add(first.traceHash);
    }
    expect(hashes.size).toBe(20);
  });

  test("user code outside of a run keeps the real clock, also while one goes on", async () => {
    const before = Date.now();
    let during = 0;
    const run = simulate({ seed: 1 }, program);
    await realTurn();
    during = Date.now();
    await run;
    expect(during).toBeGreaterThanOrEqual(before);
    expect(Math.abs(Date.now() - before)).toBeLessThan(600_000);
  });
});

describe("programs", () => {
  test("without faults every seed gives the results of the program", async () => {
    for (let seed = 100; seed < 120; seed++) {
      const report = await simulate({ seed }, program);
      const { ready, counts, rest } = report.check();
      expect(ready).toBe(2);
      expect(counts.map((c) => c.status === "fulfilled" && c.value)).toEqual([1, 2, 3]);
      const values = rest.map((r) => (r.status === "fulfilled" ? r.value : String(r.reason.name)));
      expect(values).toEqual([1, 3, 5, 7, 9, 11, 13, 15, 3, "TaskError"]);
    }
  });

  test("whatever the faults and the order of steps, the oracles hold", async () => {
    const property = fc.asyncProperty(
      fc.noShrink(fc.integer({ min: 0 })),
      faults({ withinMs: 20 }),
      choices(),
      async (seed, plan, order) => {
        const report = await simulate({ seed, faults: plan, choices: order }, program);
        expect(report.violations).toEqual([]);
        expect(report.error).toBeUndefined();
      },
    );
    await fc.assert(property, { numRuns: 40 });
  });

  test("a worker's crash costs only what ran there, with the reason", async () => {
    const report = await simulate(
      { seed: 3, faults: [{ at: 2, kind: "crashWorker", node: 0, worker: 0 }] },
      async (sim) => {
        await sim.sleep(10);
        return get(Array.from({ length: 10 }, (_, i) => add.remote(i, 1)));
      },
    );
    expect(report.check()).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect(report.faultsFired).toBe(1);
  });
});

describe("what goes wrong is told", () => {
  const wrong = (fault: object): Promise<unknown> =>
    simulate({ seed: 1, faults: [fault as Fault] }, async () => 1);

  test("faults of unknown kinds, of nodes that do not exist, not built yet", async () => {
    await expect(wrong({ at: 1, kind: "meteor" })).rejects.toThrow(
      /faults\[0\]: unknown kind "meteor"/,
    );
    await expect(wrong({ at: 1, kind: "pause", node: 3, forMs: 1 })).rejects.toThrow(RangeError);
    await expect(wrong({ at: 1, kind: "crash", node: 0 })).rejects.toThrow(/hosts the GCS/);
    await expect(wrong({ at: 1, kind: "crashGcs" })).rejects.toThrow(/not built yet/);
    const far = { at: 1, from: 0, to: 1, probability: 0.5, forMs: 1 };
    await expect(wrong({ ...far, kind: "duplicate" })).rejects.toThrow(/hostile: true/);
    await expect(wrong({ ...far, kind: "drop", probability: 2 })).rejects.toThrow(RangeError);
    const cut = { at: 1, kind: "partition", from: [0], to: [1, 9], forMs: 1 };
    await expect(wrong(cut)).rejects.toThrow(/faults\[0\]\.to\[1\] must be a node/);
    const rpc = { at: 1, kind: "rpc", method: "pushTask", instant: "beforeSend", count: 1 };
    await expect(wrong({ ...rpc, method: "shout" })).rejects.toThrow(
      /no message is called "shout"/,
    );
    await expect(wrong({ ...rpc, instant: "later" })).rejects.toThrow(/must be one of/);
    const after = { at: 0, kind: "crashAfter", who: "sender", skip: 0, count: 1, wholeNode: false };
    await expect(wrong({ ...after, method: "shout" })).rejects.toThrow(/called "shout"/);
    const taken = { ...after, method: "fileBegun", who: "receiver" };
    await expect(wrong(taken)).rejects.toThrow(/fileBegun has no receiver: who must be "sender"/);
    const numbered = { ...after, method: "pushTask", driver: 1 };
    await expect(wrong(numbered)).rejects.toThrow(/\.driver must/);
    const bystander = { ...after, method: "pushTask", who: "bystander" };
    await expect(wrong(bystander)).rejects.toThrow(/\.who must be one of sender, receiver/);
    await expect(wrong({ ...after, method: "pushTask", count: 0 })).rejects.toThrow(/\.count must/);
  });

  test.each<[object, RegExp]>([
    [{ at: NaN, kind: "pause", node: 0, forMs: 1 }, /\.at must be a finite number/],
    [
      { at: 1, kind: "pause", node: 0 },
      /\.forMs must be a finite number of at least 0, got nothing/,
    ],
    [{ at: 1, kind: "pause", node: 0, forMs: "long" }, /\.forMs must be .*, got "long"/],
    [{ at: 1, kind: "pause", node: 0, forMs: 1, ms: 2 }, /pause has no field ms; it has: at, node/],
    [{ at: 1, kind: "crash", node: 1, restartAfterMs: -1 }, /\.restartAfterMs must be/],
    [{ at: 1, kind: "crash", node: 1, keepDisk: 1 }, /\.keepDisk must be a boolean/],
    [{ at: 1, kind: "crashWorker", worker: 0.5 }, /\.worker must be an integer/],
    [{ at: 1, kind: "partition", from: 0, to: [1], forMs: 1 }, /\.from must be a list of nodes/],
    [{ at: 1, kind: "clockDrift", node: 0, ppm: -1e6, forMs: 1 }, /\.ppm must be/],
    [{ at: 1, kind: "clockJump", node: 0, byMs: Infinity }, /\.byMs must be a finite number/],
    [{ at: 1, kind: "collect", node: 0, order: "any" }, /\.order must be one of oldest, newest/],
    [{ at: 1, kind: "slowLink", from: 0, to: 1, delayMs: 1, bytesPerMs: 0, forMs: 1 }, /above 0/],
    [{ at: 1, kind: "drop", from: 1, to: 1, probability: 1, forMs: 1 }, /between two nodes/],
    [{ at: 1, kind: "rpc", method: "pushTask", instant: "replyLost", count: 0 }, /\.count must be/],
    [{ at: 1, kind: "memoryPressure", node: 0, bytes: 0, forMs: 1 }, /\.bytes must be/],
    [{ at: 1, kind: "memoryPressure", node: 9, bytes: 1, forMs: 1 }, /\.node must be a node/],
  ])("the fault %j", async (fault, message) => {
    await expect(wrong(fault)).rejects.toThrow(message);
  });

  test.each<[object, RegExp]>([
    [{ chaos: { kinds: ["meteor"] } }, /chaos\.kinds: unknown kind "meteor"/],
    [{ chaos: { kinds: ["reorder"] } }, /hostile: true allows it/],
    [{ chaos: { intensity: -1 } }, /chaos\.intensity must be/],
    [{ chaos: "wild" }, /chaos must be a boolean or an object/],
    [{ hostile: 1 }, /hostile must be a boolean/],
    [{ faults: {} }, /faults must be a list/],
    [{ nodes: 0 }, /nodes must be a number of at least 1/],
  ])("the options %j", async (options, message) => {
    await expect(simulate({ seed: 1, ...options }, async () => 1)).rejects.toThrow(message);
  });

  test("a program that never ends", async () => {
    const report = await simulate({ seed: 1, maxVirtualMs: 1_000 }, async (sim) => {
      for (;;) await sim.sleep(10);
    });
    expect(String(report.error)).toMatch(/did not end within 1000 virtual ms/);
  });

  test("a program that waits for what cannot come: the reason is named", async () => {
    const huge = add.options({ numCpus: 64 });
    const report = await simulate({ seed: 1 }, async () => get(huge.remote(1, 2)));
    expect(String(report.error)).toMatch(/deadlock.*\n.*no node has \{CPU: 64\}/);
  });

  test("a program that waits for something outside of the world", async () => {
    const report = await simulate({ seed: 1 }, () => new Promise(() => {}));
    expect(String(report.error)).toMatch(/leak/);
  });

  test("a failed check names the replay line and the last steps", async () => {
    const report = await simulate({ seed: 5 }, async () => get(fail.remote("boom")));
    expect(() => report.check()).toThrow(/boom[\s\S]*replay: [\s\S]*last steps:/);
  });
});

describe("shrinking", () => {
  test("choices shrink to the only one that matters", () => {
    const property = fc.property(choices(), (list) => !list.some((choice) => choice >= 3));
    const { counterexample } = fc.check(property, { seed: 42, numRuns: 500 });
    const [shrunk] = counterexample ?? [[]];
    expect(shrunk.filter((choice) => choice !== 0)).toEqual([3]);
    expect(shrunk.at(-1)).toBe(3);
  });
});
