/** Why something waits, at one process: whom it asks, when, what it answers others. */
import { describe, expect, it } from "vitest";
import { GetRequest } from "#engine/core-worker/memory-store.ts";
import type { ObjectEntry } from "#engine/core-worker/object-entry.ts";
import type { IncomingTask } from "#engine/core-worker/incoming-task.ts";
import type { Explained, WaitQuestion } from "#engine/protocol/explain.ts";
import type { TaskRow } from "#engine/protocol/state.ts";
import { CoreWorkerHarness } from "./core-worker-harness.ts";
import { driver, nodeId, worker } from "./raylet-harness.ts";

const self = worker(1);
const peer = worker(2);
const asker = worker(9);
const one = { serial: 40, index: 1 };
const two = { serial: 41, index: 1 };

class ReasonHarness extends CoreWorkerHarness {
  constructor() {
    super({ self });
  }

  runs(seq = 0): IncomingTask {
    const task = this.push(driver, { seq });
    if (task === undefined) throw new Error("no task was started");
    return task;
  }

  /** The task calls get, or wait for some. */
  waits(task: IncomingTask, entries: readonly ObjectEntry[], needed = entries.length): GetRequest {
    const request = new GetRequest(entries, needed, needed === entries.length, Infinity);
    request.waiter = task;
    this.handle({ type: "awaitObjects", request });
    this.handle({ type: "taskWaiting", task, waiting: true });
    return request;
  }

  /** A get of the driver, which nobody else asks about. */
  getFor(entry: ObjectEntry, ms: number): GetRequest {
    return this.wait([entry], 1, true, this.nowMs + ms);
  }

  passTo(ms: number): void {
    this.out.clear();
    this.nowMs = ms;
    this.handle({ type: "deadline" });
  }

  /** The question that was sent about an object last. */
  get asked(): WaitQuestion {
    return this.out.last("explainObject").question;
  }

  told(fields: Partial<Explained> = {}): void {
    const { requestId, depth } = this.asked;
    const told = { requestId, depth: depth + 1, text: "why", isLast: true, ...fields };
    this.handle({ type: "explained", from: driver, ...told });
  }

  /** Another asks about a task of the driver here: what it is told. */
  answers(fields: Partial<WaitQuestion> = {}, seq = 0): Explained[] {
    this.out.clear();
    const question = { asker, requestId: 3, depth: 2, text: "task a: ", ...fields };
    const place = { serial: 1 + seq, stream: 1, seq };
    this.handle({ type: "explainTask", from: driver, ...place, question });
    return this.out.all("explained", asker);
  }

  listTasks(): void {
    this.out.clear();
    const request = { type: "collectState", from: nodeId, requestId: 1, limit: 100 } as const;
    this.handle({ ...request, kind: "tasks" });
  }

  /** Rows of the list; undefined while it is being made. */
  rows(): readonly TaskRow[] | undefined {
    return this.out.all("stateCollected", nodeId).at(-1)?.rows.tasks;
  }
}

describe("a get with a limit of time", () => {
  it("asks shortly before its end, once, and is not held up by that", () => {
    const h = new ReasonHarness();
    const request = h.getFor(h.adopt(driver, one), 600);
    expect(h.core.nextDeadlineMs()).toBe(500);
    h.passTo(500);
    expect(h.out.all("explainObject", driver)).toMatchObject([
      { object: one, question: { asker: self, text: "" } },
    ]);
    expect(request.explained?.text).toMatch(/^object .* it has no value yet$/);
    h.passTo(600);
    expect(h.out.all("explainObject")).toEqual([]);
    expect([request.settled, request.timedOut]).toEqual([true, true]);
    expect(h.core.nextDeadlineMs()).toBe(Infinity);
    expect(h.core.reasons.questionCount).toBe(0);
  });

  it("that is short asks half way", () => {
    const h = new ReasonHarness();
    h.getFor(h.adopt(driver, one), 20);
    expect(h.core.nextDeadlineMs()).toBe(10);
  });

  it("keeps the longest that it was told", () => {
    const h = new ReasonHarness();
    const request = h.getFor(h.adopt(driver, one), 600);
    h.passTo(500);
    h.told({ depth: 5, text: "task a: task b", isLast: false });
    h.told({ depth: 3, text: "task a", isLast: false });
    expect(request.explained?.text).toBe("task a: task b");
    h.told({ depth: 6, text: "the end" });
    h.told({ depth: 7, text: "a repeat" });
    expect(request.explained?.text).toBe("the end");
  });

  it("asks nobody when its value comes first, nor does a wait, or a get without a limit", () => {
    const h = new ReasonHarness();
    h.getFor(h.adopt(driver, one), 600);
    h.handle({ type: "objectState", from: driver, object: one, outcome: 5, holds: null });
    h.wait([h.adopt(driver, two)], 1, false, 600);
    h.get(h.adopt(driver, { serial: 42, index: 1 }));
    h.passTo(599);
    expect(h.out.all("explainObject")).toEqual([]);
  });

  it("asks about so many at once, and says what it knows itself beyond", () => {
    const h = new ReasonHarness();
    const entry = h.adopt(driver, one);
    const requests = Array.from({ length: 300 }, () => h.getFor(entry, 600));
    h.passTo(500);
    expect(h.out.all("explainObject")).toHaveLength(256);
    expect(requests.every(({ explained }) => explained !== null)).toBe(true);
  });
});

