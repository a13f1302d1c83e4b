/** A cancelled task in each of its states at its owner. */
import { describe, expect, it } from "vitest";
import { engineError } from "#engine/common/error-type.ts";
import { LaterReturn, ObjectEntry, type TaskRecord } from "#engine/core-worker/object-entry.ts";
import type { PushTask } from "#engine/protocol/task.ts";
import { FailedValue, StoredValue } from "#engine/protocol/outcome.ts";
import { cancel, errorOf, started } from "./cancelling.ts";
import { CoreWorkerHarness, crashed, inline, refTo, template } from "./core-worker-harness.ts";
import { nodeId, worker } from "./raylet-harness.ts";

const executor = worker(1);
const second = worker(2);

describe("a task at its owner", () => {
  it("waits for its arguments: it ends, and is not woken by them", () => {
    const h = new CoreWorkerHarness();
    const source = h.submit();
    const given = h.put();
    const task = h.submit([source, given]);
    expect(cancel(h, task)).toBe(false);
    expect(errorOf(task)).toBe("TASK_CANCELLED");
    expect(given.uses).toBe(0);
    h.grant(executor);
    h.reply(1);
    expect(h.out.all("pushTask").map(({ serial }) => serial)).toEqual([source.serial]);
    expect(h.core.tasks.unfinishedCount).toBe(0);
  });

  it("fails its dependents with that very error", () => {
    const h = new CoreWorkerHarness();
    const source = h.submit();
    const dependents = [h.submit([source]), h.submit([source])];
    const nested = h.submit([dependents[0] as TaskRecord]);
    cancel(h, source);
    for (const task of [...dependents, nested]) expect(task.outcome).toBe(source.outcome);
    expect(h.core.tasks.unfinishedCount).toBe(0);
  });

  it("is the only one of its key: its request goes, and the key with it", () => {
    const h = new CoreWorkerHarness();
    const task = h.submit();
    const { leaseId } = h.out.last("requestWorkerLease");
    cancel(h, task);
    expect(h.out.last("releaseLease").leaseId).toBe(leaseId);
    expect(h.core.submitter.infeasibleTaskCount).toBe(0);
    h.grant(executor, leaseId);
    expect(h.out.all("pushTask")).toEqual([]);
  });

  it("fits no node: what waits for ever no longer does", () => {
    const h = new CoreWorkerHarness();
    const task = h.submit();
    const { leaseId } = h.out.last("requestWorkerLease");
    h.handle({ type: "leasePending", from: nodeId, leaseId, reason: "no", infeasible: true });
    expect(h.core.submitter.infeasibleTaskCount).toBe(1);
    cancel(h, task);
    expect(h.core.submitter.infeasibleTaskCount).toBe(0);
    expect(h.core.isWaiting).toBe(false);
  });

  it("stands in the queue: the others keep their order", () => {
    const h = new CoreWorkerHarness({ config: { pipelineDepthMax: 1 } });
    const tasks = Array.from({ length: 300 }, () => h.submit());
    h.grant(executor);
    const gone = tasks.filter((_, i) => i % 3 !== 0);
    for (const task of gone) cancel(h, task);
    for (const task of gone) expect(errorOf(task)).toBe("TASK_CANCELLED");
    const kept = tasks.filter((_, i) => i % 3 === 0);
    for (const task of kept) {
      const to = started(h);
      expect(to.serial).toBe(task.serial);
      h.reply(1);
    }
    expect(h.core.tasks.unfinishedCount).toBe(0);
  });

  it("was pushed and has not started: its frame is retracted, the next takes its place", () => {
    const h = new CoreWorkerHarness();
    const first = h.submit();
    h.grant(executor);
    const next = h.submit();
    cancel(h, first);
    expect(errorOf(first)).toBe("TASK_CANCELLED");
    expect(h.out.retracted).toHaveLength(1);
    expect(h.out.all("cancelTask")).toEqual([]);
    expect(h.out.last("pushTask").serial).toBe(next.serial);
    h.reply(2);
    expect(next.outcome).toBe(2);
  });

  it("leaves a gap in the middle of its stream, and nobody minds", () => {
    const h = new CoreWorkerHarness({ config: { pipelineAheadMs: 100 } });
    const tasks = [h.submit()];
    h.grant(executor);
    h.reply(0);
    tasks.push(...Array.from({ length: 5 }, () => h.submit()));
    const pushed = h.out.all("pushTask");
    h.out.startedFrames.add(2);
    cancel(h, tasks[3] as TaskRecord);
    cancel(h, tasks[5] as TaskRecord);
    const late = h.submit();
    // The seq of the newest, which nobody has seen, is used again; that in the middle is not.
    const seqs = h.out.all("pushTask").map(({ seq }) => seq);
    expect(seqs).toEqual([0, 1, 2, 3, 4, 5, 5]);
    for (const i of [1, 2, 4]) h.reply(i, { to: pushed[i] as PushTask });
    h.reply(7);
    expect([1, 2, 4].map((i) => tasks[i]?.outcome)).toEqual([1, 2, 4]);
    expect(late.outcome).toBe(7);
    expect(h.core.tasks.unfinishedCount).toBe(0);
  });

  it("runs: its refs end at once, its arguments are kept until its reply, which is refused", () => {
    const h = new CoreWorkerHarness();
    const given = h.put();
    const task = h.submit([given], { nested: true });
    h.drop(given);
    h.grant(executor);
    const to = started(h);
    cancel(h, task);
    expect(errorOf(task)).toBe("TASK_CANCELLED");
    const { stream, seq } = to;
    expect(h.out.last("cancelTask", executor)).toMatchObject({
      stream,
      seq,
      force: false,
      recursive: true,
    });
    expect(given.state).toBe("AVAILABLE");
    h.out.clear();
    h.reply(new StoredValue(0, 64, 32, []), { to, by: executor });
    expect(errorOf(task)).toBe("TASK_CANCELLED");
    expect(given.state).toBe("FREED");
    expect(h.out.last("freeArena").extents).toEqual([{ segment: 0, offset: 64, size: 32 }]);
    expect(h.core.tasks.unfinishedCount).toBe(0);
  });

  it("refuses a result with refs of its executor, and gives its holds back", () => {
    const h = new CoreWorkerHarness();
    const task = h.submit();
    h.grant(executor);
    const to = started(h);
    cancel(h, task);
    const inner = new ObjectEntry(executor, 5, 1);
    h.reply(inline(refTo(inner)), { to, by: executor });
    expect(h.out.last("releaseHolds", executor).objects).toEqual([{ serial: 5, index: 1 }]);
    expect(h.core.references.registeredCount).toBe(0);
  });

  it("is given back by its executor: it is over, and not queued again", () => {
    const h = new CoreWorkerHarness({ config: { pipelineAheadMs: 100 } });
    h.submit();
    const leaseId = h.grant(executor);
    h.reply(0);
    const [waits, given] = [h.submit(), h.submit()];
    const [, to, taken] = h.out.all("pushTask");
    started(h);
    cancel(h, given);
    const stream = leaseId;
    h.handle({ type: "takenBack", from: executor, stream, seqs: [taken?.seq ?? -1] });
    h.reply(1, { to: to as PushTask });
    expect(waits.outcome).toBe(1);
    expect(h.out.all("pushTask")).toHaveLength(3);
    h.nowMs = h.core.nextDeadlineMs();
    h.handle({ type: "deadline" });
    expect(h.out.last("releaseLease").leaseId).toBe(leaseId);
  });

  it("loses its worker: it keeps its error", () => {
    const h = new CoreWorkerHarness();
    const task = h.submit();
    const leaseId = h.grant(executor);
    started(h);
    cancel(h, task);
    h.handle({ type: "leaseRevoked", from: nodeId, leaseId, error: crashed });
    expect(errorOf(task)).toBe("TASK_CANCELLED");
    expect(h.core.tasks.unfinishedCount).toBe(0);
  });

  it("has ended: nothing happens, also by force", () => {
    const h = new CoreWorkerHarness();
    const task = h.submit();
    h.grant(executor);
    h.reply(4);
    expect(cancel(h, task, { force: true })).toBe(false);
    expect(task.outcome).toBe(4);
    expect(h.out.all("cancelTask")).toEqual([]);
  });

  it("is cancelled twice: it was one task", () => {
    const h = new CoreWorkerHarness();
    const [queued, waits] = [h.submit(), h.submit()];
    for (const task of [queued, queued, waits, waits]) cancel(h, task);
    expect(h.core.tasks.unfinishedCount).toBe(0);
  });

  it("has several returns: all of them end, whichever was named", () => {
    const h = new CoreWorkerHarness();
    const task = h.task([], { shape: template(2, 2) });
    const later = new LaterReturn(task, 2);
    later.localRefs = 1;
    task.moreReturns = [later];
    h.handle({ type: "submitTask", task });
    cancel(h, later);
    expect([errorOf(task), errorOf(later)]).toEqual(["TASK_CANCELLED", "TASK_CANCELLED"]);
  });

  it("a value that was put is nobody's task", () => {
    const h = new CoreWorkerHarness();
    const stored = h.put(3);
    expect(cancel(h, stored)).toBe(false);
    expect(stored.outcome).toBe(3);
  });
});

