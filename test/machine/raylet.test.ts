import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { WorkerId } from "#engine/common/ids.ts";
import { defaultConfig } from "#engine/common/config.ts";
import { engineError } from "#engine/common/error-type.ts";
import type { WorkerExit } from "#engine/protocol/launcher.ts";
import { driver, nodeId, RayletHarness, worker } from "./raylet-harness.ts";

describe("Raylet", () => {
  it("routes arena requests to the object store", () => {
    const h = new RayletHarness({ segments: [4096] });
    h.handle({ type: "allocateArena", from: driver, requestId: 1, size: 1000, mayWait: false });
    expect(h.out.last("arenaAllocated", driver)).toEqual({
      type: "arenaAllocated",
      from: nodeId,
      requestId: 1,
      segment: 0,
      offset: 0,
      error: null,
    });
    expect(h.raylet.counts.arenaFreeBytes).toBe(3072);
    const extents = [{ segment: 0, offset: 0, size: 1000 }];
    h.handle({ type: "freeArena", from: driver, extents });
    expect(h.raylet.counts.arenaFreeBytes).toBe(4096);
  });

  it("wants no deadline of its own and ignores a writable link", () => {
    const h = new RayletHarness();
    h.out.clear();
    h.handle({ type: "writable", peer: driver });
    h.handle({ type: "deadline" });
    expect(h.out.sent).toEqual([]);
    expect(h.raylet.nextDeadlineMs()).toBe(Infinity);
  });

  it("tells a driver that joins later of deaths as well", () => {
    const h = new RayletHarness({ prestartCount: 1 }).withWorkers(1);
    const second = `${"f".repeat(32)}00000000` as WorkerId;
    h.handle({ type: "attachDriver", workerId: second });
    h.exit(1);
    expect(h.out.last("workerDied", second).workerId).toBe(worker(1));
    expect(h.out.last("workerDied", driver).workerId).toBe(worker(1));
  });

  it("gives the same answers to the same events", () => {
    const run = () => {
      const h = new RayletHarness({ prestartCount: 1 }).withWorkers(1);
      for (let leaseId = 1; leaseId < 6; leaseId++) h.request(leaseId, { depth: leaseId % 2 });
      h.createActor(1);
      h.exit(1);
      h.ready(2);
      return [h.out.sent, h.out.instructions];
    };
    expect(run()).toEqual(run());
  });

  it("keeps its books under any sequence of events, and all comes back in the end", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const world = new World();
        for (const it of steps) world.apply(it);
        world.endEverything();
        const { raylet } = world.h;
        expect(raylet.counts).toMatchObject({ leases: 0, waiting: 0, infeasible: 0, actors: 0 });
        const free = ["CPU", "GPU", "memory"].map((name) => raylet.available(name));
        expect(free).toEqual([20_000, 20_000, 100_000]);
      }),
      { numRuns: 200 },
    );
  });

  it("places everything that fits, whoever asks, as long as leases are given back", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const world = new World();
        for (const it of steps) world.apply(it);
        world.finishAll();
        expect(world.h.raylet.counts.waiting).toBe(0);
      }),
      { numRuns: 100 },
    );
  });
});

const kinds = [
  ...["request", "request", "request", "release", "block", "block", "unblock", "ready", "ready"],
  ...["exit", "failStart", "createActor", "constructed", "constructorFailed", "stopActor"],
  ...["wait", "late"],
] as const;

const step = fc.record({
  kind: fc.constantFrom(...kinds),
  pick: fc.nat({ max: 1000 }),
  shape: fc.nat({ max: 6 }),
  depth: fc.nat({ max: 2 }),
  byWorker: fc.boolean(),
});

interface Step {
  readonly kind: string;
  readonly pick: number;
  readonly shape: number;
  readonly depth: number;
  readonly byWorker: boolean;
}

const shapes: readonly Readonly<Record<string, number>>[] = [
  { CPU: 1 },
  { CPU: 0.5 },
  { CPU: 2 },
  { CPU: 1, GPU: 1 },
  { GPU: 0.5, memory: 5 },
  {},
  { GPU: 8 },
];

/** What owners, workers, the launcher and the GCS know; their legal and some late events. */
class World {
  readonly h = new RayletHarness({
    totals: { CPU: 2, GPU: 2, memory: 10 },
    prestartCount: 1,
    config: { ...defaultConfig, taskWorkersMax: 6, actorWorkersMax: 2, leaseTurnMs: 20 },
  });
  readonly #leases = new Map<string, { owner: WorkerId; leaseId: number }>();
  readonly #blockSeqs = new Map<string, number>();
  /** Running threads by their counter; true once ready. */
  readonly #threads = new Map<number, boolean>();
  #seen = 0;
  #startsSeen = 0;
  #nextLeaseId = 1;
  #nextActor = 1;
  readonly #constructing = new Map<number, number>();

  constructor() {
    this.h.handle({ type: "start" });
    this.#observe();
  }

