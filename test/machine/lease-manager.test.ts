import { describe, expect, it } from "vitest";
import { gcsAddress } from "#engine/common/ids.ts";
import { driver, nodeId, otherNodeId, RayletHarness, worker } from "./raylet-harness.ts";

const noSoft = new Map<string, string>();

describe("life of a lease", () => {
  it("is granted on an idle worker and given back", () => {
    const h = new RayletHarness({ prestartCount: 2 }).withWorkers(2);
    h.request(1);
    expect(h.out.last("leaseGranted", driver)).toEqual({
      type: "leaseGranted",
      from: nodeId,
      leaseId: 1,
      workerId: worker(1),
      gpuIds: [],
    });
    h.request(2);
    expect(h.granted().get(2)).toBe(worker(2));
    expect(h.availableCpu()).toBe(0);
    h.release(1);
    h.release(2);
    expect(h.availableCpu()).toBe(2);
    expect(h.raylet.counts).toMatchObject({ leases: 0, waiting: 0, workers: 2 });
  });

  it("starts a worker when none is idle, and tells why it waits", () => {
    const h = new RayletHarness();
    h.request(1);
    expect(h.started()).toEqual([worker(1)]);
    expect(h.out.last("leasePending")).toMatchObject({
      reason: "waits for a worker thread: one is starting",
      infeasible: false,
    });
    expect(h.availableCpu()).toBe(1);
    h.ready(1);
    expect(h.granted().get(1)).toBe(worker(1));
  });

  it("repeats its present answer", () => {
    const h = new RayletHarness({ totals: { CPU: 1, GPU: 2 }, prestartCount: 1 }).withWorkers(1);
    h.request(1, { resources: { CPU: 1, GPU: 2 } });
    h.request(2);
    h.out.clear();
    h.request(1);
    expect(h.out.last("leaseGranted")).toMatchObject({ leaseId: 1, gpuIds: [0, 1] });
    h.request(2);
    expect(h.out.last("leasePending")).toMatchObject({
      leaseId: 2,
      reason: "waits for {CPU: 1}; in use: {CPU: 1} of {CPU: 1}",
    });
    expect(h.out.sent).toHaveLength(2);
    expect(h.raylet.counts.leases).toBe(2);
  });

  it("can be given back in any phase, and twice", () => {
    const h = new RayletHarness({ totals: { CPU: 1 } });
    h.request(1);
    h.request(2);
    h.request(3, { resources: { GPU: 1 } });
    h.release(1);
    expect(h.raylet.counts.leases).toBe(2);
    h.ready(1);
    expect(h.granted()).toEqual(new Map([[2, worker(1)]]));
    for (const leaseId of [2, 2, 3, 3, 77]) h.release(leaseId);
    expect(h.raylet.counts).toMatchObject({ leases: 0, waiting: 0, infeasible: 0, workers: 1 });
    expect(h.availableCpu()).toBe(1);
  });

  it("is a different one for the same number of another owner", () => {
    const h = new RayletHarness({ totals: { CPU: 3 }, prestartCount: 3 }).withWorkers(3);
    h.request(1);
    h.request(1, { from: worker(1) });
    expect(h.out.all("leaseGranted", driver)).toHaveLength(1);
    expect(h.out.all("leaseGranted", worker(1))).toHaveLength(1);
    h.release(1);
    expect(h.raylet.counts.leases).toBe(1);
  });
});