describe("a task that may run again", () => {
  const error = { ...crashed, detail: "forceCancel" };

  it("does not when it was cancelled, wherever its attempt ends", () => {
    const h = new CoreWorkerHarness();
    const task = h.submitRetriable({ retryExceptions: true });
    h.grant(executor);
    const to = started(h);
    cancel(h, task);
    const threw = new FailedValue(engineError("TASK_ERROR", "boom"), inline());
    h.reply(threw, { to, by: executor });
    const lost = h.submitRetriable({});
    started(h);
    cancel(h, lost);
    h.handle({ type: "leaseRevoked", from: nodeId, leaseId: to.stream, error: crashed });
    expect([errorOf(task), errorOf(lost)]).toEqual(["TASK_CANCELLED", "TASK_CANCELLED"]);
    expect(h.core.retries.counts.retried).toBe(0);
    expect(h.core.tasks.unfinishedCount).toBe(0);
  });

  it("pauses, or is judged: it ends there", () => {
    const h = new CoreWorkerHarness();
    const pausing = h.submitRetriable({});
    const leaseId = h.grant(executor);
    started(h);
    const outOfMemory = engineError("OUT_OF_MEMORY", "it ran out of memory");
    h.handle({ type: "leaseRevoked", from: nodeId, leaseId, error: outOfMemory });
    cancel(h, pausing);
    const judged = h.submitRetriable({ retryExceptions: {} });
    h.grant(second);
    h.reply(new FailedValue(engineError("TASK_ERROR", "boom"), inline()));
    cancel(h, judged);
    h.out.clear();
    h.handle({ type: "exceptionJudged", task: judged, retries: true, why: "" });
    h.nowMs = 100_000;
    h.handle({ type: "deadline" });
    expect(h.out.all("pushTask")).toEqual([]);
    expect([errorOf(pausing), errorOf(judged)]).toEqual(["TASK_CANCELLED", "TASK_CANCELLED"]);
  });

  it("does at no cost when it was beside one that was cancelled by force", () => {
    const h = new CoreWorkerHarness();
    const neighbour = h.submitRetriable({ maxRetries: 1 });
    for (let i = 0; i < 5; i++) {
      const leaseId = h.grant(worker(10 + i));
      started(h);
      h.handle({ type: "leaseRevoked", from: nodeId, leaseId, error });
    }
    expect([neighbour.state, neighbour.attempt, neighbour.retriesUsed]).toEqual(["PENDING", 5, 0]);
  });

  it("that may not run again ends with what was cancelled as its reason", () => {
    const h = new CoreWorkerHarness();
    const once = h.submitRetriable({ maxRetries: 0 });
    const leaseId = h.grant(executor);
    started(h);
    h.handle({ type: "leaseRevoked", from: nodeId, leaseId, error });
    expect(errorOf(once)).toBe("WORKER_CRASHED");
  });
});

