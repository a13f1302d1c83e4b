/** Probes at one process: whom it asks, what it lets pass, when it believes in a cycle. */
import { describe, expect, it } from "vitest";
import type { Config } from "#engine/common/config.ts";
import type { WorkerId } from "#engine/common/ids.ts";
import { GetRequest } from "#engine/core-worker/memory-store.ts";
import type { ObjectEntry } from "#engine/core-worker/object-entry.ts";
import type { IncomingTask } from "#engine/core-worker/incoming-task.ts";
import type { ProbeObject, WaitProbe } from "#engine/protocol/probe.ts";
import { CoreWorkerHarness } from "./core-worker-harness.ts";
import { actor, actorSpec, driver, nodeId, worker } from "./raylet-harness.ts";

const self = worker(1);
const peer = worker(2);
const probeMs = 200;

class DeadlockHarness extends CoreWorkerHarness {
  constructor(config: Partial<Config> = {}) {
    super({ self, config: { deadlockProbeMs: probeMs, ...config } });
  }

  /** A running task of the driver, by its seq; its serial is one more. */
  runs(seq = 0): IncomingTask {
    const task = this.push(driver, { seq });
    if (task === undefined) throw new Error("no task was started");
    return task;
  }

  /** The task calls get, and the turn ends. */
  waits(
    task: IncomingTask,
    entries: readonly ObjectEntry[],
    options: { needed?: number; deadlineMs?: number; isAbortable?: boolean } = {},
  ): GetRequest {
    const { needed = entries.length, deadlineMs = Infinity, isAbortable = false } = options;
    const request = new GetRequest(entries, needed, needed === entries.length, deadlineMs);
    request.waiter = task;
    request.isAbortable = isAbortable;
    this.handle({ type: "awaitObjects", request });
    this.handle({ type: "taskWaiting", task, waiting: true });
    return request;
  }

  /** Probes sent in the time that passes. */
  pass(ms: number): ProbeObject[] {
    this.out.clear();
    this.nowMs += ms;
    if (this.core.nextDeadlineMs() <= this.nowMs) this.handle({ type: "deadline" });
    return this.out.all("probeObject");
  }

  /** A probe reaches a task of the driver here. */
  arrives(probe: WaitProbe, seq = 0, stream = 1): ProbeObject[] {
    this.out.clear();
    const place = { serial: 1 + seq, stream, seq };
    this.handle({ type: "probeTask", from: driver, ...place, probe });
    return this.out.all("probeObject");
  }

  construct(maxConcurrency: number): void {
    const spec = actorSpec(actor(5));
    this.handle({ type: "constructActor", from: nodeId, incarnation: 0, gpuIds: [], spec });
    const [run] = this.instructions("runConstructor");
    if (run === undefined) throw new Error("no constructor was started");
    const event = { type: "constructorFinished", failure: null, maxConcurrency } as const;
    this.handle({ ...event, actor: run.actor });
  }
}

const one = { serial: 40, index: 1 };
const two = { serial: 41, index: 1 };
/** Of a task of a worker whose id comes before or after that of the driver's first task. */
const probeOf = (owner: WorkerId, serial = 7): WaitProbe => ({
  owner,
  serial,
  round: 1,
  yields: true,
  path: [{ workerId: peer, blockSeq: 3 }],
  expected: [],
  lines: ["task b waits for task a"],
});
const later = probeOf(worker(9));
const earlier = probeOf(driver, 0);