describe("what does not fit", () => {
  it("waits with a reason when no node has it", () => {
    const h = new RayletHarness({ totals: { CPU: 2 } });
    h.request(1, { resources: { GPU: 8 } });
    h.request(2, { resources: { CPU: 1, tpu: 1 } });
    expect(h.out.all("leasePending").map((m) => m.reason)).toEqual([
      "no node has {GPU: 8}; this node has {CPU: 2}",
      "no node has {tpu: 1}; this node has {CPU: 2}",
    ]);
    expect(h.out.all("leasePending").every((m) => m.infeasible)).toBe(true);
    expect(h.started()).toEqual([]);
    expect(h.raylet.counts).toMatchObject({ infeasible: 2, waiting: 0 });
    expect(h.out.all("leaseDemand")).toEqual([]);
  });

  it("waits for labels, hard ones only", () => {
    const labels = { zone: "eu", disk: "ssd" };
    const h = new RayletHarness({ labels, prestartCount: 2 }).withWorkers(2);
    const hard = new Map([
      ["zone", "us"],
      ["disk", "ssd"],
    ]);
    h.request(1, { strategy: { type: "nodeLabels", hard, soft: noSoft } });
    expect(h.out.last("leasePending").reason).toBe(
      "no node has the labels {zone: us}; this node has {zone: eu, disk: ssd}",
    );
    const met = new Map([["zone", "eu"]]);
    h.request(2, { strategy: { type: "nodeLabels", hard: met, soft: hard } });
    expect([...h.granted().keys()]).toEqual([2]);
  });

  it("is refused when it must run on another node, else not", () => {
    const h = new RayletHarness({ prestartCount: 2 }).withWorkers(2);
    const at = (soft: boolean) => ({ type: "nodeAffinity", nodeId: otherNodeId, soft }) as const;
    h.request(1, { strategy: at(false), taskName: "train" });
    expect(h.out.last("leaseRefused")).toMatchObject({
      leaseId: 1,
      error: {
        type: "TASK_UNSCHEDULABLE",
        message: `train must run on node ${otherNodeId}; the only node is ${nodeId}`,
      },
    });
    h.request(2, { strategy: at(true) });
    h.request(3, { strategy: { type: "nodeAffinity", nodeId, soft: false } });
    expect([...h.granted().keys()]).toEqual([2, 3]);
    expect(h.raylet.counts.leases).toBe(2);
  });

  it("is refused when too many wait", () => {
    const h = new RayletHarness({ totals: { CPU: 1 }, config: { leaseQueueMax: 2 } });
    for (let leaseId = 1; leaseId <= 4; leaseId++) h.request(leaseId);
    expect(h.out.all("leaseRefused").map((m) => [m.leaseId, m.error.message])).toEqual([
      [4, "work: 2 requests wait already (systemConfig.leaseQueueMax)"],
    ]);
  });

  it("tells a reason once, not with every attempt", () => {
    const h = new RayletHarness({ totals: { CPU: 1 }, prestartCount: 1 }).withWorkers(1);
    h.request(1);
    h.request(9);
    for (let leaseId = 2; leaseId < 9; leaseId++) {
      h.request(leaseId);
      h.release(leaseId);
    }
    expect(h.out.all("leasePending").filter((m) => m.leaseId === 9)).toHaveLength(1);
  });
});

