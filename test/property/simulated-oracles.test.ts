/** Oracles by themselves: what one of them must tell, in a world that is made up. */
import { describe, expect, test } from "vitest";
import type { GetRequest } from "#engine/core-worker/memory-store.ts";
import type { Cluster } from "#sim/cluster.ts";
import { AgreementOracle } from "#sim/oracles/agreement.ts";
import type { Violated, WatchedProcess } from "#sim/oracles/oracle.ts";
import { ResourceOracle } from "#sim/oracles/resources.ts";
import { type StandStill, TimeOracle } from "#sim/oracles/time.ts";
import { QueueOracle } from "#sim/oracles/queues.ts";
import { World } from "#sim/world.ts";

const cpu = (count: number): Map<string, number> => new Map([["CPU", count]]);

describe("10 idempotency", () => {
  interface Lease {
    readonly id: number;
    readonly worker: string;
  }
  const told = (held: Lease[], granted: Lease[]): string[] => {
    const found: string[] = [];
    const heldLeases = held.map(({ id, worker }) => ({ stream: id, workerId: worker }));
    const core = { submitter: { heldLeases, leaseCount: held.length } };
    const driver = { life: { isAlive: true }, client: { workerId: "d", core } };
    const grantedLeases = (): object[] =>
      granted.map(({ id, worker }) => ({ owner: "d", leaseId: id, worker: { id: worker } }));
    const counts = { leases: granted.length, waiting: 0, infeasible: 0 };
    const liveNodes = [{ running: { raylet: { counts, grantedLeases } } }];
    const cluster = { driver, liveNodes, liveWorkers: [], head: { nodeId: "n" } };
    const oracle = new AgreementOracle(({ message }) => void found.push(message));
    oracle.atQuiet(cluster as unknown as Cluster);
    return found;
  };

  test("the same leases on both sides are right", () => {
    expect(told([{ id: 1, worker: "w" }], [{ id: 1, worker: "w" }])).toEqual([]);
  });

  test("as many of them, but others, are not", () => {
    expect(told([{ id: 1, worker: "w" }], [{ id: 2, worker: "w" }])).toEqual([
      "lease 1 of d on worker w is held by its owner, and no raylet has granted it",
      "lease 2 of d on worker w is granted, and its owner does not hold it",
    ]);
    expect(told([{ id: 1, worker: "w" }], [{ id: 1, worker: "v" }])).toHaveLength(2);
  });
});

describe("6 resources", () => {
  const told = (available: number, kept: number, maxConcurrency = 1): Violated[] => {
    const found: Violated[] = [];
    const counts = { leases: 0, waiting: 0, infeasible: 0, actors: 1 };
    const raylet = { counts, available: () => available };
    const spec = { runningResources: cpu(kept), placementResources: cpu(10) };
    const core = { receiver: { actor: { spec, maxConcurrency } } };
    const cluster = {
      liveNodes: [{ nodeId: "n", number: 0, totals: cpu(40), running: { raylet } }],
      liveWorkers: [{ life: { node: 0 }, client: { core } }],
    };
    const oracle = new ResourceOracle((violated) => void found.push(violated));
    oracle.atQuiet(cluster as unknown as Cluster);
    return found;
  };

  test("what a living actor holds may be missing, and nothing more", () => {
    expect(told(35, 5)).toEqual([]);
    expect(told(30, 5, 0)).toEqual([]);
    const message = "CPU 30 of 40 (1/10000) came back, and living actors hold 5";
    expect(told(30, 5)).toEqual([{ entity: "n", message }]);
  });
});

describe("17 hygiene", () => {
  test("at quiet a session keeps what may be owed, and no more", () => {
    const told = (count: number): string[] => {
      const found: string[] = [];
      const oracle = new QueueOracle(({ message }) => void found.push(message));
      const network = { keptFrames: () => [{ from: "a", to: "b", count }] };
      oracle.atQuiet({ network } as unknown as Cluster);
      return found;
    };
    expect(told(512)).toEqual([]);
    expect(told(513)).toEqual(["a keeps 513 frames for b, at most 512"]);
  });
});

describe("13 time", () => {
  const lateUnder = (pause: StandStill | null, endedMs: number): number => {
    const found: Violated[] = [];
    const host = { nowMs: 0 };
    const process = { client: { host, workerId: "w" }, life: { node: 0 } };
    const request = { deadlineMs: 100, entries: [], timedOut: true } as unknown as GetRequest;
    const oracle = new TimeOracle(
      (violated) => void found.push(violated),
      () => pause,
    );
    oracle.onAwaited(request, process as unknown as WatchedProcess);
    host.nowMs = endedMs;
    oracle.onSettled(request, process as unknown as WatchedProcess);
    return found.length;
  };

  test("a pause excuses what its time was up in, until its end", () => {
    expect(lateUnder(null, 150)).toBe(1);
    expect(lateUnder({ fromMs: 50, untilMs: 150 }, 150)).toBe(0);
    expect(lateUnder({ fromMs: 50, untilMs: 150 }, 160)).toBe(1);
    expect(lateUnder({ fromMs: 10, untilMs: 60 }, 150)).toBe(1);
    expect(lateUnder({ fromMs: 140, untilMs: 150 }, 150)).toBe(1);
  });

  test("a world knows when a machine stood still, by its own clock", async () => {
    const world = new World({ seed: 1, nodeCount: 1, choices: [], choicesOnly: false });
    expect(world.lastPause(0)).toBe(null);
    world.setDrift(0, 5e5);
    world.pause(0, 20, () => {});
    world.pause(0, 10, () => {});
    expect(world.lastPause(0)).toEqual({ fromMs: 0, untilMs: Infinity });
    await world.run(() => false, 1_000, 1_000);
    expect(world.lastPause(0)).toEqual({ fromMs: 0, untilMs: 30 });
  });
});
