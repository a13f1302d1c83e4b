/** Tasks of an owner that has died: told to end, then their threads are; nobody takes a result. */
import { describe, expect, it } from "vitest";
import { ChildTasks } from "#engine/core-worker/child-tasks.ts";
import { StoredValue } from "#engine/protocol/outcome.ts";
import { CoreWorkerHarness } from "./core-worker-harness.ts";
import { errorOf } from "./cancelling.ts";
import { driver, nodeId, RayletHarness, worker } from "./raylet-harness.ts";

describe("at the raylet", () => {
  /** A lease of worker 1 on worker 2; then worker 1 dies. */
  function doomed() {
    const h = new RayletHarness({ totals: { CPU: 2 }, prestartCount: 2 }).withWorkers(2);
    h.request(1);
    h.request(1, { from: worker(1) });
    expect(h.out.last("leaseGranted", worker(1)).workerId).toBe(worker(2));
    h.out.clear();
    h.exit(1);
    return h;
  }

  it("the lease stays until its worker says that it is over", () => {
    const h = doomed();
    const told = h.out.sent.filter(({ to }) => to === worker(2)).map(({ message }) => message.type);
    expect(told).toEqual(["workerDied", "askArenaUse", "doomLease"]);
    expect(h.out.last("doomLease").owner).toBe(worker(1));
    expect(h.raylet.counts.leases).toBe(1);
    expect(h.availableCpu()).toBe(1);
    h.doomedEnded(2, driver);
    h.doomedEnded(1, worker(1));
    expect(h.availableCpu()).toBe(1);
    h.doomedEnded(2, worker(1));
    expect(h.availableCpu()).toBe(2);
    h.nowMs = 1000;
    h.deadline();
    expect(h.stopped()).toEqual([]);
  });

  it("the thread ends when the grace is over, once", () => {
    const h = doomed();
    h.nowMs = 99;
    h.deadline();
    expect(h.stopped()).toEqual([]);
    h.nowMs = 100;
    h.deadline();
    h.deadline();
    expect(h.stopped()).toEqual([worker(2)]);
    h.exit(2, { type: "stopped" });
    expect(h.raylet.counts).toMatchObject({ leases: 0, workers: 0 });
    expect(h.availableCpu()).toBe(2);
    expect(h.out.last("workerDied", driver).error.message).toMatch(/its owner has died: task work/);
  });

  it("a thread that a living owner uses, too, is left alone for as long", () => {
    const h = new RayletHarness({ totals: { CPU: 2 }, prestartCount: 2 }).withWorkers(2);
    h.request(1);
    h.request(1, { from: worker(1) });
    h.block(worker(2), 1, 1, { owner: worker(1) });
    h.request(2);
    expect(h.granted().get(2)).toBe(worker(2));
    h.exit(1);
    h.nowMs = 100;
    h.deadline();
    expect(h.stopped()).toEqual([]);
    h.release(2);
    h.nowMs = 200;
    h.deadline();
    expect(h.stopped()).toEqual([worker(2)]);
  });

  it("without any grace such a thread is looked at again a little later, not for ever", () => {
    const config = { forceGraceMs: 0 };
    const h = new RayletHarness({ totals: { CPU: 2 }, prestartCount: 2, config }).withWorkers(2);
    h.request(1);
    h.request(1, { from: worker(1) });
    h.block(worker(2), 1, 1, { owner: worker(1) });
    h.request(2);
    h.exit(1);
    h.deadline();
    expect(h.raylet.nextDeadlineMs()).toBeGreaterThan(h.nowMs);
    h.release(2);
    h.nowMs = 10;
    h.deadline();
    expect(h.stopped()).toEqual([worker(2)]);
  });

  it("without any grace a thread on which nothing runs has time to say so", () => {
    const config = { forceGraceMs: 0 };
    const h = new RayletHarness({ totals: { CPU: 2 }, prestartCount: 2, config }).withWorkers(2);
    h.request(1);
    h.request(1, { from: worker(1) });
    h.exit(1);
    h.deadline();
    expect(h.stopped()).toEqual([]);
    h.nowMs = 10;
    h.deadline();
    expect(h.stopped()).toEqual([worker(2)]);
  });

  it("a lease that waits, or is on the owner's own thread, just ends", () => {
    const h = new RayletHarness({ totals: { CPU: 1 }, prestartCount: 1 }).withWorkers(1);
    h.request(1);
    h.block(worker(1), 1, 1);
    h.request(1, { from: worker(1) });
    h.request(2, { from: worker(1) });
    h.exit(1);
    expect(h.out.all("doomLease")).toEqual([]);
    expect(h.raylet.counts).toMatchObject({ leases: 0, waiting: 0 });
  });
});

describe("at the executor", () => {
  const [executor, owner] = [worker(1), worker(2)];

  function died(h: CoreWorkerHarness): void {
    h.died(owner);
    h.handle({ type: "doomLease", from: nodeId, owner });
  }

  it("tells the body, cancels its calls, and says when it has ended", () => {
    const h = new CoreWorkerHarness({ self: executor });
    const task = h.push(owner);
    const child = h.submit();
    if (task === undefined) throw new Error("it runs");
    task.children = new ChildTasks();
    task.children.add(child);
    died(h);
    expect(h.instructions("abortTask")).toEqual([{ type: "abortTask", task }]);
    expect(errorOf(child)).toBe("TASK_CANCELLED");
    expect(task.refusesCalls).toBe(true);
    expect(h.out.all("doomedEnded")).toEqual([]);
    const outcome = new StoredValue(0, 0, 64, []);
    h.handle({ type: "taskFinished", task, durationMs: 1, outcome, outcomes: null });
    expect(h.out.last("doomedEnded", nodeId).owner).toBe(owner);
    expect(h.out.last("freeArena").extents).toHaveLength(1);
    expect(h.out.all("taskReply")).toEqual([]);
  });

  it("says so at once when nothing of that owner runs", () => {
    const h = new CoreWorkerHarness({ self: executor });
    h.push(driver);
    died(h);
    expect(h.out.last("doomedEnded").owner).toBe(owner);
    expect(h.instructions("abortTask")).toEqual([]);
  });
});
