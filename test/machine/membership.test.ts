/** Nodes: joining, reports, verdicts and what follows from them, at the GCS and at raylets. */
import { describe, expect, it } from "vitest";
import { defaultConfig } from "#engine/common/config.ts";
import { gcsAddress, type NodeId, workerIdOf } from "#engine/common/ids.ts";
import type { NodeState } from "#engine/protocol/gcs.ts";
import { Gcs, type GcsEvent } from "#engine/gcs/gcs.ts";
import {
  actor,
  actorSpec,
  driver,
  nodeId,
  RayletHarness,
  resources,
  worker,
} from "./raylet-harness.ts";
import { RecordingOutbox } from "./recording-outbox.ts";

const other = "f".repeat(32) as NodeId;
const third = "e".repeat(32) as NodeId;
const far = workerIdOf(other, 4);
const { healthTimeoutMs, heartbeatMs, gcsReconnectMs, resourceReportMs } = defaultConfig;

class GcsClock {
  readonly out = new RecordingOutbox<never>();
  readonly gcs = new Gcs();
  nowMs = 0;

  handle(event: GcsEvent): void {
    this.gcs.handle(event, this.nowMs, this.out);
    this.gcs.checkInvariants();
  }

  join(id: NodeId, cpu = 2): void {
    this.handle({
      type: "registerNode",
      from: id,
      nodeId: id,
      address: "",
      hostname: "",
      isHead: false,
      resources: resources({ CPU: cpu }),
      labels: new Map(),
    });
  }

  beat(id: NodeId, seq: number, cpu = 2): void {
    this.handle({ type: "heartbeat", from: id, seq, available: resources({ CPU: cpu }) });
  }

  /** Ticks go on, and those in `alive` report before each. */
  pass(ms: number, alive: readonly NodeId[]): void {
    const endMs = this.nowMs + ms;
    let seq = this.nowMs + 1;
    while (this.gcs.nextDeadlineMs() <= endMs) {
      this.nowMs = this.gcs.nextDeadlineMs();
      for (const id of alive) this.beat(id, (seq += 1));
      this.handle({ type: "deadline" });
    }
    this.nowMs = endMs;
  }
}

