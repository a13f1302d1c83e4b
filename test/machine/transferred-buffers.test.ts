/** Transferred buffers: who has them, when they are asked for, and what their loss means. */
import { describe, expect, it } from "vitest";
import { engineError, forceCancel } from "#engine/common/error-type.ts";
import { type NodeId, workerIdOf } from "#engine/common/ids.ts";
import { TransferredBuffers } from "#engine/core-worker/transferred-buffers.ts";
import type { TaskRecord } from "#engine/core-worker/object-entry.ts";
import { managedSegment } from "#engine/protocol/arena.ts";
import { FailedValue, noSpecials, type Outcome, StoredValue } from "#engine/protocol/outcome.ts";
import type { AskBuffers } from "#engine/protocol/task.ts";
import { cancel, errorOf, started } from "./cancelling.ts";
import { CoreWorkerHarness, crashed, inline, template } from "./core-worker-harness.ts";
import { driver, nodeId, worker } from "./raylet-harness.ts";

const executor = worker(1);
const farNode = "f".repeat(32) as NodeId;
const farExecutor = workerIdOf(farNode, 4);
const buffers = [new ArrayBuffer(4), new ArrayBuffer(0)];

// ---------------------------------------------------------------- the owner

class OwnerHarness extends CoreWorkerHarness {
  transfer(retry = { maxRetries: 3, retryExceptions: false }): TaskRecord {
    const task = this.task([], { shape: template(1, 1, retry) });
    task.transferred = new TransferredBuffers(buffers);
    this.handle({ type: "submitTask", task });
    return task;
  }

  /** The executor of the last push asks for its buffers. */
  ask(from = executor): AskBuffers {
    const { stream, seq } = started(this);
    const asked = { type: "askBuffers", from, stream, seq } as const;
    this.handle(asked);
    return asked;
  }

  /** What the edge does for `copyBuffers`. */
  stored(outcome: Outcome = new StoredValue(0, 64, 4, noSpecials)): void {
    const { asked } = this.instructions("copyBuffers").at(-1) ?? {};
    if (asked === undefined) throw new Error("nobody asked for a copy");
    const stored = outcome instanceof FailedValue ? outcome : this.put(outcome);
    this.handle({ type: "buffersStored", asked, stored });
  }
}

const stored = (): StoredValue => new StoredValue(0, 128, 64, noSpecials);
const message = ({ outcome }: TaskRecord): string =>
  outcome instanceof FailedValue ? outcome.error.message : "";