describe("a task that waits", () => {
  it("asks after a while, then half as often each time", () => {
    const h = new DeadlockHarness();
    h.waits(h.runs(), [h.adopt(driver, one)]);
    expect(h.pass(probeMs - 1)).toEqual([]);
    expect(h.pass(1)).toMatchObject([
      {
        object: one,
        probe: { owner: driver, serial: 1, round: 1, yields: true, expected: [] },
      },
    ]);
    const pausesMs: number[] = [];
    for (let i = 0; i < 5; i++) {
      const dueMs = h.core.nextDeadlineMs();
      pausesMs.push(dueMs - h.nowMs);
      expect(h.pass(dueMs - h.nowMs)).toHaveLength(1);
    }
    expect(pausesMs).toEqual([400, 800, 1600, 2000, 2000]);
  });

  it.each([
    ["has a limit of time", { deadlineMs: 10_000 }],
    ["may be told to stop", { isAbortable: true }],
    ["needs only one of two", { needed: 1 }],
  ])("asks nobody when its call %s", (_, options) => {
    const h = new DeadlockHarness();
    h.waits(h.runs(), [h.adopt(driver, one), h.adopt(driver, two)], options);
    expect(h.pass(probeMs)).toEqual([]);
    // Nor do those of others pass.
    expect(h.arrives(later)).toEqual([]);
  });

  it("asks no more once it goes on or has ended", () => {
    const h = new DeadlockHarness();
    const task = h.runs();
    h.waits(task, [h.adopt(driver, one)]);
    h.handle({ type: "taskWaiting", task, waiting: false });
    expect(h.pass(probeMs)).toEqual([]);
    h.handle({ type: "taskWaiting", task, waiting: true });
    h.handle({ type: "taskFinished", task, durationMs: 1, outcome: 1, outcomes: null });
    expect(h.pass(probeMs)).toEqual([]);
    expect(h.core.deadlocks.episodeCount).toBe(0);
  });

  it("asks nobody at all with deadlockProbeMs 0", () => {
    const h = new DeadlockHarness({ deadlockProbeMs: 0 });
    h.waits(h.runs(), [h.adopt(driver, one)]);
    expect(h.core.nextDeadlineMs()).toBe(Infinity);
  });

  it("forgets episodes that are over, long before they are due", () => {
    const h = new DeadlockHarness();
    const entry = h.adopt(driver, one);
    for (let seq = 0; seq < 100; seq++) {
      const task = h.runs(seq);
      h.waits(task, [entry]);
      h.handle({ type: "taskWaiting", task, waiting: false });
      h.handle({ type: "taskFinished", task, durationMs: 1, outcome: 1, outcomes: null });
    }
    expect(h.core.deadlocks.episodeCount).toBe(0);
    expect(h.pass(probeMs)).toEqual([]);
    expect(h.core.nextDeadlineMs()).toBe(Infinity);
  });
});

describe("a probe that comes back", () => {
  const sent = (h: DeadlockHarness): WaitProbe => h.out.last("probeObject").probe;

  function asked(): { h: DeadlockHarness; task: IncomingTask; request: GetRequest } {
    const h = new DeadlockHarness();
    const task = h.runs();
    const request = h.waits(task, [h.adopt(driver, one)]);
    h.pass(probeMs);
    return { h, task, request };
  }

  it("goes round once more by the same way; then the call fails and says why", () => {
    const { h, request } = asked();
    expect(h.arrives(sent(h))).toMatchObject([
      { object: one, probe: { expected: sent(h).path, path: sent(h).path } },
    ]);
    expect(request.settled).toBe(false);
    h.arrives(sent(h));
    expect(request.failure).toMatchObject({ type: "DEADLOCK" });
    expect(request.failure?.detail).toMatch(/^task work1 .* waits for : it runs on worker/);
    expect(h.instructions("settle")).toEqual([request]);
  });

  it("a repeat of the first lap is not the second", () => {
    const { h, request } = asked();
    const first = sent(h);
    h.arrives(first);
    expect(h.arrives(first)).toEqual([]);
    expect(request.settled).toBe(false);
  });

  it("is nothing once the call has its value, or another call waits", () => {
    const { h, task, request } = asked();
    h.arrives(sent(h));
    const second = sent(h);
    h.handle({ type: "objectState", from: driver, object: one, outcome: 5, holds: null });
    expect(request.settled).toBe(true);
    h.handle({ type: "taskWaiting", task, waiting: false });
    const next = h.waits(task, [h.adopt(driver, two)]);
    h.arrives(second);
    expect(next.settled).toBe(false);
  });

  it("is nothing when it is of an earlier round", () => {
    const { h, request } = asked();
    const old = sent(h);
    const [next] = h.pass(2 * probeMs);
    expect(h.arrives(old)).toEqual([]);
    if (next !== undefined) h.arrives(next.probe);
    expect(sent(h).round).toBe(2);
    h.arrives({ ...old, expected: old.path });
    expect(request.settled).toBe(false);
  });

  it("must come back for each of several calls at once", () => {
    const h = new DeadlockHarness();
    const task = h.runs();
    const first = h.waits(task, [h.adopt(driver, one)]);
    const second = h.waits(task, [h.adopt(driver, two)]);
    const probes = h.pass(probeMs).map(({ probe }) => probe);
    expect(probes).toHaveLength(2);
    expect(probes.every(({ yields }) => !yields)).toBe(true);
    const [a, b] = probes as [WaitProbe, WaitProbe];
    expect(h.arrives(a)).toEqual([]);
    const again = h.arrives(b).map(({ probe }) => probe) as [WaitProbe, WaitProbe];
    expect(again).toHaveLength(2);
    h.arrives(again[0]);
    expect([first.settled, second.settled]).toEqual([false, false]);
    h.arrives(again[1]);
    expect([first.failure?.type, second.failure?.type]).toEqual(["DEADLOCK", "DEADLOCK"]);
  });
});

