/** A thread that is ended for one of its tasks: what its raylet does, and tells whom. */
import { describe, expect, it } from "vitest";
import { driver, nodeId, RayletHarness, worker } from "./raylet-harness.ts";

const reason = "cancelled by force: task work (1)";

function stop(h: RayletHarness, leaseId: number, from = driver): void {
  h.handle({ type: "stopLeasedWorker", from, leaseId, reason });
}

describe("stopLeasedWorker", () => {
  it("ends the thread once, and revokes all leases on it with that as the cause", () => {
    const h = new RayletHarness({ totals: { CPU: 1 }, prestartCount: 1 }).withWorkers(1);
    h.request(1);
    h.block(worker(1), 1, 1);
    h.request(2, { from: worker(1) });
    expect(h.out.last("leaseGranted", worker(1)).workerId).toBe(worker(1));
    stop(h, 1);
    stop(h, 1);
    expect(h.stopped()).toEqual([worker(1)]);
    h.exit(1, { type: "stopped" });
    expect(h.out.last("leaseRevoked", driver)).toMatchObject({
      leaseId: 1,
      error: {
        type: "WORKER_CRASHED",
        message: `worker thread ${worker(1)} was ended: ${reason}`,
        detail: "forceCancel",
      },
    });
    expect(h.raylet.counts).toMatchObject({ leases: 0, workers: 0 });
    expect(h.availableCpu()).toBe(1);
    h.request(3);
    h.ready(2);
    expect(h.granted().get(3)).toBe(worker(2));
  });

  it("is nothing for a lease that is unknown, somebody else's, or still waits", () => {
    const h = new RayletHarness({ totals: { CPU: 1 }, prestartCount: 1 }).withWorkers(1);
    h.request(1);
    h.request(2);
    stop(h, 2);
    stop(h, 7);
    stop(h, 1, worker(1));
    expect(h.stopped()).toEqual([]);
  });

  it("a thread that ends by itself meanwhile has its own reason", () => {
    const h = new RayletHarness({ prestartCount: 1 }).withWorkers(1);
    h.request(1);
    stop(h, 1);
    h.exit(1, { type: "exited", code: 3 });
    const { error } = h.out.last("leaseRevoked", driver);
    expect(error.message).toMatch(/process\.exit\(3\)/);
    expect(error.detail).toBe("");
    expect(h.out.last("workerDied", driver).from).toBe(nodeId);
  });
});
