/** Normal tasks at their owner: arguments, leases, replies, take-backs, the end of a worker. */
import { describe, expect, it } from "vitest";
import { engineError } from "#engine/common/error-type.ts";
import { GetRequest } from "#engine/core-worker/memory-store.ts";
import type { ObjectEntry } from "#engine/core-worker/object-entry.ts";
import { FailedValue, StoredValue } from "#engine/protocol/outcome.ts";
import { CoreWorkerHarness, crashed, inline, template } from "./core-worker-harness.ts";
import { nodeId, worker } from "./raylet-harness.ts";

const executor = worker(1);
const second = worker(2);
const failure = new FailedValue(engineError("TASK_ERROR", "boom"), inline());

describe("a task's arguments", () => {
  it("waits for every value, and submits in the order in which the tasks became ready", () => {
    const h = new CoreWorkerHarness({ config: { pipelineDepthMax: 1 } });
    const source = h.submit();
    h.grant(executor);
    const source2 = h.out.last("pushTask");
    const dependents = [h.submit([source]), h.submit([source]), h.submit([source])];
    expect(h.out.all("pushTask")).toHaveLength(1);
    h.reply(5, { to: source2 });
    for (const dependent of dependents) {
      const pushed = h.out.last("pushTask");
      expect(pushed.serial).toBe(dependent.serial);
      expect(pushed.values).toEqual([5]);
      h.reply(0);
    }
    expect(h.core.tasks.unfinishedCount).toBe(0);
  });

  it("does not run with a failed argument: it has that error, whatever it waits for", () => {
    const h = new CoreWorkerHarness();
    const failed = h.submit();
    h.grant(executor);
    h.reply(failure);
    const pending = h.adopt(second, { serial: 1, index: 1 });
    const late = h.submit([failed, pending]);
    expect(late.outcome).toMatchObject({ error: { message: "boom" } });
    const early = h.submit([h.adopt(second, { serial: 2, index: 1 }), pending]);
    const object = { serial: 2, index: 1 };
    h.handle({ type: "objectState", from: second, object, outcome: failure, holds: null });
    expect(early.outcome).toMatchObject({ error: { message: "boom" } });
    expect(h.core.tasks.unfinishedCount).toBe(0);
  });

  it("fails a chain of a hundred thousand dependents without a stack", () => {
    const h = new CoreWorkerHarness();
    const first = h.submit();
    let last = first;
    for (let i = 0; i < 100_000; i++) {
      const task = h.task([last]);
      h.core.handle({ type: "submitTask", task }, 0, h.out);
      last = task;
    }
    h.grant(executor);
    h.reply(failure);
    expect(last.outcome).toMatchObject({ error: { message: "boom" } });
  });

  it("gives the same object twice to one task", () => {
    const h = new CoreWorkerHarness();
    const source = h.submit();
    const twice = h.submit([source, source]);
    h.grant(executor);
    h.reply(3);
    expect(h.out.last("pushTask")).toMatchObject({ serial: twice.serial, values: [3, 3] });
  });

  it("frees the room of large arguments with the reply", () => {
    const h = new CoreWorkerHarness();
    const task = h.task();
    task.args = new StoredValue(0, 0, 64, []);
    h.handle({ type: "submitTask", task });
    h.grant(executor);
    h.reply(1);
    expect(h.out.last("freeArena").extents).toEqual([{ segment: 0, offset: 0, size: 64 }]);
  });

  it("keeps arguments until the reply, then for whom the executor says", () => {
    const h = new CoreWorkerHarness();
    const given = h.put();
    h.submit([given], { nested: true });
    h.drop(given);
    h.grant(executor);
    expect(given.state).toBe("AVAILABLE");
    h.reply(1, { keptRefs: [{ serial: given.serial, index: given.index }] });
    expect(given.state).toBe("AVAILABLE");
    const objects = [{ serial: given.serial, index: given.index }];
    h.handle({ type: "releaseHolds", from: executor, objects });
    expect(given.state).toBe("FREED");
  });
});