describe("transferred buffers at their owner", () => {
  it("are moved when the executor asks, once, and never before", () => {
    const h = new OwnerHarness();
    const task = h.transfer();
    h.grant(executor);
    expect(h.out.last("pushTask")).toMatchObject({ hasBuffers: true });
    expect(h.instructions("moveBuffers")).toEqual([]);
    const { stream, seq } = h.ask();
    const moved = { from: driver, serial: task.serial, stream, seq, buffers };
    expect(h.instructions("moveBuffers")).toMatchObject([{ to: executor, moved }]);
    h.ask();
    expect(h.instructions("moveBuffers")).toHaveLength(1);
    expect(task.transferred).toMatchObject({ buffers: null, areGone: true });
    h.reply(5);
    expect(task.outcome).toBe(5);
  });

  it("no other task asks for, nor one that is over", () => {
    const h = new OwnerHarness();
    h.submit();
    h.grant(executor);
    expect(h.out.last("pushTask")).toMatchObject({ hasBuffers: false });
    h.ask();
    h.reply(1);
    h.transfer();
    const asked = { type: "askBuffers", from: executor, stream: 99, seq: 0 } as const;
    h.handle(asked);
    h.handle({ ...asked, ...h.out.last("pushTask"), type: "askBuffers", from: worker(2) });
    expect(h.instructions("moveBuffers")).toEqual([]);
  });

  it("stay for the next executor while the one before has not asked", () => {
    const h = new OwnerHarness();
    const task = h.transfer();
    h.grant(executor);
    h.out.startAll();
    h.revoke();
    expect(task.attempt).toBe(1);
    h.grant(worker(2));
    h.ask(worker(2));
    expect(h.instructions("moveBuffers")).toMatchObject([{ to: worker(2), moved: { buffers } }]);
  });

  it("go back to the queue with a task that was taken back", () => {
    const h = new OwnerHarness();
    h.transfer();
    const leaseId = h.grant(executor);
    const { seq } = h.out.last("pushTask");
    h.handle({ type: "takenBack", from: executor, stream: leaseId, seqs: [seq] });
    h.handle({ type: "askBuffers", from: executor, stream: leaseId, seq });
    expect(h.instructions("moveBuffers")).toEqual([]);
  });

  it.each([
    ["a crash", crashed],
    ["want of memory", engineError("OUT_OF_MEMORY", "it ran out of memory")],
    ["the end of another's thread", engineError("WORKER_CRASHED", "ended", "", forceCancel)],
  ])("end the retries when they are gone: %s", (_, error) => {
    const h = new OwnerHarness();
    const task = h.transfer();
    h.grant(executor);
    h.ask();
    h.revoke(undefined, error);
    expect(errorOf(task)).toBe(error.type);
    expect(message(task)).toContain(error.message);
    expect(message(task)).toContain("(attempt 1 of 1; its transferred buffers went with it)");
    expect(h.core.nextDeadlineMs()).toBe(Infinity);
    expect(h.core.tasks.unfinishedCount).toBe(0);
  });

  it("end the retries of exceptions, too", () => {
    const h = new OwnerHarness();
    const task = h.transfer({ maxRetries: 2, retryExceptions: true });
    h.grant(executor);
    h.ask();
    h.reply(new FailedValue(engineError("TASK_ERROR", "boom"), inline()));
    expect(message(task)).toBe("boom (attempt 1 of 1; its transferred buffers went with it)");
  });

  it("are not what ends a task without retries", () => {
    const h = new OwnerHarness();
    const task = h.transfer({ maxRetries: 0, retryExceptions: true });
    h.grant(executor);
    h.ask();
    h.revoke();
    expect(message(task)).toContain("(attempt 1 of 1; maxRetries 0)");
  });

  it("make a result that is lost one that cannot be made anew", () => {
    const h = new OwnerHarness();
    h.core.lineage.mayBeLost = () => true;
    const task = h.transfer();
    h.grant(executor);
    h.ask();
    h.reply(stored());
    expect(h.core.lineage.size).toBe(0);
    h.handle({ type: "lastCopyLost", entry: task, why: "its node died" });
    expect(task.outcome).toMatchObject({
      error: { type: "OBJECT_RECONSTRUCTION_FAILED", detail: "RETRIES_DISABLED" },
    });
    expect(message(task)).toContain("its transferred buffers went with it");
  });

  it("are let go of with a task that is cancelled, and not given to it any more", () => {
    const h = new OwnerHarness();
    const queued = h.transfer();
    cancel(h, queued);
    expect(queued.transferred?.buffers).toBeNull();
    const pushed = h.transfer();
    h.grant(executor);
    h.out.startAll();
    cancel(h, pushed);
    h.ask();
    expect(h.instructions("moveBuffers")).toEqual([]);
    h.reply(undefined);
    expect(pushed.transferred?.buffers).toBeNull();
  });
});