describe("a process that is asked", () => {
  it("goes on through a task that waits, and tells the asker how far it is", () => {
    const h = new ReasonHarness();
    h.waits(h.runs(), [h.adopt(peer, one)]);
    const [told] = h.answers();
    expect(told?.isLast).toBe(false);
    expect(told?.text).toMatch(
      new RegExp(`^task a: it runs on worker ${self} and waits in get for object .* of worker`),
    );
    expect(h.out.last("explainObject", peer)).toMatchObject({
      object: one,
      question: {
        asker,
        requestId: 3,
        text: `task a: it runs on worker ${self} and waits in get for `,
      },
    });
    expect(h.asked.depth).toBeGreaterThan(told?.depth ?? Infinity);
  });

  it("says of which kind the call is, and of how many objects", () => {
    const h = new ReasonHarness();
    h.waits(h.runs(), [h.adopt(peer, one), h.adopt(peer, two)], 1);
    expect(h.answers()[0]?.text).toMatch(/waits in wait for 1 of 2 objects, such as object/);
  });

  it("ends where the task runs, is unknown, or waits for resources", () => {
    const h = new ReasonHarness();
    const task = h.runs();
    expect(h.answers()).toMatchObject([
      { isLast: true, text: `task a: it runs on worker ${self}` },
    ]);
    expect(h.answers({}, 5)).toMatchObject([
      { isLast: true, text: `task a: it was sent to worker ${self}` },
    ]);
    const child = h.submit();
    const { leaseId } = h.out.last("requestWorkerLease");
    const reason = "no node has {nope: 1}";
    h.handle({ type: "leasePending", from: nodeId, leaseId, reason, infeasible: true });
    h.waits(task, [h.submit([child])]);
    const [told] = h.answers();
    expect(told?.isLast).toBe(true);
    expect(told?.text).toMatch(
      /waits in get for task work1 .*: waits for its arguments: task work1 .*: no node has/,
    );
  });

  it("goes on from an object of its own to the worker of its task", () => {
    const h = new ReasonHarness();
    const task = h.submit();
    h.core.references.name(task);
    h.grant(peer);
    h.out.clear();
    const object = { serial: task.serial, index: 1 };
    const question = { asker, requestId: 3, depth: 2, text: "" };
    h.handle({ type: "explainObject", from: peer, object, question });
    expect(h.out.last("explainTask", peer)).toMatchObject({ serial: task.serial, seq: 0 });
    expect(h.out.last("explained", asker)).toMatchObject({ isLast: false });
    h.out.clear();
    h.handle({ type: "explainObject", from: peer, object: one, question });
    expect(h.out.sent).toEqual([]);
  });

  it("follows so many links, and no task twice", () => {
    const h = new ReasonHarness();
    const child = h.submit();
    h.waits(h.runs(), [child]);
    expect(h.answers({ depth: 64 })[0]).toMatchObject({ isLast: true });
    expect(h.answers({ depth: 64 })[0]?.text).toMatch(/more, which is not told here$/);
    expect(h.answers({ text: "x".repeat(4000) })[0]?.text).toMatch(/which is not told here$/);
    const [told] = h.answers();
    const again = h.answers({ text: `${told?.text ?? ""} and waits in get for ` });
    expect(again[0]?.text).toMatch(/, as told before$/);
  });

  it("sends nothing to an asker that has ended, and asks no owner that has", () => {
    const h = new ReasonHarness();
    const task = h.runs();
    h.handle({ type: "explainTask", from: driver, ...place(0), question: of(asker) });
    expect(h.out.all("explained", asker)).toHaveLength(1);
    h.died(asker);
    expect(h.answers()).toEqual([]);
    h.waits(task, [h.submit()]);
    expect(h.answers()).toEqual([]);
  });
});

describe("a list of tasks", () => {
  it("is sent when it is known why each waits", () => {
    const h = new ReasonHarness();
    h.waits(h.runs(), [h.adopt(peer, one)]);
    h.listTasks();
    expect(h.rows()).toBeUndefined();
    h.told({ text: "waits in get for task b: no node has {nope: 1}" });
    expect(h.rows()).toMatchObject([
      { state: "RUNNING_IN_GET", pendingReason: "waits in get for task b: no node has {nope: 1}" },
    ]);
  });

  it("is sent after a while with what is known, when nobody answers", () => {
    const h = new ReasonHarness();
    h.waits(h.runs(), [h.adopt(peer, one), h.adopt(peer, two)], 1);
    h.listTasks();
    const dueMs = h.core.nextDeadlineMs();
    expect(dueMs).toBe(100);
    h.passTo(dueMs);
    expect(h.rows()).toMatchObject([{ state: "RUNNING_IN_WAIT" }]);
    expect(h.rows()?.[0]?.pendingReason).toMatch(
      /^waits in wait for 1 of 2 objects, such as object .* of worker .*: it has no value yet$/,
    );
  });

  it("is sent at once when this process knows all, or nothing waits", () => {
    const h = new ReasonHarness();
    const task = h.runs();
    h.listTasks();
    expect(h.rows()).toMatchObject([{ state: "RUNNING", pendingReason: "" }]);
    h.waits(task, [h.submit()]);
    h.listTasks();
    expect(h.rows()?.[0]?.pendingReason).toMatch(/^waits in get for task work1/);
  });
});

function place(seq: number): { serial: number; stream: number; seq: number } {
  return { serial: 1 + seq, stream: 1, seq };
}

function of(who: typeof asker): WaitQuestion {
  return { asker: who, requestId: 3, depth: 2, text: "" };
}
