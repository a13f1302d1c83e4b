/** Oracles by themselves: what one of them must tell, in a world that is made up. */
import { describe, expect, test, vi } from "vitest";
import { kill } from "#api/actors.ts";
import { handleInternals } from "#api/actor-handle.ts";
import { get } from "#api/get.ts";
import { requireClient } from "#api/runtime.ts";
import { Prng } from "#engine/common/prng.ts";
import { SimReclaimer } from "#sim/cluster/reclaimer.ts";
import { remote } from "#api/remote.ts";
import { engineError } from "#engine/common/error-type.ts";
import { type ActorId, actorIdOf, type WorkerId } from "#engine/common/ids.ts";
import type { IncomingActor } from "#engine/core-worker/incoming-task.ts";
import type { ActorRegistration } from "#engine/protocol/gcs.ts";
import { FailedValue } from "#engine/protocol/outcome.ts";
import { LossOracle } from "#sim/oracles/loss.ts";
import type { GetRequest } from "#engine/core-worker/memory-store.ts";
import type { Cluster } from "#sim/cluster/cluster.ts";
import { AgreementOracle } from "#sim/oracles/agreement.ts";
import { MembershipOracle } from "#sim/oracles/membership.ts";
import type { Fates, Violated, WatchedProcess } from "#sim/oracles/oracle.ts";
import { ResourceOracle } from "#sim/oracles/resources.ts";
import { type StandStill, TimeOracle } from "#sim/oracles/time.ts";
import { QueueOracle } from "#sim/oracles/queues.ts";
import type { Frame } from "#transports/simulated/frame.ts";
import { simulate } from "#sim/simulate.ts";
import { World } from "#sim/world/world.ts";

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

describe("4 no loss, in local mode", () => {
  const maker = `${"1".repeat(32)}00000000` as WorkerId;
  const actorOf = (serial: number): ActorId => actorIdOf(maker, serial);
  const creating = (serial: number, name: string): ActorRegistration => {
    const rest = { className: "A", namespace: "n", getIfExists: name !== "", detached: false };
    return { actorId: actorOf(serial), name, ...rest };
  };
  const watched = { client: { workerId: maker } } as unknown as WatchedProcess;
  const spec = (serial: number): IncomingActor => {
    return { spec: { actorId: actorOf(serial) } } as unknown as IncomingActor;
  };
  const judged = (play: (oracle: LossOracle) => void, serial: number): number => {
    const found: string[] = [];
    const fates = { hasLostProcess: false, isGone: () => false, hasBuried: () => false };
    const scope = { seesAll: false, rememberedMax: 100 };
    const oracle = new LossOracle(
      ({ message }) => void found.push(message),
      () => fates as unknown as Fates,
      scope,
    );
    play(oracle);
    const error = engineError("ACTOR_DIED", "it died", actorOf(serial));
    const entry = { owner: maker, serial: 9, index: 1, outcome: new FailedValue(error, null) };
    oracle.onSettled({ entries: [entry] } as unknown as GetRequest);
    return found.length;
  };
  const both = (first: string, second: string) => (oracle: LossOracle) => {
    oracle.onCreating(creating(1, first));
    oracle.onCreating(creating(2, second));
    oracle.onConstructing(spec(2), watched);
  };

  test("who was not killed has not died because another was, made or not", () => {
    expect(judged(both("", ""), 2)).toBe(1);
    const killed = (names: readonly [string, string]) => (oracle: LossOracle) => {
      both(...names)(oracle);
      oracle.onKill(actorOf(1));
    };
    expect(judged(killed(["", ""]), 2)).toBe(1);
    expect(judged(killed(["", ""]), 1)).toBe(0);
    expect(judged(killed(["a", "b"]), 2)).toBe(1);
    // The one that was killed may have stood for it.
    expect(judged(killed(["a", "a"]), 2)).toBe(0);
  });

  test("of whom nobody knows what they were asked for by, nothing is said", () => {
    const unknown = (oracle: LossOracle): void => {
      oracle.onConstructing(spec(2), watched);
      oracle.onKill(actorOf(3));
    };
    expect(judged(unknown, 2)).toBe(0);
    expect(judged((oracle) => oracle.onConstructing(spec(2), watched), 2)).toBe(1);
  });
});