describe("by force", () => {
  function running(forceGraceMs = 100) {
    const h = new CoreWorkerHarness({ config: { forceGraceMs } });
    const task = h.submit();
    const leaseId = h.grant(executor);
    const to = started(h);
    return { h, task, leaseId, to };
  }

  it("ends the thread when the grace is over, and says for which task", () => {
    const { h, task, leaseId } = running();
    cancel(h, task, { force: true });
    expect(errorOf(task)).toBe("TASK_CANCELLED");
    expect(h.core.nextDeadlineMs()).toBe(100);
    h.nowMs = 100;
    h.handle({ type: "deadline" });
    const { reason } = h.out.last("stopLeasedWorker", nodeId);
    expect(h.out.last("stopLeasedWorker").leaseId).toBe(leaseId);
    expect(reason).toMatch(/^cancelled by force: task work1 \(/);
    // Nothing more is pushed to a thread that ends.
    h.submit();
    expect(h.out.all("pushTask")).toHaveLength(1);
  });

  it("leaves the thread alone when the task has ended by then", () => {
    const { h, task, to } = running();
    cancel(h, task, { force: true });
    h.reply(1, { to, by: executor });
    h.nowMs = 100;
    h.handle({ type: "deadline" });
    expect(h.out.all("stopLeasedWorker")).toEqual([]);
  });

  it("reaches a task that was cancelled without it before", () => {
    const { h, task } = running();
    cancel(h, task);
    expect(h.core.nextDeadlineMs()).toBe(Infinity);
    cancel(h, task, { force: true });
    h.nowMs = 100;
    h.handle({ type: "deadline" });
    expect(h.out.all("stopLeasedWorker")).toHaveLength(1);
  });

  it("costs the neighbours that had started, and moves the others", () => {
    const h = new CoreWorkerHarness({ config: { pipelineAheadMs: 100 } });
    h.submit();
    const leaseId = h.grant(executor);
    h.reply(0);
    const [running1, running2, unstarted] = [h.submit(), h.submit(), h.submit()];
    h.out.startedFrames.add(2).add(3);
    cancel(h, running1 as TaskRecord, { force: true });
    const error = { ...crashed, message: "cancelled by force: task x", detail: "forceCancel" };
    h.handle({ type: "leaseRevoked", from: nodeId, leaseId, error });
    expect(errorOf(running1 as TaskRecord)).toBe("TASK_CANCELLED");
    expect(running2?.outcome).toMatchObject({
      error: { type: "WORKER_CRASHED", message: expect.stringContaining("cancelled by force") },
    });
    h.grant(second);
    expect(h.out.last("pushTask", second).serial).toBe(unstarted?.serial);
  });

  it("is refused for a call of an actor", () => {
    const h = new CoreWorkerHarness();
    const actor = h.core.actors.clientOf(`${executor}000000000001` as never, "Actor", false);
    const task = h.task([], { actor });
    h.handle({ type: "submitActorTask", actor, task });
    expect(cancel(h, task, { force: true })).toBe(true);
    expect(task.state).toBe("PENDING");
  });
});

describe("a call of an actor at its caller", () => {
  function withActor() {
    const h = new CoreWorkerHarness();
    const actorId = `${executor}000000000001` as never;
    const actor = h.core.actors.clientOf(actorId, "Actor", false);
    const call = (args: readonly ObjectEntry[] = []): TaskRecord => {
      const task = h.task(args, { actor });
      h.handle({ type: "submitActorTask", actor, task });
      return task;
    };
    const alive = (): void => {
      h.handle({
        type: "actorState",
        from: nodeId,
        actorId,
        version: 1,
        state: "ALIVE",
        incarnation: 0,
        workerId: executor,
        death: null,
        pendingReason: "",
        infeasible: false,
      });
    };
    return { h, call, alive };
  }

  it("goes before the actor exists: those around it run, in order", () => {
    const { h, call, alive } = withActor();
    const calls = [call(), call(), call()];
    cancel(h, calls[0] as TaskRecord);
    alive();
    expect(h.out.all("pushTask").map(({ serial, seq }) => [serial, seq])).toEqual([
      [calls[1]?.serial, 0],
      [calls[2]?.serial, 1],
    ]);
  });

  it("waits for its arguments: those behind it need not any more", () => {
    const { h, call, alive } = withActor();
    alive();
    const waits = call([h.submit()]);
    const behind = call();
    expect(h.out.all("pushTask")).toEqual([]);
    cancel(h, waits);
    expect(h.out.last("pushTask").serial).toBe(behind.serial);
  });

  it("was sent and has not started: its frame is retracted", () => {
    const { h, call, alive } = withActor();
    alive();
    const calls = [call(), call(), call()];
    cancel(h, calls[1] as TaskRecord);
    expect(h.out.retracted).toHaveLength(1);
    const [first, , third] = h.out.all("pushTask");
    h.reply(1, { to: first as PushTask });
    h.reply(3, { to: third as PushTask });
    expect(calls.map((one) => one.outcome)).toMatchObject([1, { error: {} }, 3]);
  });

  it("runs: its result is refused, whatever comes of the actor", () => {
    const { h, call, alive } = withActor();
    alive();
    const [one, two] = [call(), call()];
    const pushed = h.out.all("pushTask");
    started(h);
    for (const task of [one, two]) cancel(h, task);
    h.reply(1, { to: pushed[0] as PushTask });
    const error = engineError("ACTOR_DIED", "it died");
    h.handle({
      type: "actorState",
      from: nodeId,
      actorId: `${executor}000000000001` as never,
      version: 2,
      state: "DEAD",
      incarnation: 0,
      workerId: null,
      death: { error, cause: null },
      pendingReason: "",
      infeasible: false,
    });
    expect([errorOf(one), errorOf(two)]).toEqual(["TASK_CANCELLED", "TASK_CANCELLED"]);
    expect(h.core.tasks.unfinishedCount).toBe(0);
  });
});