describe("transferred buffers for another node", () => {
  it("are copied once, for every attempt", () => {
    const h = new OwnerHarness();
    const task = h.transfer();
    h.grant(farExecutor);
    const asked = h.ask(farExecutor);
    expect(h.instructions("moveBuffers")).toEqual([]);
    expect(h.instructions("copyBuffers")).toMatchObject([{ asked, buffers }]);
    h.stored();
    const copied = h.out.last("buffersCopied", farExecutor);
    const { object, outcome } = copied;
    const place = { segment: managedSegment, node: nodeId, size: 4 };
    expect(copied).toMatchObject({ stream: asked.stream, seq: asked.seq, outcome: place });
    // It is asked for by name.
    expect(h.core.references.find(driver, object)?.uses).toBe(1);
    h.handle({ type: "nodeDied", from: nodeId, nodeId: farNode, reason: "no light" });
    expect(task.attempt).toBe(1);
    h.grant(executor);
    h.ask();
    expect(h.instructions("copyBuffers")).toHaveLength(1);
    expect(h.out.last("buffersCopied", executor)).toMatchObject({ object, outcome });
    h.reply(3);
    expect([task.outcome, h.core.references.find(driver, object)]).toEqual([3, undefined]);
  });

  it("are kept with what their task made, for as long as that can be lost", () => {
    const h = new OwnerHarness();
    h.core.lineage.mayBeLost = () => true;
    const task = h.transfer();
    h.grant(farExecutor);
    h.ask(farExecutor);
    h.stored();
    const { object } = h.out.last("buffersCopied");
    h.reply(stored());
    expect(h.core.references.find(driver, object)?.uses).toBe(1);
    h.handle({ type: "lastCopyLost", entry: task, why: "its node died" });
    expect(task.state).toBe("PENDING");
    expect(h.out.last("pushTask")).toMatchObject({ hasBuffers: true, attempt: 1 });
    h.reply(stored());
    h.drop(task);
    expect(h.core.references.find(driver, object)).toBeUndefined();
  });

  it("that found no room fail the task; of a task that is over the copy goes", () => {
    const h = new OwnerHarness();
    const first = h.transfer();
    h.grant(farExecutor);
    const asked = h.ask(farExecutor);
    const full = new FailedValue(engineError("OBJECT_STORE_FULL", "no room"), null);
    h.stored(full);
    expect(h.out.last("buffersCopied", farExecutor)).toMatchObject({
      ...asked,
      type: "buffersCopied",
      from: driver,
      outcome: full,
    });
    h.reply(full);
    expect(errorOf(first)).toBe("OBJECT_STORE_FULL");
    h.transfer();
    h.ask(farExecutor);
    h.reply(1);
    const before = h.out.all("buffersCopied").length;
    h.stored();
    expect(h.out.all("buffersCopied")).toHaveLength(before);
    expect(h.out.last("freeArena").extents).toEqual([{ segment: 0, offset: 64, size: 4 }]);
  });
});

// ---------------------------------------------------------------- the executor

class ExecutorHarness extends CoreWorkerHarness {
  constructor() {
    super({ self: executor });
  }

  come(seq = 0, stream = 1): void {
    this.handle({ type: "buffersMoved", from: driver, serial: 1 + seq, stream, seq, buffers });
  }

  copied(outcome: Outcome, owner = driver): void {
    const object = { serial: 40, index: 0 };
    const copied = { type: "buffersCopied", from: owner, stream: 1, seq: 0 } as const;
    this.handle({ ...copied, object, outcome });
  }

  get runs() {
    return this.instructions("runTask").map(({ task }) => task);
  }
}

const withBuffers = { hasBuffers: true } as const;