describe("a task's returns", () => {
  it("gives each its own value, and all of them the one error", () => {
    const h = new CoreWorkerHarness();
    const submitTwo = () => {
      const task = h.task([], { shape: template(2, 2) });
      h.handle({ type: "submitTask", task });
      return task;
    };
    const good = submitTwo();
    h.grant(executor);
    h.reply(1, { outcomes: [2] });
    expect([good.outcome, good.moreReturns?.[0]?.outcome]).toEqual([1, 2]);
    const bad = submitTwo();
    h.reply(failure);
    expect(bad.moreReturns?.[0]?.outcome).toMatchObject({ error: { message: "boom" } });
  });

  it("frees a return whose ref went before the end, and keeps the other", () => {
    const h = new CoreWorkerHarness();
    const task = h.task([], { shape: template(2, 2) });
    h.handle({ type: "submitTask", task });
    h.drop(task);
    h.grant(executor);
    h.reply(new StoredValue(0, 0, 64, []), { outcomes: [2] });
    expect(task.state).toBe("FREED");
    expect(task.moreReturns?.[0]?.outcome).toBe(2);
    expect(h.out.all("freeArena")).toHaveLength(1);
  });

  it("copies bytes that were only lent", () => {
    const h = new CoreWorkerHarness();
    const task = h.submit();
    h.grant(executor);
    const lent = inline();
    h.reply(lent);
    lent.bytes.fill(0);
    const { bytes, start, length } = task.outcome as ReturnType<typeof inline>;
    expect([...bytes.subarray(start, start + length)]).toEqual([1, 2, 3]);
  });

  it("ignores a reply that comes twice", () => {
    const h = new CoreWorkerHarness();
    const task = h.submit();
    h.grant(executor);
    const to = h.out.last("pushTask");
    h.reply(1, { to });
    h.reply(2, { to });
    expect(task.outcome).toBe(1);
    expect(h.core.tasks.unfinishedCount).toBe(0);
  });
});