describe("the order of waiting requests", () => {
  it("is first come, first served, and deeper first", () => {
    const h = new RayletHarness({ totals: { CPU: 1 }, prestartCount: 1 }).withWorkers(1);
    h.request(1);
    h.request(2, { depth: 0 });
    h.request(3, { depth: 2 });
    h.request(4, { depth: 1 });
    h.request(5, { depth: 2 });
    const order: number[] = [];
    for (let i = 0; i < 5; i++) {
      const leaseId = h.out.last("leaseGranted").leaseId;
      order.push(leaseId);
      h.release(leaseId);
    }
    expect(order).toEqual([1, 3, 5, 4, 2]);
  });

  it("lets small ones pass a big one, for a while", () => {
    const h = new RayletHarness({ totals: { CPU: 2 }, prestartCount: 2 }).withWorkers(2);
    h.request(1);
    h.request(2, { resources: { CPU: 2 }, taskName: "big" });
    h.request(3);
    expect([...h.granted().keys()]).toEqual([1, 3]);
    h.request(4);
    h.nowMs = 600;
    h.release(3);
    expect(h.granted().has(4)).toBe(false);
    expect(h.out.last("leasePending").reason).toBe(
      "waits for {CPU: 1}; what is free is kept for big, which has waited for {CPU: 2} for longer",
    );
    h.release(1);
    expect(h.granted().has(2)).toBe(true);
    h.release(2);
    expect(h.granted().has(4)).toBe(true);
  });

  it("opens what is set aside again when the turn ends", () => {
    const h = new RayletHarness({ totals: { CPU: 2 }, prestartCount: 2 }).withWorkers(2);
    h.request(1);
    h.request(2, { resources: { CPU: 2 } });
    h.nowMs = 700;
    h.request(3);
    expect(h.granted().has(3)).toBe(false);
    expect(h.raylet.nextDeadlineMs()).toBe(1000);
    h.nowMs = 1000;
    h.deadline();
    expect(h.granted().has(3)).toBe(true);
    expect(h.raylet.nextDeadlineMs()).toBe(Infinity);
  });

  it("sets nothing aside any more once the big one has its place", () => {
    const h = new RayletHarness({ totals: { CPU: 3 }, prestartCount: 2 }).withWorkers(2);
    h.request(1, { resources: { CPU: 3 } });
    h.request(2, { resources: { CPU: 2 } });
    h.request(3);
    h.nowMs = 700;
    h.release(1);
    expect([...h.granted().keys()]).toEqual([1, 2, 3]);
  });

  it("sets nothing aside against deeper ones", () => {
    const h = new RayletHarness({ totals: { CPU: 2 }, prestartCount: 2 }).withWorkers(2);
    h.request(1);
    h.request(2, { resources: { CPU: 2 } });
    h.nowMs = 700;
    h.request(3, { depth: 1 });
    expect(h.granted().has(3)).toBe(true);
  });

  it("sets nothing aside while a blocked lease keeps some of it", () => {
    const totals = { CPU: 2, GPU: 2 };
    const h = new RayletHarness({ totals, prestartCount: 2 }).withWorkers(2);
    h.request(1, { resources: { CPU: 1, GPU: 1 } });
    h.request(2, { resources: { GPU: 2 } });
    h.nowMs = 700;
    h.request(3, { resources: { GPU: 1 } });
    expect(h.granted().has(3)).toBe(false);
    h.block(worker(1), 1, 1);
    expect(h.granted().has(3)).toBe(true);
  });

  it("sets nothing aside for what actors keep", () => {
    const h = new RayletHarness({ totals: { CPU: 2 }, prestartCount: 2 }).withWorkers(2);
    h.createActor(1, { placement: { CPU: 1 }, running: { CPU: 1 } });
    h.request(1, { resources: { CPU: 2 } });
    h.nowMs = 700;
    h.request(2);
    expect(h.granted().has(2)).toBe(true);
  });
});

describe("lending", () => {
  it("gives a blocked task's CPU and thread to its child on one CPU", () => {
    const h = new RayletHarness({ totals: { CPU: 1 }, prestartCount: 1 }).withWorkers(1);
    h.request(1);
    h.request(1, { from: worker(1), depth: 1 });
    expect(h.granted().size).toBe(1);
    h.block(worker(1), 1, 1);
    expect(h.out.last("leaseGranted", worker(1)).workerId).toBe(worker(1));
    expect(h.started()).toEqual([]);
    h.block(worker(1), 1, 2, { blocked: false });
    expect(h.availableCpu()).toBe(-1);
    h.request(2);
    expect(h.granted().has(2)).toBe(false);
    h.release(1, worker(1));
    expect(h.granted().has(2)).toBe(false);
    h.release(1);
    expect(h.granted().get(2)).toBe(worker(1));
    expect(h.availableCpu()).toBe(0);
  });

  it("lends no GPU, memory or custom resource", () => {
    const totals = { CPU: 1, GPU: 1, memory: 10, disk: 1 };
    const h = new RayletHarness({ totals, prestartCount: 1 }).withWorkers(1);
    h.request(1, { resources: totals });
    h.block(worker(1), 1, 1);
    const free = ["CPU", "GPU", "memory", "disk"].map((name) => h.raylet.available(name));
    expect(free).toEqual([10_000, 0, 0, 0]);
    h.request(2, { resources: { disk: 1 } });
    expect(h.granted().has(2)).toBe(false);
    h.request(3);
    expect(h.granted().has(3)).toBe(true);
  });

  it("heeds the highest blockSeq only, and only from the lease's own worker", () => {
    const h = new RayletHarness({ totals: { CPU: 2 }, prestartCount: 2 }).withWorkers(2);
    h.request(1);
    h.block(worker(2), 1, 9);
    h.block(worker(1), 8, 9);
    h.block(worker(1), 1, 9, { owner: worker(2) });
    expect(h.availableCpu()).toBe(1);
    h.block(worker(1), 1, 3);
    h.block(worker(1), 1, 2, { blocked: false });
    h.block(worker(1), 1, 3, { blocked: false });
    expect(h.availableCpu()).toBe(2);
    h.block(worker(1), 1, 5);
    expect(h.availableCpu()).toBe(2);
    h.block(worker(1), 1, 6, { blocked: false });
    expect(h.availableCpu()).toBe(1);
  });

  it("ends with the lease", () => {
    const h = new RayletHarness({ totals: { CPU: 1 }, prestartCount: 1 }).withWorkers(1);
    h.request(1);
    h.block(worker(1), 1, 1);
    h.release(1);
    h.block(worker(1), 1, 2, { blocked: false });
    expect(h.availableCpu()).toBe(1);
  });
});

