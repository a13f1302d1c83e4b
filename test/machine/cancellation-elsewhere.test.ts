/** Cancels beyond the owner of a task: its executor, the holders of its ref, signals, time. */
import { describe, expect, it } from "vitest";
import { ChildTasks } from "#engine/core-worker/child-tasks.ts";
import { StoredValue } from "#engine/protocol/outcome.ts";
import type { PushTask } from "#engine/protocol/task.ts";
import { cancel, errorOf, started } from "./cancelling.ts";
import { CoreWorkerHarness, inline, template } from "./core-worker-harness.ts";
import { worker } from "./raylet-harness.ts";

const executor = worker(1);
const second = worker(2);
const other = worker(3);

describe("at the executor", () => {
  const cancelTask = (seq: number, recursive = true) =>
    ({
      type: "cancelTask",
      from: other,
      stream: 1,
      seq,
      force: false,
      recursive,
    }) as const;

  it("tells the body of a running task, and gives nothing of its result away", () => {
    const h = new CoreWorkerHarness({ self: executor });
    const task = h.push(other);
    h.handle(cancelTask(0));
    expect(h.instructions("abortTask")).toEqual([{ type: "abortTask", task }]);
    const outcome = new StoredValue(0, 0, 64, []);
    h.out.clear();
    const finished = { task: task as never, durationMs: 1, outcome, outcomes: null };
    h.handle({ type: "taskFinished", ...finished });
    expect(h.out.last("taskReply")).toMatchObject({ outcome: undefined, outcomes: null });
    expect(h.out.last("freeArena").extents).toHaveLength(1);
  });

  it("never starts one whose cancel came first, and answers for it", () => {
    const h = new CoreWorkerHarness({ self: executor });
    h.handle(cancelTask(1));
    h.push(other, { seq: 0 });
    h.push(other, { seq: 1 });
    expect(h.instructions("runTask").map(({ task }) => task.seq)).toEqual([0]);
    expect(h.out.last("taskReply")).toMatchObject({ stream: 1, seq: 1 });
    h.push(other, { seq: 2 });
    expect(h.instructions("runTask").map(({ task }) => task.seq)).toEqual([0, 2]);
  });

  it("takes a cancel of what has ended for nothing, also twice", () => {
    const h = new CoreWorkerHarness({ self: executor });
    const task = h.push(other) as never;
    h.handle({ type: "taskFinished", task, durationMs: 1, outcome: 1, outcomes: null });
    for (const _ of [1, 2]) h.handle(cancelTask(0));
    h.handle(cancelTask(0, false));
    h.push(other, { seq: 1 });
    expect(h.instructions("runTask")).toHaveLength(2);
    expect(h.instructions("abortTask")).toEqual([]);
  });

  it("gives a cancelled one back where a task of its stream waits", () => {
    const h = new CoreWorkerHarness({ self: executor });
    const task = h.push(other) as never;
    h.handle({ type: "taskWaiting", task, waiting: true });
    h.handle(cancelTask(1));
    h.push(other, { seq: 1 });
    expect(h.out.last("takenBack").seqs).toEqual([1]);
    expect(h.instructions("runTask")).toHaveLength(1);
  });

  it("cancels the calls of the task with it, unless told not to", () => {
    for (const recursive of [true, false]) {
      const h = new CoreWorkerHarness({ self: executor });
      const parent = h.push(other);
      const child = h.submit();
      if (parent === undefined) throw new Error("it runs");
      parent.children = new ChildTasks();
      parent.children.add(child);
      h.handle(cancelTask(0, recursive));
      expect(errorOf(child)).toBe(recursive ? "TASK_CANCELLED" : "");
      expect(parent.refusesCalls).toBe(recursive);
    }
  });

  it("passes force on to the tasks, not to calls of actors", () => {
    const h = new CoreWorkerHarness({ self: executor });
    const parent = h.push(other);
    const child = h.submit();
    h.grant(second);
    started(h);
    if (parent === undefined) throw new Error("it runs");
    parent.children = new ChildTasks();
    parent.children.add(child);
    h.handle({ ...cancelTask(0), force: true });
    expect(h.out.last("cancelTask", second)).toMatchObject({ force: true, recursive: true });
    expect(h.core.nextDeadlineMs()).toBe(100);
  });

  it("a call that is over before it is submitted has no argument that it could keep", () => {
    const h = new CoreWorkerHarness();
    const given = h.put();
    const task = h.task([given]);
    const cause = "the task that called it was cancelled";
    h.handle({ type: "submitCancelled", task, cause });
    expect(errorOf(task)).toBe("TASK_CANCELLED");
    expect(given.uses).toBe(0);
    expect(h.core.tasks.unfinishedCount).toBe(0);
  });
});