describe("the GCS", () => {
  it("says nothing to a node that is alone, and all to everybody once there are two", () => {
    const g = new GcsClock();
    g.join(nodeId);
    expect(g.gcs.nextDeadlineMs()).toBe(Infinity);
    expect(g.out.all("resourceView")).toEqual([]);
    g.join(other);
    const views = g.out.all("resourceView");
    expect(views).toHaveLength(2);
    expect(views[0]?.nodes.map((node) => node.nodeId)).toEqual([nodeId, other]);
  });

  it("passes on what is free, but not for every report", () => {
    const g = new GcsClock();
    g.join(nodeId);
    g.join(other);
    g.out.clear();
    for (let seq = 1; seq <= 20; seq++) g.beat(other, seq, seq % 2);
    expect(g.out.all("resourceView")).toEqual([]);
    expect(g.out.all("heartbeatAck")).toHaveLength(20);
    g.nowMs += resourceReportMs;
    g.handle({ type: "deadline" });
    const [view, ...more] = g.out.all("resourceView");
    expect(more).toHaveLength(1);
    expect(view?.nodes[1]?.available).toEqual(resources({ CPU: 0 }));
    // An old report that comes late changes nothing.
    g.beat(other, 3, 1);
    expect(g.gcs.nextDeadlineMs()).toBeGreaterThan(g.nowMs + resourceReportMs);
  });

  it("sends no view behind others that a node cannot read: the newest, once it can", () => {
    const g = new GcsClock();
    for (const id of [nodeId, other, third]) g.join(id);
    g.out.congested.add(third);
    g.out.clear();
    for (let seq = 1; seq <= 5; seq++) {
      g.beat(other, seq, seq);
      g.nowMs += resourceReportMs;
      g.handle({ type: "deadline" });
    }
    expect(g.out.all("resourceView", other)).toHaveLength(5);
    expect(g.out.all("resourceView", third)).toEqual([]);
    g.handle({ type: "writable", peer: third });
    expect(g.out.all("resourceView", third)).toEqual([]);
    g.out.congested.clear();
    g.handle({ type: "writable", peer: third });
    g.handle({ type: "writable", peer: third });
    const [view, ...more] = g.out.all("resourceView", third);
    expect(more).toEqual([]);
    expect(view?.nodes[1]?.available).toEqual(resources({ CPU: 5 }));
    expect(view?.version).toBeGreaterThan(g.out.last("resourceView", other).version);
  });

  it("takes a silent node for dead, tells the others, and never takes it back", () => {
    const g = new GcsClock();
    for (const id of [nodeId, other, third]) g.join(id);
    g.pass(healthTimeoutMs / 2, [nodeId, other, third]);
    g.out.clear();
    g.pass(healthTimeoutMs * 2, [nodeId, third]);
    expect(g.out.sent.filter(({ message }) => message.type === "nodeDied")).toMatchObject([
      { to: nodeId, message: { nodeId: other } },
      { to: third, message: { nodeId: other } },
    ]);
    g.out.clear();
    g.join(other);
    g.beat(other, 1_000_000);
    expect(g.gcs.counts.nodes).toBe(2);
    expect(g.out.last("heartbeatAck")).toMatchObject({ nodeIsDead: true });
  });

  it("tells a node that joins of those that died before it came", () => {
    const h = new GcsClock();
    for (const id of [nodeId, other]) h.join(id);
    h.pass(3 * healthTimeoutMs, [nodeId]);
    h.out.sent.length = 0;
    h.join(third);
    const died = h.out.sent.filter(({ message }) => message.type === "nodeDied");
    expect(died).toMatchObject([{ to: third, message: { nodeId: other } }]);
  });

  it("judges nobody by its own pause", () => {
    const g = new GcsClock();
    g.join(nodeId);
    g.join(other);
    g.nowMs += healthTimeoutMs * 10;
    g.handle({ type: "deadline" });
    g.beat(other, 1);
    g.beat(nodeId, 1);
    g.pass(healthTimeoutMs / 2, []);
    expect(g.gcs.counts.nodes).toBe(2);
  });

  it("ends the actors of a dead node, and those whose owner lived there", () => {
    const g = new GcsClock();
    g.join(nodeId, 1);
    g.join(other, 8);
    const create = (serial: number, from: typeof driver): void => {
      const actorId = actor(serial);
      const registration = {
        actorId,
        className: "Counter",
        name: "",
        namespace: "",
        getIfExists: false,
        detached: false,
      };
      g.handle({ type: "registerActor", from, registration });
      const spec = actorSpec(actorId, { placement: { CPU: 2 } });
      g.handle({ type: "startActor", from, spec });
    };
    create(1, driver);
    expect(g.out.sent.at(-1)).toMatchObject({ to: other, message: { type: "createActor" } });
    create(2, far);
    expect(g.gcs.counts.liveActors).toBe(2);
    g.pass(healthTimeoutMs * 2, [nodeId]);
    expect(g.gcs.counts).toMatchObject({ nodes: 1, liveActors: 0, deadActors: 2 });
    g.handle({ type: "subscribeActor", from: driver, actorId: actor(1) });
    const { death } = g.out.last("actorState");
    expect(death?.error.message).toContain(`node ${other} died`);
  });
});

function state(id: NodeId, total: number, free: number): NodeState {
  const totals = resources({ CPU: total });
  return { nodeId: id, totals, available: resources({ CPU: free }), labels: new Map() };
}

function view(h: RayletHarness, version: number, ...nodes: NodeState[]): void {
  h.handle({ type: "resourceView", from: gcsAddress, version, nodes });
}

