/** Faults by themselves: each does what it says, counts when it does, and moves no other. */
import { describe, expect, test } from "vitest";
import { get } from "#api/get.ts";
import { remote } from "#api/remote.ts";
import { type DriverRuntime, realmState } from "#api/runtime.ts";
import type { Fault } from "#sim/faults/fault.ts";
import type { Simulation } from "#sim/options.ts";
import { SimReclaimer } from "#sim/cluster/reclaimer.ts";
import { judge } from "#sim/run-set/seed-run.ts";
import { simulate } from "#sim/simulate.ts";

const double = remote((n: number) => 2 * n);

async function resultUnder<R>(
  faults: Fault[],
  program: (sim: Simulation) => Promise<R>,
): Promise<R> {
  return (await simulate({ seed: 3, faults }, program)).check();
}

describe("drifts of one clock", () => {
  const drift = (at: number, ppm: number, forMs: number): Fault => {
    return { at, kind: "clockDrift", node: 0, ppm, forMs };
  };
  /** How fast the clock of the driver's machine goes at each of these times. */
  const rates = (faults: Fault[], timesMs: number[]): Promise<number[]> =>
    resultUnder(faults, async (sim) => {
      const seen: number[] = [];
      for (const timeMs of timesMs) {
        while (sim.nowMs < timeMs) await sim.sleep(1);
        const [own, world] = [performance.now(), sim.nowMs];
        await sim.sleep(2);
        seen.push(Number(((performance.now() - own) / (sim.nowMs - world)).toFixed(3)));
      }
      return seen;
    });

  test("that overlap: the end of the first leaves the second in force", async () => {
    const faults = [drift(5, 1e6, 50), drift(20, 5e5, 200)];
    expect(await rates(faults, [0, 10, 30, 100, 300])).toEqual([1, 2, 1.5, 1.5, 1]);
  });

  test("within another: that goes on", async () => {
    const faults = [drift(5, 1e6, 200), drift(20, 5e5, 50)];
    expect(await rates(faults, [0, 10, 30, 100, 300])).toEqual([1, 2, 1.5, 2, 1]);
  });
});

test("one fault less does not change the order of a collection", async () => {
  const collect: Fault = { at: 5, kind: "collect", node: 0, order: "random" };
  const orderWith = (others: Fault[]): Promise<number[]> =>
    resultUnder([...others, collect], async (sim) => {
      const { reclaimer } = (realmState().driver as DriverRuntime).client;
      const collected: number[] = [];
      for (let n = 0; n < 8; n++) {
        const target = { n };
        reclaimer.watch(target, () => collected.push(n));
        if (reclaimer instanceof SimReclaimer) reclaimer.drop(target);
      }
      await sim.sleep(20);
      return collected;
    });
  const alone = await orderWith([]);
  expect([...alone].sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  expect(await orderWith([{ at: 1, kind: "clockJump", node: 1, byMs: 1 }])).toEqual(alone);
});

test("a worker that a fault ends says so, and nothing of an error", async () => {
  const crash: Fault = { at: 5, kind: "crashWorker", node: 0 };
  const waiting = remote({ maxRetries: 0 }, async function waiting() {
    await new Promise((resolve) => setTimeout(resolve, 50));
  });
  const faults = [crash];
  const { error } = await simulate({ seed: 3, nodes: 1, faults }, () => get(waiting.remote()));
  expect(String(error)).toMatch(/worker thread [0-9a-f]{40} was crashed by a fault \(/);
});

describe("a fault counts as fired", () => {
  const during = { at: 0, forMs: 50 };
  const probability = 1;
  const firedOf = async (fault: Fault, nodes: number): Promise<number> => {
    const options = { seed: 3, nodes, faults: [fault] };
    const report = await simulate(options, async (sim) => {
      // Heartbeats go from node 1 to the head and back; from 1 to 2 nothing does.
      await sim.sleep(20);
      return get([double.remote(1), double.remote(2)]);
    });
    expect(report.check()).toEqual([2, 4]);
    return report.faultsFired;
  };

  test.each<[string, Fault]>([
    ["rpc", { at: 0, kind: "rpc", method: "pinCopy", instant: "replyLost", count: 3 }],
    ["drop", { ...during, kind: "drop", from: 0, to: 1, probability: 0 }],
    ["drop of nothing", { ...during, kind: "drop", from: 1, to: 2, probability }],
    ["hold", { ...during, kind: "hold", from: 1, to: 2 }],
    ["slowLink", { ...during, kind: "slowLink", from: 1, to: 2, delayMs: 5 }],
    ["partition", { ...during, kind: "partition", from: [1], to: [2] }],
    ["partition of nobody", { ...during, kind: "partition", from: [], to: [0, 1, 2] }],
    ["pause", { at: 15, kind: "pause", node: 2, forMs: 0.001 }],
  ])("not when it touches nothing: %s", async (_, fault) => {
    expect(await firedOf(fault, 3)).toBe(0);
  });

  test.each<[string, Fault]>([
    ["rpc", { at: 0, kind: "rpc", method: "heartbeat", instant: "beforeSend", count: 3 }],
    ["drop", { ...during, kind: "drop", from: 1, to: 0, probability }],
    ["hold", { ...during, kind: "hold", from: 1, to: 0 }],
    ["slowLink", { ...during, kind: "slowLink", from: 1, to: 0, delayMs: 5 }],
    ["partition", { ...during, kind: "partition", from: [1], to: [0] }],
    ["pause", { ...during, kind: "pause", node: 0 }],
    ["clockJump", { at: 0, kind: "clockJump", node: 0, byMs: 5 }],
  ])("once however much it touches: %s", async (_, fault) => {
    expect(await firedOf(fault, 3)).toBe(1);
  });
});

test("in a run set a fault that ends the driver is no failure of its program", async () => {
  const options = { seed: 3, faults: [{ at: 5, kind: "crashDriver" }] } as const;
  const crashed = await judge(options, (sim) => sim.sleep(100), true);
  expect(crashed.failures).toEqual([]);
  expect(crashed.reports[0].reached).toContain("driverCrashed");
  const left = await judge({ seed: 3 }, () => Promise.resolve(process.exit(1)), false);
  expect(left.failures).toHaveLength(1);
});