describe("a probe of another task", () => {
  it("passes through a task that waits, once", () => {
    const h = new DeadlockHarness();
    h.waits(h.runs(), [h.adopt(driver, one), h.adopt(driver, two)]);
    const passed = h.arrives(earlier);
    expect(passed.map(({ object }) => object)).toEqual(expect.arrayContaining([one, two]));
    expect(passed[0]?.probe.path).toMatchObject([{ workerId: peer }, { workerId: self }]);
    expect(passed[0]?.probe.lines).toEqual([
      `task b waits for task a: it runs on worker ${self}`,
      `task work1 (${driver}000000000001) on worker ${self} waits for `,
    ]);
    expect(h.arrives(earlier)).toEqual([]);
    expect(h.arrives({ ...earlier, round: 2 })).toHaveLength(2);
  });

  it("is stopped by one whose id comes before, unless it waits for several", () => {
    const h = new DeadlockHarness();
    h.waits(h.runs(), [h.adopt(driver, one)]);
    expect(h.arrives(later)).toEqual([]);
    expect(h.arrives({ ...later, yields: false })).toHaveLength(1);
  });

  it("ends at a task that runs, is unknown, or has ended", () => {
    const h = new DeadlockHarness();
    const task = h.runs();
    expect(h.arrives(earlier)).toEqual([]);
    expect(h.arrives(earlier, 5)).toEqual([]);
    h.handle({ type: "taskFinished", task, durationMs: 1, outcome: 1, outcomes: null });
    expect(h.arrives(earlier)).toEqual([]);
  });

  it("on its second lap passes only through the call of the first", () => {
    const h = new DeadlockHarness();
    const task = h.runs();
    h.waits(task, [h.adopt(driver, one)]);
    const [first] = h.arrives(earlier);
    const expected = first?.probe.path ?? [];
    h.handle({ type: "objectState", from: driver, object: one, outcome: 5, holds: null });
    h.waits(task, [h.adopt(driver, two)]);
    expect(h.arrives({ ...earlier, expected })).toEqual([]);
    // Another round finds the new call.
    const [next] = h.arrives({ ...earlier, round: 2 });
    expect(h.arrives({ ...earlier, round: 2, expected: next?.probe.path ?? [] })).toHaveLength(1);
  });

  it("passes from a call in line to the only one before it", () => {
    const h = new DeadlockHarness();
    h.construct(1);
    h.waits(h.runs(), [h.adopt(driver, one)]);
    const [passed] = h.arrives(earlier, 1);
    expect(passed?.probe.lines[0]).toMatch(/waits for its turn on worker .*, behind task work1$/);
  });

  it("ends where another call of the actor may end first", () => {
    const h = new DeadlockHarness();
    h.construct(2);
    h.waits(h.runs(), [h.adopt(driver, one)]);
    h.waits(h.runs(1), [h.adopt(driver, two)]);
    expect(h.arrives(earlier, 2)).toEqual([]);
  });

  it("of an object goes on to its worker, or to the arguments it lacks", () => {
    const h = new DeadlockHarness();
    const [first, second] = [h.submit(), h.task()];
    for (const entry of [first, second]) h.core.references.name(entry);
    h.grant(peer);
    const object = { serial: first.serial, index: 1 };
    h.handle({ type: "probeObject", from: peer, object, probe: later });
    expect(h.out.last("probeTask", peer)).toMatchObject({ serial: first.serial, seq: 0 });
    const user = h.submit([first]);
    h.core.references.name(user);
    h.out.clear();
    const ofUser = { serial: user.serial, index: 1 };
    h.handle({ type: "probeObject", from: peer, object: ofUser, probe: { ...later, round: 2 } });
    expect(h.out.last("probeTask", peer).probe.lines).toEqual([
      expect.stringMatching(/: it waits for its arguments$/),
      expect.stringMatching(/^task work1 waits for task work1 \(.*\)$/),
    ]);
  });

  it("of an object ends when it waits for resources, or has a value", () => {
    const h = new DeadlockHarness();
    const task = h.submit();
    h.core.references.name(task);
    const put = h.put();
    h.core.references.name(put);
    h.out.clear();
    for (const { serial, index } of [task, put, { serial: 99, index: 1 }]) {
      const object = { serial, index };
      h.handle({ type: "probeObject", from: peer, object, probe: later });
    }
    expect(h.out.sent).toEqual([]);
  });
});
