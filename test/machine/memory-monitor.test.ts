/** Which threads a node ends when it runs out of memory, and what those hear who had work there. */
import { describe, expect, it } from "vitest";
import type { WorkerId } from "#engine/common/ids.ts";
import { actor, actorSpec, driver, nodeId, RayletHarness, worker } from "./raylet-harness.ts";

const limitBytes = 1_000;

/** Threshold 0.95, reserve 50: what is left must be at most 900. */
function sample(
  h: RayletHarness,
  usedBytes: number,
  sizes: Readonly<Record<number, number>> = {},
): void {
  const workerBytes = new Map<WorkerId, number>();
  for (const [counter, bytes] of Object.entries(sizes)) {
    workerBytes.set(worker(Number(counter)), bytes);
  }
  h.handle({ type: "memorySampled", usedBytes, limitBytes, workerBytes });
}

function harness(threads: number): RayletHarness {
  const h = new RayletHarness({ totals: { CPU: threads }, prestartCount: threads });
  return h.withWorkers(threads);
}

describe("memorySampled", () => {
  it("is nothing below the threshold", () => {
    const h = harness(1);
    sample(h, 949, { 1: 500 });
    expect(h.stopped()).toEqual([]);
  });

  it("ends idle threads first, the largest before others, as many as make room", () => {
    const h = harness(4);
    h.request(1);
    sample(h, 1_000, { 1: 900, 2: 10, 3: 80, 4: 50 });
    expect(h.stopped()).toEqual([worker(3), worker(4)]);
  });

  it("then work that may run again, the latest first, and only then other work", () => {
    const h = harness(3);
    h.request(1, { isRetriable: true });
    h.request(2, { isRetriable: true });
    h.request(3, { isRetriable: false });
    sample(h, 1_000, { 1: 60, 2: 60, 3: 900 });
    expect(h.stopped()).toEqual([worker(2), worker(1)]);
  });

  it("counts an actor as work that may not run again", () => {
    const h = harness(2);
    h.handle({
      type: "createActor",
      from: "gcs" as never,
      incarnation: 0,
      spec: actorSpec(actor(1)),
    });
    h.request(1);
    sample(h, 1_000, { 1: 500, 2: 200 });
    expect(h.stopped()).toEqual([worker(2)]);
  });

  it("ends one at a time where sizes are not known, and waits until it has gone", () => {
    const h = harness(2);
    sample(h, 1_000);
    sample(h, 1_000);
    expect(h.stopped()).toHaveLength(1);
    h.exit(1, { type: "stopped" });
    sample(h, 1_000);
    expect(h.stopped()).toEqual([worker(1), worker(2)]);
  });

  it("tells those who had work there that memory was short", () => {
    const h = harness(1);
    h.request(7, { taskName: "sum" });
    sample(h, 990, { 1: 300 });
    h.exit(1, { type: "stopped" });
    const { leaseId, error } = h.out.last("leaseRevoked", driver);
    expect(leaseId).toBe(7);
    expect(error).toMatchObject({ type: "OUT_OF_MEMORY", detail: "" });
    expect(error.message).toBe(
      `worker thread ${worker(1)} was ended: the node used 990 of 1000 bytes of memory, more ` +
        "than 95 % (systemConfig.memoryUsageThreshold), and it, which held 300 bytes, had task sum",
    );
    expect(h.out.last("workerDied", driver).from).toBe(nodeId);
  });
});
