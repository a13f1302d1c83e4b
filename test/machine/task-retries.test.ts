/** Attempts of a task: what costs a retry, what is free, what a late one may still do. */
import { describe, expect, it } from "vitest";
import { engineError } from "#engine/common/error-type.ts";
import { type NodeId, objectIdHex, objectKey, workerIdOf } from "#engine/common/ids.ts";
import { FailedValue, InlineValue, StoredValue } from "#engine/protocol/outcome.ts";
import { CoreWorkerHarness, crashed, inline, template } from "./core-worker-harness.ts";
import { nodeId, worker } from "./raylet-harness.ts";

const outOfMemory = engineError("OUT_OF_MEMORY", "it ran out of memory");
const threw = (text = "boom", cause: InlineValue = inline()): FailedValue =>
  new FailedValue(engineError("TASK_ERROR", text), cause);

/** Each attempt on a worker of its own, which dies while it runs. */
function crashTimes(h: CoreWorkerHarness, count: number, error = crashed): void {
  for (let i = 0; i < count; i++) {
    h.grant(worker(10 + h.out.all("pushTask").length));
    h.out.startAll();
    h.revoke(undefined, error);
  }
}

function attempts(h: CoreWorkerHarness): number[] {
  return h.out.all("pushTask").map(({ attempt }) => attempt);
}

describe("failures of the system", () => {
  it("run a task maxRetries + 1 times, and tell how many that were", () => {
    const h = new CoreWorkerHarness();
    const task = h.submitRetriable({ maxRetries: 2 });
    crashTimes(h, 2);
    expect(task.state).toBe("PENDING");
    crashTimes(h, 1);
    expect(attempts(h)).toEqual([0, 1, 2]);
    const message = expect.stringMatching(
      /^task work1 .*it crashed \(attempt 3 of 3; maxRetries 2\)$/,
    );
    expect(task.outcome).toMatchObject({ error: { type: "WORKER_CRASHED", message } });
    expect(h.core.tasks.unfinishedCount).toBe(0);
    expect(h.core.retries.counts).toMatchObject({ retried: 2, exhausted: 1 });
  });

  it("end a task without retries at once", () => {
    const h = new CoreWorkerHarness();
    const task = h.submitRetriable({ maxRetries: 0 });
    crashTimes(h, 1);
    expect(task.outcome).toMatchObject({ error: { type: "WORKER_CRASHED" } });
  });

  it("are retried for ever with maxRetries -1, which is Infinity here", () => {
    const h = new CoreWorkerHarness();
    const task = h.submitRetriable({ maxRetries: Infinity });
    crashTimes(h, 50);
    h.grant(worker(1));
    h.reply(7);
    expect([task.outcome, task.attempt]).toEqual([7, 50]);
  });

  it("cost nothing for what had not started", () => {
    const h = new CoreWorkerHarness();
    h.submitRetriable({});
    h.grant(worker(1));
    h.reply(1);
    const started = h.submitRetriable({ maxRetries: 1 });
    h.out.startAll();
    const unstarted = h.submitRetriable({ maxRetries: 0 });
    h.revoke();
    h.grant(worker(2));
    const pushed = h.out.all("pushTask", worker(2));
    expect(pushed.map(({ serial, attempt }) => [serial, attempt])).toContainEqual([
      unstarted.serial,
      0,
    ]);
    expect([started.attempt, unstarted.attempt]).toEqual([1, 0]);
  });

  it("on a node that died count as started, whoever knows", () => {
    const h = new CoreWorkerHarness();
    const other = "f".repeat(32) as NodeId;
    const task = h.submitRetriable({ maxRetries: 1 });
    h.grant(workerIdOf(other, 4));
    h.handle({ type: "nodeDied", from: nodeId, nodeId: other, reason: "no light" });
    h.grant(worker(1));
    h.reply(5);
    expect([task.outcome, task.attempt]).toEqual([5, 1]);
  });
});

describe("running out of memory", () => {
  it("has a counter of its own, and waits longer each time, with a reason", () => {
    const h = new CoreWorkerHarness({ config: { taskOomRetriesMax: 2, taskOomRetryDelayMs: 100 } });
    const task = h.submitRetriable({ maxRetries: 1 });
    crashTimes(h, 1, outOfMemory);
    expect(h.core.pendingReason(task)).toBe(
      "waits 100 ms before attempt 2 of 3: it ran out of memory",
    );
    expect(h.core.isWaiting).toBe(true);
    expect(h.core.nextDeadlineMs()).toBe(100);
    h.nowMs = 99;
    h.handle({ type: "deadline" });
    expect(attempts(h)).toEqual([0]);
    h.nowMs = 100;
    h.handle({ type: "deadline" });
    crashTimes(h, 1);
    crashTimes(h, 1, outOfMemory);
    expect(h.core.nextDeadlineMs()).toBe(300);
    h.nowMs = 300;
    h.handle({ type: "deadline" });
    crashTimes(h, 1, outOfMemory);
    expect(attempts(h)).toEqual([0, 1, 2, 3]);
    const message = expect.stringContaining("(attempt 4 of 4; systemConfig.taskOomRetriesMax 2)");
    expect(task.outcome).toMatchObject({ error: { type: "OUT_OF_MEMORY", message } });
  });

  it("ends a task with maxRetries 0", () => {
    const h = new CoreWorkerHarness();
    const task = h.submitRetriable({ maxRetries: 0 });
    crashTimes(h, 1, outOfMemory);
    expect(task.outcome).toMatchObject({ error: { type: "OUT_OF_MEMORY" } });
  });
});

