import { describe, expect, it } from "vitest";
import { engineError } from "#engine/common/error-type.ts";
import { gcsAddress } from "#engine/common/ids.ts";
import { InlineValue, noSpecials } from "#engine/protocol/outcome.ts";
import { actor, actorSpec, nodeId, otherNodeId, RayletHarness, worker } from "./raylet-harness.ts";

describe("an actor's instance", () => {
  it("takes an idle thread, is constructed, and keeps only what it runs with", () => {
    const h = new RayletHarness({ totals: { CPU: 2 }, prestartCount: 1 }).withWorkers(1);
    h.createActor(1, { placement: { CPU: 1 }, running: {} });
    expect(h.out.last("constructActor", worker(1))).toMatchObject({
      incarnation: 0,
      spec: { actorId: actor(1) },
    });
    expect(h.availableCpu()).toBe(1);
    h.constructed(1, 1);
    expect(h.out.last("actorCreated", gcsAddress)).toEqual({
      type: "actorCreated",
      from: nodeId,
      actorId: actor(1),
      incarnation: 0,
      workerId: worker(1),
      failure: null,
    });
    expect(h.availableCpu()).toBe(2);
    h.request(1);
    expect(h.started()).toEqual([worker(2)]);
  });

  it("is told its GPUs", () => {
    const totals = { CPU: 2, GPU: 2 };
    const h = new RayletHarness({ totals, prestartCount: 2 }).withWorkers(2);
    for (const n of [1, 2]) h.createActor(n, { placement: { GPU: 1 }, running: { GPU: 1 } });
    expect(h.out.last("constructActor", worker(1)).gpuIds).toEqual([0]);
    expect(h.out.last("constructActor", worker(2)).gpuIds).toEqual([1]);
  });

  it("gets a new thread when none is idle, a blocked one never", () => {
    const h = new RayletHarness({ totals: { CPU: 2 }, prestartCount: 1 }).withWorkers(1);
    h.request(1);
    h.block(worker(1), 1, 1);
    h.createActor(1, { running: { CPU: 1 } });
    expect(h.started()).toEqual([worker(2)]);
    expect(h.out.last("actorPending", gcsAddress).reason).toMatch(/one is starting/);
    h.ready(2);
    h.constructed(1, 2);
    expect(h.availableCpu()).toBe(1);
  });

  it("takes the greater of what it needs to be placed and to run", () => {
    const totals = { CPU: 2, GPU: 1 };
    const h = new RayletHarness({ totals, prestartCount: 1 }).withWorkers(1);
    h.createActor(1, { placement: { CPU: 1 }, running: { GPU: 1 } });
    expect([h.availableCpu(), h.raylet.available("GPU")]).toEqual([1, 0]);
    h.constructed(1, 1);
    expect([h.availableCpu(), h.raylet.available("GPU")]).toEqual([2, 0]);
  });

  it("answers a repeated createActor as before, in every state", () => {
    const h = new RayletHarness({ totals: { CPU: 1 }, prestartCount: 1 }).withWorkers(1);
    h.request(1);
    h.createActor(1);
    h.createActor(1);
    expect(h.out.all("actorPending")).toHaveLength(2);
    h.release(1);
    h.createActor(1);
    expect(h.out.all("constructActor")).toHaveLength(1);
    h.constructed(1, 1);
    h.constructed(1, 1);
    h.createActor(1);
    expect(h.out.all("actorCreated")).toHaveLength(2);
    h.exit(1);
    h.createActor(1);
    expect(h.out.all("actorWorkerDied")).toHaveLength(2);
    expect(h.raylet.counts.actors).toBe(0);
    h.createActor(1, {}, 1);
    expect(h.raylet.counts.actors).toBe(1);
    h.createActor(1, {}, 0);
    expect(h.raylet.counts.actors).toBe(1);
  });

  it("whose constructor fails costs its thread, and owns the error it reports", () => {
    const h = new RayletHarness({ totals: { CPU: 1 }, prestartCount: 1 }).withWorkers(1);
    h.createActor(1, { running: { CPU: 1 } });
    const frame = new Uint8Array([9, 1, 2, 3, 9]);
    const cause = new InlineValue(frame, 1, 3, noSpecials);
    h.constructed(1, 1, { error: engineError("TASK_ERROR", "no luck"), cause });
    frame.fill(0);
    const { failure } = h.out.last("actorCreated");
    expect(failure?.error.message).toBe("no luck");
    expect(failure?.cause).toEqual(new InlineValue(new Uint8Array([1, 2, 3]), 0, 3, noSpecials));
    expect(h.stopped()).toEqual([worker(1)]);
    expect(h.availableCpu()).toBe(0);
    h.stopActor(1);
    h.createActor(1);
    expect(h.out.all("actorCreated")).toHaveLength(2);
    expect(h.stopped()).toHaveLength(1);
    h.exit(1, { type: "stopped" });
    expect(h.out.all("actorWorkerDied")).toEqual([]);
    expect(h.out.last("workerDied", gcsAddress).workerId).toBe(worker(1));
    expect(h.availableCpu()).toBe(1);
  });

  it("keeps the arguments of a spec that waits, whatever becomes of the frame", () => {
    const h = new RayletHarness({ totals: { CPU: 1 }, prestartCount: 1 }).withWorkers(1);
    h.request(1);
    const frame = new Uint8Array([1, 2]);
    const args = new InlineValue(frame, 0, 2, noSpecials);
    const spec = { ...actorSpec(actor(1)), args, values: [args, 5] };
    h.handle({ type: "createActor", from: gcsAddress, incarnation: 0, spec });
    frame.fill(0);
    h.release(1);
    const kept = new InlineValue(new Uint8Array([1, 2]), 0, 2, noSpecials);
    expect(h.out.last("constructActor").spec).toMatchObject({ args: kept, values: [kept, 5] });
  });

  it("that dies is reported with the reason", () => {
    const h = new RayletHarness({ prestartCount: 2 }).withWorkers(2);
    h.createActor(1);
    h.createActor(2, { running: { CPU: 1 } });
    h.constructed(2, 2);
    h.exit(1, { type: "uncaught", message: "boom" });
    h.exit(2, { type: "outOfMemory", message: "full" });
    expect(h.out.all("actorWorkerDied").map((m) => [m.actorId, m.error.type])).toEqual([
      [actor(1), "WORKER_CRASHED"],
      [actor(2), "OUT_OF_MEMORY"],
    ]);
    expect(h.availableCpu()).toBe(2);
    expect(h.raylet.counts).toMatchObject({ actors: 0, workers: 0 });
  });

  it("can be stopped while it waits, starts, is constructed, and lives", () => {
    const h = new RayletHarness({ totals: { CPU: 1 }, prestartCount: 0 });
    h.createActor(1, { running: { CPU: 1 } });
    h.createActor(2);
    h.createActor(3, { placement: { GPU: 1 } });
    for (const serial of [3, 2, 1]) h.stopActor(serial);
    expect(h.raylet.counts).toMatchObject({ actors: 0, waiting: 0, infeasible: 0, workers: 1 });
    expect(h.availableCpu()).toBe(1);
    expect(h.stopped()).toEqual([]);
    h.ready(1);
    h.createActor(4, { running: { CPU: 1 } });
    h.stopActor(4);
    h.constructed(4, 1);
    h.stopActor(4);
    expect(h.stopped()).toEqual([worker(1)]);
    expect(h.availableCpu()).toBe(0);
    h.exit(1, { type: "stopped" });
    h.stopActor(4);
    expect(h.out.all("actorCreated")).toEqual([]);
    expect(h.out.all("actorWorkerDied")).toEqual([]);
    expect(h.availableCpu()).toBe(1);
    expect(h.raylet.counts.actors).toBe(0);
  });

  it("ignores word of a constructor that is not its own", () => {
    const h = new RayletHarness({ prestartCount: 2 }).withWorkers(2);
    h.createActor(1);
    h.constructed(1, 2);
    h.constructed(9, 1);
    h.handle({
      type: "actorConstructed",
      from: worker(1),
      actorId: actor(1),
      incarnation: 3,
      failure: null,
    });
    expect(h.out.all("actorCreated")).toEqual([]);
  });

  it("waits for what no node has, and is refused when it must be elsewhere", () => {
    const h = new RayletHarness({ totals: { CPU: 2 } });
    h.createActor(1, { placement: { GPU: 1 } });
    expect(h.out.last("actorPending", gcsAddress)).toMatchObject({
      actorId: actor(1),
      incarnation: 0,
      reason: "no node has {GPU: 1}; this node has {CPU: 2}",
    });
    const strategy = { type: "nodeAffinity", nodeId: otherNodeId, soft: false } as const;
    h.createActor(2, { strategy });
    expect(h.out.last("actorCreated").failure?.error).toMatchObject({
      type: "ACTOR_UNSCHEDULABLE",
      message: `Counter must run on node ${otherNodeId}; the only node is ${nodeId}`,
    });
    expect(h.raylet.counts.actors).toBe(1);
  });

  it("is placed before tasks that wait as well", () => {
    const h = new RayletHarness({ totals: { CPU: 1 }, prestartCount: 1 }).withWorkers(1);
    h.request(1);
    h.request(2, { depth: 5 });
    h.createActor(1);
    h.release(1);
    expect(h.out.all("constructActor")).toHaveLength(1);
    expect(h.granted().has(2)).toBe(false);
    h.constructed(1, 1);
    expect(h.started()).toEqual([worker(2)]);
  });
});