  apply({ kind, pick, shape, depth, byWorker }: Step): void {
    const { h } = this;
    switch (kind) {
      case "request": {
        const owners = byWorker ? this.#ready().map(worker) : [];
        const owner = at(owners, pick) ?? driver;
        const leaseId = this.#nextLeaseId++;
        this.#leases.set(`${owner}/${leaseId}`, { owner, leaseId });
        h.request(leaseId, { from: owner, resources: shapes[shape] ?? {}, depth });
        break;
      }
      case "release":
        this.#release(at([...this.#leases.keys()], pick));
        break;
      case "block":
      case "unblock":
        this.#block(pick, kind === "block");
        break;
      case "ready":
        this.#becomeReady(at(this.#starting(), pick));
        break;
      case "exit":
        this.#exit(at([...this.#threads.keys()], pick), { type: "exited", code: pick });
        break;
      case "failStart":
        this.#exit(at(this.#starting(), pick), { type: "failedToStart", message: "no" });
        break;
      case "createActor":
        h.createActor(this.#nextActor++, { placement: shapes[shape] ?? {}, running: { CPU: 0.5 } });
        break;
      case "constructed":
      case "constructorFailed":
        this.#construct(at([...this.#constructing.keys()], pick), kind === "constructed");
        break;
      case "stopActor":
        h.stopActor(1 + (pick % this.#nextActor));
        break;
      case "wait":
        h.nowMs += pick;
        h.deadline();
        break;
      default:
        h.release(pick, worker(1 + (pick % 5)));
        h.request(1 + (pick % this.#nextLeaseId), { from: worker(900) });
        h.constructed(1 + (pick % this.#nextActor), 900);
    }
    this.#observe();
  }

  /** Gives every lease back, stops every actor, and lets every thread end. */
  endEverything(): void {
    for (const key of [...this.#leases.keys()]) this.#release(key);
    for (let serial = 1; serial < this.#nextActor; serial++) this.h.stopActor(serial);
    this.#observe();
    while (this.#threads.size > 0) {
      for (const counter of [...this.#threads.keys()]) this.#exit(counter, { type: "stopped" });
      this.#observe();
    }
  }

  /** Threads start, actors end, and tasks run to their end, until nothing moves any more. */
  finishAll(): void {
    for (let serial = 1; serial < this.#nextActor; serial++) this.h.stopActor(serial);
    this.#observe();
    for (let round = 0; round < 400; round++) {
      for (const id of this.h.stopped()) this.#exit(counterOf(id), { type: "stopped" });
      // What an exit made room for starts in the same round.
      this.#observe();
      const starting = this.#starting();
      for (const counter of starting) this.#becomeReady(counter);
      this.#observe();
      const granted = this.h.out.all("leaseGranted").length;
      this.h.out.clear();
      this.#seen = 0;
      this.#startsSeen = 0;
      const held = [...this.#leases.keys()].filter((key) => this.#blockSeqs.has(key));
      for (const key of held) this.#release(key);
      this.#observe();
      if (starting.length + granted + held.length === 0) return;
    }
  }

  #release(key: string | undefined): void {
    const lease = key === undefined ? undefined : this.#leases.get(key);
    if (key === undefined || lease === undefined) return;
    this.#leases.delete(key);
    this.#blockSeqs.delete(key);
    this.h.release(lease.leaseId, lease.owner);
  }

  #block(pick: number, blocked: boolean): void {
    const key = at([...this.#blockSeqs.keys()], pick);
    const lease = key === undefined ? undefined : this.#leases.get(key);
    const workerId = key === undefined ? undefined : this.#grantedTo.get(key);
    if (key === undefined || lease === undefined || workerId === undefined) return;
    const blockSeq = (this.#blockSeqs.get(key) ?? 0) + (pick % 3);
    this.#blockSeqs.set(key, blockSeq);
    this.h.block(workerId, lease.leaseId, blockSeq, { owner: lease.owner, blocked });
  }

  #becomeReady(counter: number | undefined): void {
    if (counter === undefined) return;
    this.#threads.set(counter, true);
    this.h.ready(counter);
  }

  #exit(counter: number | undefined, exit: WorkerExit): void {
    if (counter === undefined || !this.#threads.delete(counter)) return;
    for (const [key, lease] of this.#leases) {
      if (lease.owner === worker(counter)) this.#leases.delete(key);
    }
    for (const [serial, on] of this.#constructing)
      if (on === counter) this.#constructing.delete(serial);
    this.h.exit(counter, exit);
  }

  #construct(serial: number | undefined, succeeds: boolean): void {
    const on = serial === undefined ? undefined : this.#constructing.get(serial);
    if (serial === undefined || on === undefined) return;
    this.#constructing.delete(serial);
    const error = engineError("TASK_ERROR", "no luck");
    this.h.constructed(serial, on, succeeds ? null : { error, cause: null });
  }

  readonly #grantedTo = new Map<string, WorkerId>();

  /** Learns what the raylet has said and asked for since the last time. */
  #observe(): void {
    const { sent } = this.h.out;
    for (; this.#seen < sent.length; this.#seen++) {
      const { to, message } = sent[this.#seen] ?? {};
      if (message?.type === "leaseGranted") {
        const key = `${to}/${message.leaseId}`;
        this.#grantedTo.set(key, message.workerId);
        if (this.#leases.has(key)) this.#blockSeqs.set(key, 0);
      } else if (message?.type === "leaseRevoked" || message?.type === "leaseRefused") {
        this.#leases.delete(`${to}/${message.leaseId}`);
        this.#blockSeqs.delete(`${to}/${message.leaseId}`);
      } else if (message?.type === "constructActor") {
        const serial = Number.parseInt(message.spec.actorId.slice(40), 16);
        this.#constructing.set(serial, counterOf(to as WorkerId));
      }
    }
    const started = this.h.started();
    const fresh = started.slice(this.#startsSeen);
    this.#startsSeen = started.length;
    for (const id of fresh) this.#threads.set(counterOf(id), false);
  }

  #starting(): number[] {
    return [...this.#threads].filter(([, ready]) => !ready).map(([counter]) => counter);
  }

  #ready(): number[] {
    return [...this.#threads].filter(([, ready]) => ready).map(([counter]) => counter);
  }
}

function counterOf(workerId: WorkerId): number {
  return Number.parseInt(workerId.slice(32), 16);
}

function at<T>(items: readonly T[], pick: number): T | undefined {
  return items[pick % Math.max(1, items.length)];
}