describe("a resource that tasks hold while they wait", () => {
  const busy = "waits for {g: 1}; in use: {g: 2} of {g: 2}";
  const reasons = (h: RayletHarness): string[] =>
    h.out.all("leasePending").map(({ reason }) => reason);

  function held(): RayletHarness {
    const h = new RayletHarness({ totals: { CPU: 4, g: 2 }, prestartCount: 3 }).withWorkers(3);
    h.request(1, { resources: { g: 1 }, taskName: "first" });
    h.request(2, { resources: { g: 1 }, taskName: "second" });
    h.request(3, { resources: { g: 1 }, taskName: "child" });
    return h;
  }

  it("is told as such once all of it is, and no more when one of them goes on", () => {
    const h = held();
    expect(reasons(h)).toEqual([busy]);
    h.block(worker(1), 1, 1);
    expect(reasons(h)).toEqual([busy]);
    h.block(worker(2), 2, 1);
    const waiting = "all of {g: 2} is held by tasks that wait themselves: first, second";
    expect(reasons(h)).toEqual([busy, `${busy}; ${waiting}`]);
    h.block(worker(1), 1, 2, { blocked: false });
    expect(reasons(h)).toEqual([busy, `${busy}; ${waiting}`, busy]);
    h.release(1);
    expect([...h.granted().keys()]).toEqual([1, 2, 3]);
  });

  it("is not told of what an actor keeps, nor of a CPU, which is lent", () => {
    const h = new RayletHarness({ totals: { CPU: 1, g: 2 }, prestartCount: 3 }).withWorkers(3);
    h.createActor(5, { placement: { g: 1 }, running: { g: 1 } });
    h.request(1, { resources: { g: 1, CPU: 1 } });
    h.request(2, { resources: { g: 1, CPU: 1 } });
    const text = "waits for {CPU: 1, g: 1}; in use: {CPU: 1, g: 2} of {CPU: 1, g: 2}";
    expect(reasons(h)).toEqual([text]);
    h.block(h.granted().get(1) ?? driver, 1, 1);
    expect(h.availableCpu()).toBe(1);
    expect(reasons(h)).toEqual([text]);
  });
});

describe("demand", () => {
  it("is told to holders when it begins and ends, not for what is infeasible", () => {
    const h = new RayletHarness({ totals: { CPU: 1 }, prestartCount: 1 }).withWorkers(1);
    h.request(1);
    h.request(2, { resources: { GPU: 1 } });
    expect(h.out.all("leaseDemand")).toEqual([]);
    h.request(3, { from: worker(1) });
    h.request(4);
    expect(h.out.sent.filter((s) => s.message.type === "leaseDemand")).toEqual([
      { to: driver, message: { type: "leaseDemand", from: nodeId, version: 1, waiting: true } },
    ]);
    h.out.clear();
    h.release(1);
    expect(h.out.last("leaseDemand", worker(1))).toMatchObject({ version: 1, waiting: true });
    h.release(3, worker(1));
    expect(h.out.last("leaseDemand", driver)).toMatchObject({ version: 2, waiting: false });
    expect(h.out.last("leaseDemand", worker(1))).toMatchObject({ version: 2, waiting: false });
  });
});