describe("exceptions", () => {
  it("are not retried unless asked for", () => {
    const h = new CoreWorkerHarness();
    const task = h.submitRetriable({});
    h.grant(worker(1));
    h.reply(threw());
    expect(task.outcome).toMatchObject({ error: { message: "boom" } });
  });

  it("share the budget with failures of the system, and run again at once", () => {
    const h = new CoreWorkerHarness();
    const task = h.submitRetriable({ maxRetries: 2, retryExceptions: true });
    crashTimes(h, 1);
    h.grant(worker(1));
    h.reply(threw());
    expect(attempts(h)).toEqual([0, 1, 2]);
    h.reply(threw());
    expect(task.outcome).toMatchObject({
      error: { message: "boom (attempt 3 of 3; maxRetries 2)" },
    });
  });

  it("are shown to the api where it must look at them, and keep what they name meanwhile", () => {
    const h = new CoreWorkerHarness();
    const inner = h.put(5);
    const task = h.submitRetriable({ retryExceptions: {} });
    h.grant(worker(1));
    const lent = h.naming(inner);
    h.reply(threw("boom", lent));
    lent.bytes.fill(0);
    const [asked] = h.instructions("judgeException");
    expect(asked?.failed.cause).toMatchObject({ bytes: new Uint8Array([1, 2, 3]) });
    expect(h.core.pendingReason(task)).toMatch(/retryExceptions/);
    h.drop(inner);
    expect(inner.state).toBe("AVAILABLE");
    h.handle({ type: "exceptionJudged", task, retries: true, why: "" });
    h.handle({ type: "exceptionJudged", task, retries: true, why: "" });
    expect(inner.state).toBe("FREED");
    expect(attempts(h)).toEqual([0, 1]);
    h.reply(threw());
    h.handle({ type: "exceptionJudged", task, retries: false, why: " (because)" });
    expect(task.outcome).toMatchObject({ error: { message: "boom (because)" } });
    expect(h.core.tasks.unfinishedCount).toBe(0);
  });

  it("of an argument are no exceptions of the task", () => {
    const h = new CoreWorkerHarness();
    const failed = h.submitRetriable({ maxRetries: 0, retryExceptions: true });
    h.grant(worker(1));
    h.reply(threw());
    const task = h.submitRetriable({ retryExceptions: true }, [failed]);
    expect(task.outcome).toMatchObject({ error: { message: "boom" } });
    expect(attempts(h)).toEqual([0]);
  });
});

describe("an argument that could not be had where the task was to run", () => {
  it("fails it with that error, which is no exception of the task", () => {
    const h = new CoreWorkerHarness();
    const argument = h.put();
    const task = h.submitRetriable({ retryExceptions: true }, [argument]);
    const subject = objectIdHex(argument.owner, objectKey(argument.serial, argument.index));
    const failed = new FailedValue(engineError("TASK_ERROR", "not made", subject), inline());
    h.grant(worker(1));
    h.reply(failed);
    expect(task.outcome).toMatchObject({ error: { message: "not made", subject } });
    expect([attempts(h), h.core.tasks.unfinishedCount]).toEqual([[0], 0]);
  });
});

describe("an attempt that no longer counts", () => {
  it("changes nothing with its reply, and what that stored is given back", () => {
    const h = new CoreWorkerHarness();
    const task = h.submitRetriable({});
    h.grant(worker(1));
    const first = h.out.last("pushTask");
    h.out.startAll();
    h.revoke();
    h.grant(worker(2));
    h.out.clear();
    const stored = new StoredValue(0, 64, 64, []);
    h.reply(stored, { to: first, by: worker(1), outcomes: [new StoredValue(0, 128, 64, [])] });
    expect(task.state).toBe("PENDING");
    expect(h.out.last("freeArena").extents.map(({ offset }) => offset)).toEqual([64, 128]);
    h.died(worker(1));
    h.out.clear();
    h.reply(stored, { to: first, by: worker(1) });
    expect(h.out.last("freeArena").extents.map(({ offset }) => offset)).toEqual([64]);
    expect(h.core.retries.counts.refused).toBe(2);
    expect(task.state).toBe("PENDING");
  });
});

describe("the arguments of a task", () => {
  it("stay as long as a retry may need them", () => {
    const h = new CoreWorkerHarness();
    const given = h.put(5);
    const task = h.task([given], {
      shape: template(1, 1, { maxRetries: 1, retryExceptions: false }),
    });
    task.args = new StoredValue(0, 0, 64, task.args.specials);
    h.handle({ type: "submitTask", task });
    h.drop(given);
    crashTimes(h, 1);
    h.grant(worker(1));
    expect(h.out.last("pushTask")).toMatchObject({ attempt: 1, values: [5] });
    expect([given.state, h.out.all("freeArena").length]).toEqual(["AVAILABLE", 0]);
    h.reply(1);
    expect([given.state, h.out.all("freeArena").length]).toEqual(["FREED", 1]);
  });

  it("that were lost with their owner in between fail it with that error", () => {
    const h = new CoreWorkerHarness();
    const borrowed = h.adopt(worker(5), { serial: 3, index: 1 });
    const task = h.submitRetriable({}, [borrowed]);
    h.handle({
      type: "objectState",
      from: worker(5),
      object: { serial: 3, index: 1 },
      outcome: 1,
      holds: null,
    });
    h.grant(worker(1));
    // As when its bytes were on the node that has died.
    borrowed.state = "FAILED";
    borrowed.outcome = threw("lost with its owner");
    h.out.startAll();
    h.revoke();
    expect(task.outcome).toMatchObject({ error: { message: "lost with its owner" } });
    expect(attempts(h)).toEqual([0]);
  });
});