describe("leases", () => {
  it("releases a grant that it does not know", () => {
    const h = new CoreWorkerHarness();
    h.grant(executor, 99);
    expect(h.out.last("releaseLease").leaseId).toBe(99);
  });

  it("gives an unused lease back when its time is up, and no queue stays", () => {
    const h = new CoreWorkerHarness();
    const task = h.submit();
    const leaseId = h.grant(executor);
    h.reply(1);
    expect(h.core.submitter.leaseCount).toBe(1);
    h.nowMs = h.core.nextDeadlineMs();
    h.handle({ type: "deadline" });
    expect(h.out.last("releaseLease").leaseId).toBe(leaseId);
    expect(h.core.submitter.leaseCount).toBe(0);
    expect(h.core.pendingReason(task)).toBe("");
    expect(h.core.nextDeadlineMs()).toBe(Infinity);
  });

  it("moves what was not started when its worker dies, and fails what was", () => {
    const h = new CoreWorkerHarness();
    const first = h.submit();
    h.grant(executor);
    const leaseId = h.out.last("pushTask").stream;
    h.reply(1);
    const [started, unstarted] = [h.submit(), h.submit()];
    h.out.startedFrames.add(2);
    const pushed = h.out.all("pushTask").filter((push) => push.stream === leaseId);
    expect(pushed).toHaveLength(3);
    h.handle({ type: "leaseRevoked", from: nodeId, leaseId, error: crashed });
    expect(first.outcome).toBe(1);
    expect(started.outcome).toMatchObject({ error: { type: "WORKER_CRASHED" } });
    expect(unstarted.state).toBe("PENDING");
    h.grant(second);
    expect(h.out.last("pushTask", second).serial).toBe(unstarted.serial);
  });

  it("ends the tasks of a key that no worker will ever run", () => {
    const h = new CoreWorkerHarness();
    const task = h.submit();
    const { leaseId } = h.out.last("requestWorkerLease");
    const error = engineError("TASK_UNSCHEDULABLE", "there is no such node");
    h.handle({ type: "leaseRefused", from: nodeId, leaseId, error });
    expect(task.outcome).toMatchObject({ error: { type: "TASK_UNSCHEDULABLE" } });
    expect(h.core.submitter.leaseCount).toBe(0);
  });

  it("puts back what a blocked worker returns, in order, and pushes there no more", () => {
    const h = new CoreWorkerHarness();
    h.submit();
    const leaseId = h.grant(executor);
    h.reply(1);
    const tasks = [h.submit(), h.submit(), h.submit()];
    const seqs = h.out
      .all("pushTask")
      .slice(2)
      .map((push) => push.seq);
    expect(seqs).toHaveLength(1);
    h.handle({ type: "takenBack", from: executor, stream: leaseId, seqs });
    tasks.push(h.submit());
    expect(h.out.all("pushTask")).toHaveLength(3);
    h.grant(second);
    const moved = h.out.all("pushTask", second).map((push) => push.serial);
    expect(moved).toEqual([tasks[1]?.serial, tasks[2]?.serial]);
  });

  it("asks for a second worker only for tasks that are long twice in a row", () => {
    const h = new CoreWorkerHarness({ config: { pipelineDepthMax: 1 } });
    h.submit();
    h.grant(executor);
    h.reply(1, { durationMs: 0.001 });
    const asked = (): number => h.out.all("requestWorkerLease").length;
    const before = asked();
    h.submit();
    h.submit();
    h.submit();
    // A pause of the thread, as a collection of its garbage makes it.
    h.reply(1, { durationMs: 50 });
    expect(asked()).toBe(before);
    h.reply(1, { durationMs: 50 });
    h.submit();
    expect(asked()).toBeGreaterThan(before);
  });

  it("keeps no work ahead of tasks that take no time, when none is to be kept", () => {
    const h = new CoreWorkerHarness({ config: { pipelineAheadMs: 0 } });
    h.submit();
    h.grant(executor);
    h.reply(1, { durationMs: 0 });
    for (let i = 0; i < 5; i++) h.submit();
    expect(h.out.all("pushTask")).toHaveLength(2);
    h.reply(1, { durationMs: 0 });
    expect(h.out.all("pushTask")).toHaveLength(3);
  });

  it("keeps very short tasks on one worker as long as it has room", () => {
    const h = new CoreWorkerHarness();
    h.submit();
    h.submit();
    const [first, other] = h.out.all("requestWorkerLease").map(({ leaseId }) => leaseId);
    h.grant(executor, first);
    h.grant(second, other);
    for (const to of h.out.all("pushTask")) h.reply(1, { to, durationMs: 0.001 });
    h.out.clear();
    for (let i = 0; i < 20; i++) h.submit();
    const receivers = h.out.sent.filter(({ message }) => message.type === "pushTask");
    expect(receivers).toHaveLength(20);
    expect(new Set(receivers.map(({ to }) => to))).toEqual(new Set([executor]));
  });

  it("keeps a lease with a full link, though others wait, until there is room", () => {
    const h = new CoreWorkerHarness();
    const task = h.submit();
    h.handle({ type: "leaseDemand", from: nodeId, version: 1, waiting: true });
    h.out.congested.add(executor);
    h.grant(executor);
    // Given back it would be granted again, for ever.
    expect(h.out.all("releaseLease")).toEqual([]);
    expect(h.out.all("requestWorkerLease")).toHaveLength(1);
    h.out.congested.clear();
    h.handle({ type: "writable", peer: executor });
    expect(h.out.last("pushTask").serial).toBe(task.serial);
  });

  it("gives it back then, if its turn is over", () => {
    const h = new CoreWorkerHarness({ config: { leaseTurnMs: 10 } });
    h.submit();
    h.handle({ type: "leaseDemand", from: nodeId, version: 1, waiting: true });
    h.out.congested.add(executor);
    h.grant(executor);
    h.nowMs = 20;
    h.out.congested.clear();
    h.handle({ type: "writable", peer: executor });
    expect(h.out.all("releaseLease")).toHaveLength(1);
    expect(h.out.all("requestWorkerLease")).toHaveLength(2);
  });

  it("asks for another when one that took nothing has idled for its time", () => {
    const h = new CoreWorkerHarness({ config: { idleLeaseMs: 100 } });
    h.submit();
    h.out.congested.add(executor);
    h.grant(executor);
    h.nowMs = 200;
    h.handle({ type: "deadline" });
    expect(h.out.all("releaseLease")).toHaveLength(1);
    expect(h.out.all("requestWorkerLease")).toHaveLength(2);
  });

  it("forgets which functions a dead worker knew", () => {
    const h = new CoreWorkerHarness();
    h.submit();
    const leaseId = h.grant(executor);
    h.reply(1);
    h.handle({ type: "leaseRevoked", from: nodeId, leaseId, error: crashed });
    h.died(executor);
    h.submit();
    h.grant(executor);
    expect(h.out.last("pushTask").definition).not.toBeNull();
  });
});