describe("17 hygiene", () => {
  const place = (name: string, node: number) => ({ name, node, isClosed: false });
  const link = { from: place("a", 0), to: place("b", 1) };
  const here = "1".repeat(32);
  const there = "2".repeat(32);
  const frame = (type: string, sizeBytes: number, more: Partial<Frame> = {}): Frame => {
    const places = { from: `${here}00000000`, to: `${there}00000001`, stream: 3, seq: 0 };
    const said = { digest: sizeBytes, text: `${type} ${sizeBytes}` };
    return { ...places, type, sizeBytes, said, ...more } as unknown as Frame;
  };
  const queues = (pipelineDepthMax = 100): { oracle: QueueOracle; found: string[] } => {
    const found: string[] = [];
    const bounds = { linkWindowBytes: 1_000, pipelineDepthMax };
    const oracle = new QueueOracle(({ message }) => void found.push(message), bounds);
    return { oracle, found };
  };

  test("what is optional waits for room, in bytes and in frames; what was taken makes some", () => {
    const { oracle, found } = queues();
    const large = frame("pushTask", 990);
    oracle.onSent(large, link);
    oracle.onSent(frame("releaseLease", 10), link);
    expect(found).toEqual([]);
    oracle.onSent(frame("chunk", 10), link);
    const what = "2 frames of 1128 bytes are under way, and there is no room";
    expect(found.splice(0)).toEqual([`a sends b a chunk while ${what}: the window has 1000`]);
    oracle.onRetracted(large, link);
    oracle.onSent(frame("resourceView", 10), link);
    expect(found).toEqual([]);
    for (let i = 0; i < 16; i++) oracle.onSent(frame("pushTask", i % 3), link);
    expect(found.length).toBeGreaterThan(2);
  });

  test("nobody says the same over and over to one that does not read", () => {
    const { oracle, found } = queues();
    const same = Array.from({ length: 9 }, () => frame("takenBack", 5));
    for (const each of same) oracle.onSent(each, link);
    expect(found).toEqual([
      "a sends b takenBack 5 9 times, at most 8, before it reads one of them",
    ]);
    // Seed 1914448940: a worker ran sixteen tasks that had each brought a hold of one object.
    for (let i = 0; i < 16; i++) oracle.onSent(frame("releaseHolds", 3), link);
    oracle.onTaken(frame("releaseLease", 1), link);
    oracle.onRetracted(same[0] as Frame, link);
    oracle.onRetracted(same[1] as Frame, link);
    oracle.onSent(same[0] as Frame, link);
    expect(found).toHaveLength(1);
  });

  test("a stream to another node has no more pushes unanswered than a pipeline may", () => {
    const { oracle, found } = queues(2);
    const push = frame("pushTask", 1);
    const reply = frame("taskReply", 1, { from: push.to, to: push.from });
    for (let i = 0; i < 2; i++) oracle.onSent(push, link);
    oracle.onTaken(reply, link);
    oracle.onSent(push, link);
    oracle.onSent(frame("pushTask", 2, { stream: 4 }), link);
    expect(found).toEqual([]);
    oracle.onSent(push, link);
    expect(found).toEqual([`3 pushes on stream 3 to ${push.to} are unanswered, at most 2`]);
  });

  test("at quiet a session keeps what may be owed, and no more", () => {
    const told = (count: number): string[] => {
      const { oracle, found } = queues();
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

describe("what has become of the processes", () => {
  const Counter = remote(
    class Counter {
      count(): number {
        return 1;
      }
    },
  );
  const killed = async (): Promise<void> => {
    const counter = Counter.remote();
    await get(counter.count.remote());
    await kill(counter);
  };
  const idle = async (): Promise<void> => void (await get(Counter.remote().count.remote()));
  const givenUp = async (): Promise<void> => {
    const counter = Counter.remote();
    const call = counter.count.remote();
    await get(call);
    call[Symbol.dispose]();
    const reclaimer = requireClient("get")?.client.reclaimer as SimReclaimer;
    reclaimer.drop(handleInternals(counter) as object);
    reclaimer.collect("oldest", new Prng(0));
  };

  test.each([
    ["an actor that nobody needs is asked to end, and takes nothing with it", givenUp, [], false],
    ["one that is killed does", killed, [], true],
    ["so does one that crashes", idle, [{ at: 5_000, kind: "crashWorker", node: 0 }], true],
  ] as const)("%s", async (_, body, faults, isLost) => {
    const seen: { readonly hasEnded: boolean; readonly isLost: boolean }[] = [];
    const atQuiet = vi.spyOn(MembershipOracle.prototype, "atQuiet");
    atQuiet.mockImplementation(({ workers, hasLostProcess }) => {
      const hasEnded = workers.some(({ life }) => !life.isAlive);
      seen.push({ hasEnded, isLost: hasLostProcess });
    });
    try {
      const report = await simulate({ seed: 3, nodes: 1, faults }, async (sim) => {
        await body();
        await sim.sleep(6_000);
      });
      report.check();
    } finally {
      atQuiet.mockRestore();
    }
    expect(seen).toEqual([{ hasEnded: true, isLost }]);
  });
});
