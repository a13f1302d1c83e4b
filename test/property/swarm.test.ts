/** What a run with chaos is like: drawn from its seed, told, and as given where it was given. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { get } from "#api/get.ts";
import { remote } from "#api/remote.ts";
import { type Config, defaultConfig, withOverrides } from "#engine/common/config.ts";
import { quietMsOf, stuckMsOf } from "#sim/run-end/bounds.ts";
import type { NodeSpec, SimOptions } from "#sim/options.ts";
import { simulate } from "#sim/simulate.ts";
import { drawSwarm } from "#sim/faults/swarm.ts";

const add = remote((a: number, b: number) => a + b);
const program = (): Promise<number[]> => get([1, 2, 3].map((n) => add.remote(n, n)));
const seeds = Array.from({ length: 200 }, (_, seed) => seed);

function configOf({ init }: SimOptions): Config {
  return withOverrides(init?.systemConfig ?? {});
}

describe("a swarm", () => {
  test("varies times, sizes, bounds and machines, each in some runs and not in others", () => {
    const values = new Map<string, Set<number>>();
    const machines = new Set<number>();
    for (const seed of seeds) {
      const { options } = drawSwarm({ seed, chaos: true });
      for (const [name, value] of Object.entries(configOf(options))) {
        values.set(name, (values.get(name) ?? new Set()).add(value));
      }
      const nodes = options.nodes as NodeSpec[];
      machines.add(nodes.length);
      for (const { numCpus } of nodes) expect([2, 3, 4]).toContain(numCpus);
    }
    const varied = [...values].filter(([, seen]) => seen.size > 1).map(([name]) => name);
    expect(varied).toHaveLength(28);
    for (const name of varied) {
      expect(values.get(name)).toContain(defaultConfig[name as keyof Config]);
    }
    expect([...machines].sort()).toEqual([3, 4, 5]);
  });

  test("keeps the order of what bounds each other, and the bounds of a world with it", () => {
    for (const seed of seeds) {
      const config = configOf(drawSwarm({ seed, chaos: true }).options);
      const { heartbeatMs, linkTimeoutMs, healthTimeoutMs, gcsReconnectMs } = config;
      expect(heartbeatMs * 5).toBeLessThan(healthTimeoutMs);
      expect(linkTimeoutMs).toBeLessThan(healthTimeoutMs);
      expect(healthTimeoutMs).toBeLessThan(gcsReconnectMs);
      expect(stuckMsOf(config)).toBeGreaterThan(healthTimeoutMs + linkTimeoutMs);
      expect(quietMsOf(config)).toBeGreaterThan(gcsReconnectMs);
    }
  });

  test("leaves what was given, and draws the rest as if it had not been", () => {
    for (const seed of seeds) {
      const free = drawSwarm({ seed, chaos: true }).options;
      const systemConfig = { idleLeaseMs: 77, heartbeatMs: 777 };
      const init = { numCpus: 1, systemConfig };
      const nodes = [{}, { numCpus: 9 }, {}];
      const { options } = drawSwarm({ seed, chaos: true, nodes, init });
      expect(options.nodes).toBe(nodes);
      expect(options.init?.numCpus).toBe(1);
      const { idleLeaseMs, heartbeatMs, linkTimeoutMs, ...others } = configOf(options);
      expect([idleLeaseMs, heartbeatMs, linkTimeoutMs]).toEqual([77, 777, 5_000]);
      const { healthTimeoutMs: _, gcsReconnectMs: __, ...rest } = others;
      expect(configOf(free)).toMatchObject(rest);
      const { nodes: drawn } = drawSwarm({ seed, chaos: true, init }).options;
      expect((drawn as NodeSpec[]).every((node) => node.numCpus === undefined)).toBe(true);
    }
  });

  test("adds its faults to those that were given; without chaos there is none", () => {
    const faults = [{ at: 1, kind: "crashWorker" } as const];
    const all = seeds.map((seed) => drawSwarm({ seed, chaos: true, faults }).options.faults ?? []);
    expect(all.every(([first]) => first === faults[0])).toBe(true);
    expect(all.some(({ length }) => length > 1)).toBe(true);
    const given: SimOptions = { seed: 1, nodes: 2, faults };
    expect(drawSwarm({ ...given, chaos: false })).toEqual({ options: given, drawn: [] });
  });

  test("tells first what it drew, and repeats from that alone", async () => {
    const folder = await mkdtemp(join(tmpdir(), "mobula-swarm-"));
    try {
      for (const seed of [1, 2, 3]) {
        const report = await simulate({ seed, chaos: true }, program);
        const [kinds, config, nodes] = report.trace().split("\n");
        expect(kinds).toMatch(/^drawn: kinds of faults: (\w+ \d(, )?)+$/);
        expect(config).toMatch(/^drawn: systemConfig: \w+ \d+/);
        expect(nodes).toMatch(/^drawn: CPUs of the nodes: node 0: \d, node 1: \d, node 2: \d/);
        await report.save(join(folder, "repro.json"));
        const repro = JSON.parse(await readFile(join(folder, "repro.json"), "utf8"));
        expect(repro.options.chaos).toBeUndefined();
        expect(report.replay).toContain(JSON.stringify(repro.options));
        const again = await simulate(repro.options as SimOptions, program);
        expect(again.traceHash).toBe(report.traceHash);
      }
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test("is told where a check fails", async () => {
    const failing = (): Promise<never> => Promise.reject(new Error("boom"));
    const report = await simulate({ seed: 4, chaos: true }, failing);
    expect(() => report.check()).toThrow(/last steps:\ndrawn: kinds of faults/);
  });
});

test("a world has time to become quiet for as long as its leases idle", async () => {
  const init = { systemConfig: { idleLeaseMs: 250_000 } };
  const report = await simulate({ seed: 1, init }, program);
  expect(report.check()).toEqual([2, 4, 6]);
  expect(report.virtualMs).toBeGreaterThan(250_000);
});