describe("transferred buffers at the executor", () => {
  it("are asked for when the task is here; it runs with what comes", () => {
    const h = new ExecutorHarness();
    h.push(driver, withBuffers);
    expect(h.out.all("askBuffers", driver)).toMatchObject([{ stream: 1, seq: 0 }]);
    expect([h.runs, h.core.receiver.wantsTask()]).toEqual([[], false]);
    h.come(5);
    h.come(0, 2);
    expect(h.runs).toEqual([]);
    h.come();
    expect(h.runs).toMatchObject([{ buffers: { moved: buffers } }]);
    h.come();
    h.push(driver, withBuffers);
    expect([h.runs.length, h.out.all("askBuffers").length]).toEqual([1, 1]);
  });

  it("are what a task is said to wait for", () => {
    const h = new ExecutorHarness();
    h.push(driver, withBuffers);
    const question = { asker: driver, requestId: 4, depth: 0, text: "" };
    const place = { serial: 1, stream: 1, seq: 0 };
    h.handle({ type: "explainTask", from: driver, ...place, question });
    const text = `its transferred buffers are on their way to worker ${executor}`;
    expect(h.out.last("explained", driver)).toMatchObject({ text, isLast: true });
  });

  it("owns the bytes of the arguments while it waits", () => {
    const h = new ExecutorHarness();
    const args = inline();
    h.push(driver, { ...withBuffers, args });
    args.bytes.fill(0);
    h.come();
    const [task] = h.runs;
    expect(task?.args).toMatchObject({ bytes: Uint8Array.of(1, 2, 3) });
  });

  it("block the thread only when their owner takes its time", () => {
    const h = new ExecutorHarness();
    h.nowMs = 10;
    h.push(driver, withBuffers);
    const dueMs = h.core.nextDeadlineMs();
    expect(dueMs).toBeGreaterThan(10);
    h.nowMs = dueMs;
    h.handle({ type: "deadline" });
    expect(h.out.all("taskBlocked")).toMatchObject([{ blocked: true }]);
    expect(h.core.receiver.wantsTask()).toBe(true);
    h.come();
    expect(h.out.all("taskBlocked")).toMatchObject([{ blocked: true }, { blocked: false }]);
    expect(h.runs).toHaveLength(1);
    h.nowMs = dueMs + 1_000;
    h.handle({ type: "deadline" });
    expect([h.out.all("taskBlocked").length, h.core.nextDeadlineMs()]).toEqual([2, Infinity]);
  });

  it("that came in time block nothing; the wait is work of the thread", () => {
    const h = new ExecutorHarness();
    h.push(driver, withBuffers);
    h.nowMs = 2;
    h.come();
    const [task] = h.runs;
    if (task === undefined) throw new Error("no task was started");
    h.handle({ type: "taskFinished", task, durationMs: 1, outcome: 1, outcomes: null });
    expect(h.out.last("taskReply").durationMs).toBe(3);
    h.nowMs = h.core.nextDeadlineMs();
    h.handle({ type: "deadline" });
    expect(h.out.all("taskBlocked")).toEqual([]);
  });

  it("are asked for last, when all other arguments are here", () => {
    const h = new ExecutorHarness();
    const far = new StoredValue(0, 0, 64, noSpecials, farNode);
    h.push(driver, { ...withBuffers, args: far as never });
    expect(h.out.all("askBuffers")).toEqual([]);
    const { requestId } = h.out.last("pullObject");
    const value = new StoredValue(1, 0, 64, noSpecials, nodeId);
    h.handle({ type: "objectLocal", from: nodeId, requestId, outcome: value });
    expect(h.out.all("askBuffers")).toHaveLength(1);
    h.come();
    expect(h.runs).toHaveLength(1);
  });

  it("that a cancelled task waited for are of no use any more", () => {
    const h = new ExecutorHarness();
    h.push(driver, withBuffers);
    const reach = { force: false, recursive: true };
    h.handle({ type: "cancelTask", from: driver, stream: 1, seq: 0, ...reach });
    expect(h.out.all("taskReply")).toMatchObject([{ seq: 0, outcome: undefined }]);
    h.come();
    expect([h.runs, h.core.receiver.wantsTask()]).toEqual([[], true]);
  });

  it("end with their owner", () => {
    const h = new ExecutorHarness();
    h.push(worker(2), withBuffers);
    h.died(worker(2));
    expect(h.core.receiver.runningCount).toBe(0);
    const moved = { from: worker(2), serial: 1, stream: 1, seq: 0, buffers };
    h.handle({ type: "buffersMoved", ...moved });
    expect(h.runs).toEqual([]);
  });

  it("of an owner on another node are read as any object of it", () => {
    const h = new ExecutorHarness();
    const owner = workerIdOf(farNode, 1);
    h.push(owner, withBuffers);
    h.copied(new StoredValue(managedSegment, 0, 64, noSpecials, farNode), owner);
    const pull = h.out.last("pullObject");
    expect(pull).toMatchObject({ owner, object: { serial: 40, index: 0 } });
    expect(h.out.all("taskBlocked")).toMatchObject([{ blocked: true }]);
    const outcome = new StoredValue(1, 0, 64, noSpecials, nodeId);
    h.handle({ type: "objectLocal", from: nodeId, requestId: pull.requestId, outcome });
    expect(h.runs).toMatchObject([{ buffers: { moved: null, copy: outcome } }]);
    expect(h.out.all("askBuffers")).toHaveLength(1);
  });

  it("that are small come as they are; where there was no room the task has failed", () => {
    const h = new ExecutorHarness();
    h.push(driver, withBuffers);
    h.copied(inline());
    expect(h.runs).toMatchObject([{ buffers: { copy: { length: 3 } } }]);
    const other = new ExecutorHarness();
    other.push(driver, withBuffers);
    const full = new FailedValue(engineError("OBJECT_STORE_FULL", "no room"), null);
    other.copied(full);
    expect([other.runs, other.out.last("taskReply").outcome]).toEqual([[], full]);
  });
});
