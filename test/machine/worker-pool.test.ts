import { describe, expect, it } from "vitest";
import { gcsAddress } from "#engine/common/ids.ts";
import { actor, driver, nodeId, RayletHarness, worker } from "./raylet-harness.ts";

describe("starting workers", () => {
  it("registers the node and starts some ahead, within the limit", () => {
    const h = new RayletHarness({
      totals: { CPU: 4 },
      labels: { zone: "eu" },
      prestartCount: 3,
      config: { taskWorkersMax: 2 },
    });
    h.handle({ type: "start" });
    expect(h.out.last("registerNode", gcsAddress)).toMatchObject({
      nodeId,
      address: "local",
      hostname: "host",
      resources: new Map([["CPU", 40_000]]),
      labels: new Map([["zone", "eu"]]),
    });
    expect(h.started()).toEqual([worker(1), worker(2)]);
  });

  it("starts as many as fit at once, and no more", () => {
    const h = new RayletHarness({ totals: { CPU: 3 }, prestartCount: 1 });
    h.handle({ type: "start" });
    for (let leaseId = 1; leaseId <= 10; leaseId++) h.request(leaseId);
    expect(h.started()).toHaveLength(3);
  });

  it("gives a thread that became free to a lease that waits for one to start", () => {
    const h = new RayletHarness({ totals: { CPU: 2 }, prestartCount: 1 }).withWorkers(1);
    h.request(1, { resources: { CPU: 1 } });
    h.request(2, { resources: { CPU: 1 } });
    expect(h.started()).toEqual([worker(2)]);
    h.release(1);
    expect(h.granted().get(2)).toBe(worker(1));
    h.ready(2);
    h.request(3);
    expect(h.granted().get(3)).toBe(worker(2));
  });

  it("does not replace a dead worker before it is needed", () => {
    const h = new RayletHarness({ prestartCount: 2 }).withWorkers(2);
    h.exit(1);
    expect(h.started()).toEqual([]);
    h.request(1);
    h.request(2);
    expect(h.started()).toEqual([worker(3)]);
  });
});

describe("choosing a worker", () => {
  it("starts a thread before it shares a blocked one, while there are fewer than CPUs", () => {
    const h = new RayletHarness({ totals: { CPU: 2 }, prestartCount: 2 }).withWorkers(2);
    h.exit(2);
    h.request(1);
    h.block(worker(1), 1, 1);
    h.request(1, { from: worker(1) });
    expect(h.started()).toEqual([worker(3)]);
    h.ready(3);
    expect(h.out.last("leaseGranted", worker(1)).workerId).toBe(worker(3));
  });

  it("prefers an idle one, then the blocked requester, then another blocked one", () => {
    const h = new RayletHarness({ totals: { CPU: 3 }, prestartCount: 3 }).withWorkers(3);
    for (const leaseId of [1, 2]) h.request(leaseId);
    h.block(worker(1), 1, 1);
    h.block(worker(2), 2, 1);
    h.request(1, { from: worker(2) });
    expect(h.out.last("leaseGranted", worker(2)).workerId).toBe(worker(3));
    h.request(2, { from: worker(2) });
    expect(h.out.last("leaseGranted", worker(2)).workerId).toBe(worker(2));
    h.request(3, { from: worker(2) });
    expect(h.out.last("leaseGranted", worker(2)).workerId).toBe(worker(1));
    expect(h.started()).toEqual([]);
  });

  it("runs a deep chain of nested gets on one thread and one CPU", () => {
    const h = new RayletHarness({ totals: { CPU: 1 }, prestartCount: 1 }).withWorkers(1);
    const depth = 200;
    h.request(1);
    h.block(worker(1), 1, 1);
    for (let level = 2; level <= depth; level++) {
      h.request(level, { from: worker(1), depth: level });
      h.block(worker(1), level, 1, { owner: worker(1) });
    }
    expect(h.started()).toEqual([]);
    expect(h.availableCpu()).toBe(1);
    for (let level = depth; level >= 2; level--) {
      h.block(worker(1), level, 2, { owner: worker(1), blocked: false });
      h.release(level, worker(1));
    }
    h.block(worker(1), 1, 2, { blocked: false });
    h.release(1);
    expect(h.raylet.counts).toMatchObject({ leases: 0, workers: 1 });
    expect(h.availableCpu()).toBe(1);
  });

  it("says when the threads for tasks are all in use", () => {
    const config = { taskWorkersMax: 1 };
    const h = new RayletHarness({ totals: { CPU: 4 }, prestartCount: 1, config }).withWorkers(1);
    h.request(1);
    h.request(2);
    expect(h.out.last("leasePending").reason).toBe(
      "waits for a worker thread: tasks keep 1 of at most 1 (systemConfig.taskWorkersMax) busy",
    );
    expect(h.out.last("leaseDemand").waiting).toBe(true);
    h.block(worker(1), 1, 1);
    expect(h.granted().get(2)).toBe(worker(1));
  });

  it("says when actors have all the threads they may, and lets tasks go on", () => {
    const config = { actorWorkersMax: 1 };
    const h = new RayletHarness({ totals: { CPU: 2 }, prestartCount: 3, config }).withWorkers(3);
    h.createActor(1);
    h.createActor(2);
    expect(h.out.last("actorPending")).toMatchObject({
      actorId: actor(2),
      reason:
        "waits for a worker thread: actors have 1 of at most 1 (systemConfig.actorWorkersMax)",
    });
    h.nowMs = 10_000;
    h.request(1);
    expect(h.granted().size).toBe(1);
    h.exit(1);
    expect(h.out.last("constructActor").spec.actorId).toBe(actor(2));
  });
});