describe("death", () => {
  const cases = [
    [{ type: "exited", code: 7 }, "WORKER_CRASHED", /^worker thread \w+ called process.exit\(7\)$/],
    [
      { type: "uncaught", message: "boom" },
      "WORKER_CRASHED",
      /^worker thread \w+ was ended by an uncaught error outside a task: boom$/,
    ],
    [
      { type: "outOfMemory", message: "limit reached" },
      "OUT_OF_MEMORY",
      /^worker thread \w+ ran out of heap memory: limit reached$/,
    ],
    [{ type: "stopped" }, "WORKER_CRASHED", /^worker thread \w+ was stopped$/],
  ] as const;

  it.each(cases)("of a worker by %o revokes its leases", (exit, type, message) => {
    const h = new RayletHarness({ totals: { CPU: 2 }, prestartCount: 2 }).withWorkers(2);
    h.request(1);
    h.request(2, { from: worker(1), depth: 1 });
    h.out.clear();
    h.exit(1, exit);
    const revoked = h.out.last("leaseRevoked", driver);
    expect(revoked).toMatchObject({ leaseId: 1, error: { type } });
    expect(revoked.error.message).toMatch(message);
    for (const to of [driver, worker(2), gcsAddress]) {
      expect(h.out.last("workerDied", to)).toMatchObject({
        workerId: worker(1),
        error: revoked.error,
      });
    }
    expect(h.out.sent.some((sent) => sent.to === worker(1))).toBe(false);
    h.doomedEnded(2, worker(1));
    expect(h.availableCpu()).toBe(2);
    expect(h.raylet.counts).toMatchObject({ leases: 0, workers: 1 });
    h.request(3);
    expect(h.granted().get(3)).toBe(worker(2));
  });

  it("of a worker revokes blocked leases too, and its own silently", () => {
    const h = new RayletHarness({ totals: { CPU: 1 }, prestartCount: 1 }).withWorkers(1);
    h.request(1);
    h.block(worker(1), 1, 1);
    h.request(1, { from: worker(1), depth: 1 });
    h.request(2, { from: worker(1), resources: { GPU: 1 } });
    h.request(3, { from: worker(1) });
    h.out.clear();
    h.exit(1);
    expect(h.out.all("leaseRevoked").map((m) => m.leaseId)).toEqual([1]);
    expect(h.availableCpu()).toBe(1);
    expect(h.raylet.counts).toMatchObject({ leases: 0, infeasible: 0, waiting: 0, workers: 0 });
  });

  it("of a driver ends its leases and is told to the workers", () => {
    const h = new RayletHarness({ totals: { CPU: 1 }, prestartCount: 1 }).withWorkers(1);
    h.request(1);
    h.request(2);
    h.exit(0, { type: "stopped" });
    expect(h.out.last("workerDied", worker(1)).workerId).toBe(driver);
    h.doomedEnded(1);
    expect(h.raylet.counts).toMatchObject({ leases: 0, waiting: 0, workers: 1 });
    h.out.clear();
    h.request(3);
    expect(h.out.sent).toEqual([]);
  });

  it("is final: nothing is accepted from a worker that ended", () => {
    const h = new RayletHarness({ totals: { CPU: 1 }, prestartCount: 1 }).withWorkers(1);
    h.exit(1);
    h.out.clear();
    h.exit(1);
    h.exit(55);
    h.request(1, { from: worker(1) });
    h.ready(1);
    expect(h.out.sent).toEqual([]);
    expect(h.raylet.counts).toMatchObject({ leases: 0, workers: 0 });
  });
});