describe("a ref that somebody else owns", () => {
  it("is cancelled by its owner, who is asked", () => {
    const h = new CoreWorkerHarness({ self: executor });
    const ref = h.adopt(other, { serial: 7, index: 1 });
    expect(cancel(h, ref, { recursive: false })).toBeNull();
    const asked = h.out.last("cancelObject", other);
    expect(asked).toMatchObject({ object: { serial: 7, index: 1 }, recursive: false });
    const { requestId } = asked;
    h.handle({ type: "cancelTaken", from: other, requestId, refused: false });
    expect(h.instructions("cancelled")).toEqual([{ type: "cancelled", requestId, refused: false }]);
    h.out.clear();
    h.handle({ type: "cancelTaken", from: other, requestId, refused: false });
    expect(h.instructions("cancelled")).toEqual([]);
  });

  it("the owner answers, whatever it knows of the object", () => {
    const h = new CoreWorkerHarness();
    const task = h.submit();
    h.core.references.name(task);
    const ask = (serial: number) => {
      const object = { serial, index: 1 };
      const asked = { requestId: serial, object, force: false, recursive: true };
      h.handle({ type: "cancelObject", from: executor, ...asked });
      return h.out.last("cancelTaken", executor);
    };
    expect(ask(task.serial)).toMatchObject({ requestId: task.serial, refused: false });
    expect(errorOf(task)).toBe("TASK_CANCELLED");
    expect(ask(task.serial).refused).toBe(false);
    expect(ask(999).refused).toBe(false);
  });

  it("the death of its owner answers, too; of one that has ended nobody is asked", () => {
    const h = new CoreWorkerHarness({ self: executor });
    const ref = h.adopt(other, { serial: 7, index: 1 });
    cancel(h, ref);
    h.died(other);
    expect(h.instructions("cancelled")).toHaveLength(1);
    h.out.clear();
    expect(cancel(h, ref)).toBe(false);
    expect(h.out.all("cancelObject")).toEqual([]);
  });
});

describe("signals and time-outs", () => {
  it("the abort of a signal ends what has not ended", () => {
    const h = new CoreWorkerHarness();
    const [done, open] = [h.submit(), h.submit()];
    h.grant(executor);
    h.reply(1, { to: h.out.all("pushTask")[0] as PushTask });
    h.handle({ type: "abortCalls", tasks: [done, open] });
    expect(done.outcome).toBe(1);
    expect(open.outcome).toMatchObject({ error: { message: expect.stringMatching(/signal/) } });
  });

  const timed = template(5);
  const shape = { ...timed, definition: { ...timed.definition, timeoutMs: 30 } };

  it("the time of a task runs from its start on", () => {
    const h = new CoreWorkerHarness();
    const task = h.task([], { shape });
    h.handle({ type: "submitTask", task });
    const leaseId = h.grant(executor);
    expect(h.core.nextDeadlineMs()).toBe(Infinity);
    h.nowMs = 1000;
    started(h);
    h.handle({ type: "taskStarted", from: executor, stream: leaseId, seq: 0 });
    expect(h.core.nextDeadlineMs()).toBe(1030);
    h.nowMs = 1029;
    h.handle({ type: "deadline" });
    expect(task.state).toBe("PENDING");
    h.nowMs = 1030;
    h.handle({ type: "deadline" });
    expect(errorOf(task)).toBe("TASK_TIMEOUT");
    expect(h.out.last("cancelTask").force).toBe(false);
  });

  it("the executor tells the start of such a task, and of no other", () => {
    const h = new CoreWorkerHarness({ self: executor });
    h.push(other);
    expect(h.out.all("taskStarted")).toEqual([]);
    h.handle({
      type: "pushTask",
      from: other,
      stream: 2,
      seq: 0,
      serial: 9,
      attempt: 0,
      depth: 0,
      functionNumber: 5,
      definition: shape.definition,
      args: inline(),
      values: null,
      gpuIds: null,
      holds: null,
      hasBuffers: false,
    });
    expect(h.out.last("taskStarted", other)).toMatchObject({ stream: 2, seq: 0 });
  });
});
