/** A process among processes of other nodes: leases there, deaths there. */
import { describe, expect, it } from "vitest";
import { type NodeId, workerIdOf } from "#engine/common/ids.ts";
import { CoreWorkerHarness } from "./core-worker-harness.ts";
import { nodeId, worker } from "./raylet-harness.ts";

const other = "f".repeat(32) as NodeId;
const far = workerIdOf(other, 4);
const farther = workerIdOf(other, 5);

function spilled(h: CoreWorkerHarness): number {
  const { leaseId } = h.out.last("requestWorkerLease");
  h.handle({ type: "leaseSpilled", from: nodeId, leaseId, nodeId: other });
  return h.out.last("requestWorkerLease").leaseId;
}

function nodeDied(h: CoreWorkerHarness): void {
  h.handle({ type: "nodeDied", from: nodeId, nodeId: other, reason: "no light" });
}

describe("leases on other nodes", () => {
  it("asks the other raylet under a new id, and gives the lease back there", () => {
    const h = new CoreWorkerHarness();
    h.submit();
    const first = h.out.last("requestWorkerLease");
    expect(first.noSpill).toBe(false);
    const leaseId = spilled(h);
    expect(leaseId).not.toBe(first.leaseId);
    expect(h.out.sent.at(-1)).toMatchObject({ to: other, message: { noSpill: true } });
    // The answer again, late: it is over.
    h.handle({ type: "leaseSpilled", from: nodeId, leaseId: first.leaseId, nodeId: other });
    expect(h.out.all("requestWorkerLease")).toHaveLength(2);
    h.grant(far, leaseId);
    expect(h.out.last("watchWorker").workerId).toBe(far);
    h.reply(1);
    h.nowMs = h.core.nextDeadlineMs();
    h.handle({ type: "deadline" });
    expect(h.out.sent.at(-1)).toMatchObject({ to: other, message: { type: "releaseLease" } });
    expect(h.core.submitter.leaseCount).toBe(0);
  });

  it("pushes one task at a time there, however short they are, when none may run again", () => {
    const h = new CoreWorkerHarness({ config: { pendingLeaseRequestsMax: 1 } });
    for (let i = 0; i < 5; i++) h.submit();
    h.grant(far, spilled(h));
    h.reply(1, { durationMs: 0.01 });
    expect(h.out.all("pushTask")).toHaveLength(2);
  });

  it("pushes ahead there what may run again, up to one that may not", () => {
    const h = new CoreWorkerHarness({ config: { pendingLeaseRequestsMax: 1 } });
    h.submitRetriable({ maxRetries: 0 });
    const ahead = [h.submitRetriable({ maxRetries: 1 }), h.submitRetriable({ maxRetries: 1 })];
    const last = h.submitRetriable({ maxRetries: 0 });
    h.grant(far, spilled(h));
    h.reply(1, { durationMs: 0.01 });
    expect(
      h.out
        .all("pushTask")
        .slice(1)
        .map(({ serial }) => serial),
    ).toEqual(ahead.map(({ serial }) => serial));
    nodeDied(h);
    // Whether they had started there nobody knows; the last one was not sent.
    expect([...ahead, last].map(({ attempt }) => attempt)).toEqual([1, 1, 0]);
    expect(h.core.tasks.unfinishedCount).toBe(3);
  });

  it("fails what ran on a node that died, and asks anew for what was wanted of it", () => {
    const h = new CoreWorkerHarness({ config: { pendingLeaseRequestsMax: 2 } });
    const [running, waiting] = [h.submit(), h.submit()];
    const asked = h.out.all("requestWorkerLease").map(({ leaseId }) => leaseId);
    for (const leaseId of asked) {
      h.handle({ type: "leaseSpilled", from: nodeId, leaseId, nodeId: other });
    }
    const [granted] = h.out.all("requestWorkerLease").slice(2);
    h.grant(far, granted?.leaseId);
    h.out.clear();
    nodeDied(h);
    expect(running.outcome).toMatchObject({ error: { type: "NODE_DIED" } });
    expect(waiting.state).toBe("PENDING");
    const again = h.out.sent.filter(({ message }) => message.type === "requestWorkerLease");
    expect(again.length).toBeGreaterThan(0);
    expect(again.every(({ to }) => to === nodeId)).toBe(true);
    h.grant(worker(1));
    h.reply(7);
    expect(waiting.outcome).toBe(7);
  });
});

describe("processes of a node that died", () => {
  it("fails what they owned, drops what they held, and takes nothing from them any more", () => {
    const h = new CoreWorkerHarness();
    const borrowed = h.adopt(far, { serial: 3, index: 1 });
    h.get(borrowed);
    const own = h.put(5);
    h.core.references.name(own);
    const object = { serial: own.serial, index: own.index };
    h.handle({ type: "subscribeObject", from: farther, object });
    expect(own.holders?.size).toBe(1);
    nodeDied(h);
    nodeDied(h);
    expect(borrowed.outcome).toMatchObject({ error: { type: "OWNER_DIED" } });
    expect(own.holders?.size).toBe(0);
    h.handle({ type: "subscribeObject", from: farther, object });
    expect(own.holders?.size).toBe(0);
    const late = h.adopt(farther, { serial: 9, index: 1 });
    expect(late.outcome).toMatchObject({ error: { type: "OWNER_DIED" } });
  });

  it("watches who pushes tasks from afar, and tells no dead owner of their end", () => {
    const h = new CoreWorkerHarness({ self: worker(1) });
    h.push(far);
    expect(h.out.last("watchWorker").workerId).toBe(far);
    const [run] = h.instructions("runTask");
    nodeDied(h);
    h.out.clear();
    if (run === undefined) throw new Error("nothing runs");
    h.handle({ type: "taskFinished", task: run.task, durationMs: 1, outcome: 1, outcomes: null });
    expect(h.out.all("taskReply")).toEqual([]);
    h.push(worker(2), { seq: 1 });
    expect(h.out.all("watchWorker")).toEqual([]);
  });
});