describe("failed starts", () => {
  const failure = { type: "failedToStart", message: "no such module" } as const;

  it("are tried again, then refuse what waits, with the reason", () => {
    const h = new RayletHarness({ totals: { CPU: 1 } });
    h.request(1);
    h.request(2);
    h.request(3, { resources: { GPU: 1 } });
    h.exit(1, failure);
    h.exit(2, failure);
    expect(h.started()).toHaveLength(3);
    expect(h.out.all("leaseRefused")).toEqual([]);
    h.exit(3, failure);
    expect(h.out.all("leaseRefused").map((m) => [m.leaseId, m.error.type])).toEqual([
      [1, "TASK_UNSCHEDULABLE"],
      [2, "TASK_UNSCHEDULABLE"],
    ]);
    expect(h.out.last("leaseRefused").error.message).toBe(
      "no worker thread could be started, 3 failed in a row: " +
        `worker thread ${worker(3)} did not start: no such module`,
    );
    expect(h.started()).toHaveLength(3);
    expect(h.raylet.counts).toMatchObject({ leases: 1, infeasible: 1, workers: 0 });
    expect(h.availableCpu()).toBe(1);
    expect(h.out.all("workerDied")).toEqual([]);
  });

  it("cost each later request one attempt, until one succeeds", () => {
    const h = new RayletHarness({ totals: { CPU: 1 }, config: { workerStartFailuresMax: 1 } });
    h.request(1);
    h.exit(1, failure);
    h.request(2);
    h.exit(2, { type: "exited", code: 1 });
    expect(h.out.all("leaseRefused").map((m) => m.leaseId)).toEqual([1, 2]);
    h.request(3);
    h.ready(3);
    expect(h.granted().get(3)).toBe(worker(3));
    h.exit(3);
    h.request(4);
    expect(h.started()).toHaveLength(4);
  });

  it("count only in a row", () => {
    const h = new RayletHarness({ totals: { CPU: 2 }, config: { workerStartFailuresMax: 2 } });
    h.request(1);
    h.exit(1, failure);
    h.ready(2);
    h.request(2);
    h.exit(3, failure);
    expect(h.out.all("leaseRefused")).toEqual([]);
    expect(h.started()).toHaveLength(4);
  });

  it("leave alone what living workers can still do", () => {
    const config = { workerStartFailuresMax: 1 };
    const h = new RayletHarness({ totals: { CPU: 2 }, prestartCount: 1, config }).withWorkers(1);
    h.request(1);
    h.request(2);
    h.request(3, { resources: { CPU: 2 } });
    h.exit(2, failure);
    expect(h.out.all("leaseRefused").map((m) => m.leaseId)).toEqual([2]);
    h.release(1);
    expect(h.granted().get(3)).toBe(worker(1));
  });

  it("fail actors with the reason", () => {
    const h = new RayletHarness({ config: { workerStartFailuresMax: 1 } });
    h.createActor(1);
    h.exit(1, failure);
    expect(h.out.last("actorCreated", gcsAddress)).toMatchObject({
      actorId: actor(1),
      workerId: null,
      failure: { error: { type: "ACTOR_UNSCHEDULABLE", subject: actor(1) }, cause: null },
    });
    expect(h.raylet.counts.actors).toBe(0);
  });

  it("include threads that take too long", () => {
    const config = { workerStartTimeoutMs: 1000, workerStartFailuresMax: 2 };
    const h = new RayletHarness({ totals: { CPU: 1 }, config });
    h.request(1);
    expect(h.raylet.nextDeadlineMs()).toBe(1000);
    h.nowMs = 999;
    h.deadline();
    expect(h.stopped()).toEqual([]);
    h.nowMs = 1000;
    h.deadline();
    expect(h.stopped()).toEqual([worker(1)]);
    expect(h.started()).toEqual([worker(1), worker(2)]);
    h.ready(1);
    h.exit(1, { type: "stopped" });
    h.nowMs = 2000;
    h.deadline();
    expect(h.out.last("leaseRefused", driver).error.message).toMatch(
      /2 failed in a row: worker thread \w+ was not ready after 1000 ms$/,
    );
    h.exit(2, { type: "stopped" });
    expect(h.raylet.counts).toMatchObject({ leases: 0, workers: 0 });
    expect(h.raylet.nextDeadlineMs()).toBe(Infinity);
  });
});