describe("a raylet among others", () => {
  it("reports nothing while it is alone at the head", () => {
    const h = new RayletHarness({ prestartCount: 2 }).withWorkers(2);
    h.request(1);
    expect(h.out.all("heartbeat")).toEqual([]);
    expect(h.raylet.nextDeadlineMs()).toBe(Infinity);
  });

  it("reports that it lives, and soon what has changed", () => {
    const h = new RayletHarness({ isHead: false, prestartCount: 2 }).withWorkers(2);
    h.nowMs += heartbeatMs;
    h.deadline();
    expect(h.out.last("heartbeat").available.get("CPU")).toBe(20_000);
    h.request(1);
    h.nowMs = h.raylet.nextDeadlineMs();
    expect(h.nowMs).toBe(heartbeatMs + resourceReportMs);
    h.deadline();
    expect(h.out.last("heartbeat").available.get("CPU")).toBe(10_000);
  });

  it("sends a lease on where there is room, counts that, and keeps what came from others", () => {
    const h = new RayletHarness({ prestartCount: 1 }).withWorkers(1);
    view(h, 1, state(nodeId, 2, 2), state(other, 1, 1));
    h.request(1, { resources: { CPU: 2 } });
    h.out.clear();
    h.request(2);
    expect(h.out.all("leaseSpilled")).toMatchObject([{ leaseId: 2, nodeId: other }]);
    h.request(3);
    h.request(4, { noSpill: true });
    expect(h.out.all("leaseSpilled")).toHaveLength(1);
    expect(h.raylet.counts.waiting).toBe(2);
    // Room again elsewhere: what waits here may go.
    view(h, 2, state(nodeId, 2, 0), state(other, 1, 1));
    expect(h.out.all("leaseSpilled")).toMatchObject([{ leaseId: 2 }, { leaseId: 3 }]);
    expect(h.raylet.counts.waiting).toBe(1);
  });

  it("sends on what it could never do, also when the node comes later", () => {
    const h = new RayletHarness({ prestartCount: 1 }).withWorkers(1);
    h.request(1, { resources: { CPU: 16 } });
    expect(h.raylet.counts.infeasible).toBe(1);
    view(h, 1, state(nodeId, 2, 2), state(other, 16, 0));
    expect(h.out.last("leaseSpilled")).toMatchObject({ leaseId: 1, nodeId: other });
    expect(h.raylet.counts.infeasible).toBe(0);
  });

  it("ends the leases of owners on a dead node, and tells its processes", () => {
    const h = new RayletHarness({ prestartCount: 1 }).withWorkers(1);
    view(h, 1, state(nodeId, 2, 2), state(other, 1, 1));
    h.request(1, { from: far, noSpill: true });
    expect(h.out.sent).toContainEqual({
      to: other,
      message: { type: "watchWorker", from: nodeId, workerId: far },
    });
    expect(h.out.sent.find(({ to }) => to === far)?.message.type).toBe("leaseGranted");
    h.out.clear();
    h.handle({ type: "nodeDied", from: gcsAddress, nodeId: other, reason: "gone" });
    expect(h.out.sent.map(({ to, message }) => [to, message.type])).toEqual([
      [driver, "nodeDied"],
      [worker(1), "nodeDied"],
      [worker(1), "doomLease"],
    ]);
    h.doomedEnded(1, far);
    expect(h.raylet.counts.leases).toBe(0);
    expect(h.availableCpu()).toBe(2);
    // Nothing more of it counts.
    h.request(2, { from: far, noSpill: true });
    expect(h.raylet.counts.leases).toBe(0);
  });

  it("asks the raylet of another node about its workers once, and passes the end on", () => {
    const h = new RayletHarness({ prestartCount: 1 }).withWorkers(1);
    h.handle({ type: "watchWorker", from: driver, workerId: far });
    h.handle({ type: "watchWorker", from: worker(1), workerId: far });
    expect(h.out.sent).toMatchObject([{ to: other, message: { workerId: far } }]);
    const error = { type: "WORKER_CRASHED", message: "x", subject: "", detail: "" } as const;
    h.out.clear();
    h.handle({ type: "workerDied", from: other, workerId: far, error });
    h.handle({ type: "workerDied", from: other, workerId: far, error });
    expect(h.out.sent.map(({ to }) => to)).toEqual([driver, worker(1)]);
    h.out.clear();
    h.handle({ type: "watchWorker", from: driver, workerId: far });
    expect(h.out.sent).toMatchObject([{ to: driver, message: { type: "workerDied" } }]);
  });

  it("tells other raylets of the end of the workers they asked for", () => {
    const h = new RayletHarness({ prestartCount: 2 }).withWorkers(2);
    h.handle({ type: "watchWorker", from: other, workerId: worker(1) });
    h.handle({ type: "watchWorker", from: other, workerId: worker(1) });
    h.out.clear();
    h.exit(2);
    h.exit(1);
    const told = h.out.sent.filter(({ to }) => to === other);
    expect(told).toMatchObject([{ message: { type: "workerDied", workerId: worker(1) } }]);
    h.handle({ type: "watchWorker", from: other, workerId: worker(1) });
    expect(h.out.sent.filter(({ to }) => to === other)).toHaveLength(2);
  });

  it("ends itself when it was declared dead, or hears nothing for long", () => {
    const zombie = new RayletHarness({ isHead: false, prestartCount: 1 }).withWorkers(1);
    const ack = { type: "heartbeatAck", from: gcsAddress, seq: 1, nodeIsDead: true } as const;
    zombie.handle(ack);
    zombie.handle(ack);
    expect(zombie.out.instructions).toMatchObject([{ type: "exitNode" }]);
    const lonely = new RayletHarness({ isHead: false, prestartCount: 1 }).withWorkers(1);
    while (lonely.nowMs <= gcsReconnectMs) {
      expect(lonely.out.instructions).toEqual([]);
      lonely.nowMs = lonely.raylet.nextDeadlineMs();
      lonely.deadline();
    }
    expect(lonely.out.instructions).toMatchObject([{ type: "exitNode" }]);
  });

  it("does not take a pause of its own for a silence of the GCS", () => {
    const paused = new RayletHarness({ isHead: false, prestartCount: 1 }).withWorkers(1);
    paused.nowMs += 3 * gcsReconnectMs;
    paused.deadline();
    expect(paused.out.instructions).toEqual([]);
    expect(paused.out.last("heartbeat", gcsAddress)).toBeDefined();
  });
});