describe("calls of get and wait", () => {
  it("are met at once by what is here, and that changes nothing", () => {
    const h = new CoreWorkerHarness();
    const [here, failed] = [h.put(1), h.submit()];
    h.grant(executor);
    h.reply(failure);
    const pending = h.adopt(second, { serial: 1, index: 1 });
    const isMet = (
      entries: readonly ObjectEntry[],
      count: number,
      failsEarly: boolean,
    ): boolean => {
      const request = new GetRequest(entries, count, failsEarly, Infinity);
      const met = h.core.isMet(request);
      expect(request).toMatchObject({ missingCount: count, settled: false });
      return met;
    };
    expect(isMet([here], 1, true)).toBe(true);
    expect(isMet([here, pending], 2, true)).toBe(false);
    expect(isMet([pending, failed], 2, true)).toBe(true);
    expect(isMet([pending, failed], 2, false)).toBe(false);
    expect(isMet([pending, failed, here], 2, false)).toBe(true);
    expect(isMet([], 0, true)).toBe(true);
    expect(h.core.references.find(second, pending)?.subscribed).toBe(false);
  });

  it("settles get with the first error, wait with as many as were asked for", () => {
    const h = new CoreWorkerHarness();
    const [a, b] = [
      h.adopt(second, { serial: 1, index: 1 }),
      h.adopt(second, { serial: 2, index: 1 }),
    ];
    const all = h.get(a, b);
    const one = h.wait([a, b], 1);
    const both = h.wait([a, b], 2);
    h.handle({
      type: "objectState",
      from: second,
      object: { serial: 2, index: 1 },
      outcome: failure,
      holds: null,
    });
    expect([all.settled, one.settled, both.settled]).toEqual([true, true, false]);
    h.handle({
      type: "objectState",
      from: second,
      object: { serial: 1, index: 1 },
      outcome: 1,
      holds: null,
    });
    expect(both.settled).toBe(true);
    expect(h.core.isWaiting).toBe(false);
  });

  it("settles at once what is there", () => {
    const h = new CoreWorkerHarness();
    const request = h.get(h.put(), h.put());
    expect(request.settled).toBe(true);
    expect(h.instructions("settle")).toEqual([request]);
  });

  it("ends at its deadline, not before, and the fetch goes on for others", () => {
    const h = new CoreWorkerHarness();
    const borrowed = h.adopt(second, { serial: 1, index: 1 });
    const short = h.wait([borrowed], 1, true, 100);
    const long = h.wait([borrowed], 1, true);
    // Half way it asks why it waits.
    expect(h.core.nextDeadlineMs()).toBe(50);
    h.nowMs = 99;
    h.handle({ type: "deadline" });
    expect(short.settled).toBe(false);
    expect(h.core.nextDeadlineMs()).toBe(100);
    h.nowMs = 100;
    h.handle({ type: "deadline" });
    expect([short.settled, short.timedOut, long.settled]).toEqual([true, true, false]);
    h.handle({
      type: "objectState",
      from: second,
      object: { serial: 1, index: 1 },
      outcome: 1,
      holds: null,
    });
    expect(long.settled).toBe(true);
  });

  it("does not keep settled requests because their deadlines are far away", () => {
    const h = new CoreWorkerHarness();
    const borrowed = h.adopt(second, { serial: 1, index: 1 });
    for (let i = 0; i < 1000; i++) {
      const request = h.wait([borrowed], 1, true, 3_600_000 + i);
      h.handle({ type: "abandonAwait", request });
    }
    // The sweep leaves fewer than its threshold: the next deadline of all is soon a new one.
    const last = h.wait([borrowed], 1, true, 7_200_000);
    for (let i = 0; i < 20; i++) {
      const request = h.wait([borrowed], 1, true, 7_200_001);
      h.handle({ type: "abandonAwait", request });
    }
    // When it asks why it waits.
    expect(h.core.nextDeadlineMs()).toBe(7_199_900);
    expect(last.settled).toBe(false);
  });
});
