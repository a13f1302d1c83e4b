import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { GcsHarness } from "./gcs-harness.ts";
import { driver, nodeId, worker } from "./raylet-harness.ts";

describe("Gcs", () => {
  it("keeps one row a node", () => {
    const h = new GcsHarness({ hasNode: false });
    h.join();
    h.join();
    expect(h.gcs.counts.nodes).toBe(1);
    expect(h.out.sent).toEqual([]);
  });

  it("wants no deadline and ignores what does not concern it", () => {
    const h = new GcsHarness();
    h.handle({ type: "deadline" });
    h.handle({ type: "writable", peer: nodeId });
    expect(h.out.sent).toEqual([]);
    expect(h.gcs.nextDeadlineMs()).toBe(Infinity);
  });

  it("accepts nothing from a process that ended", () => {
    const h = new GcsHarness();
    h.workerDied(worker(1));
    h.register(1, {}, worker(1));
    h.subscribe(1, worker(1));
    expect(h.out.sent).toEqual([]);
    expect(h.gcs.counts.liveActors).toBe(0);
  });

  it("keeps its tables in order under any sequence of messages", () => {
    const serial = fc.integer({ min: 1, max: 8 });
    const process = fc.integer({ min: 1, max: 4 });
    const kind = fc.constantFrom(
      ...(["register", "start", "subscribe", "created", "pending", "died", "kill"] as const),
      ...(["register", "start", "failed", "abandon", "ownerDied", "byName"] as const),
    );
    const step = fc.record({ kind, serial, process, flag: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), fc.boolean(), (steps, hasNode) => {
        const h = new GcsHarness({ deadActorsMax: 3, hasNode });
        for (const it of steps) apply(h, it);
        h.join();
        checkSubscribers(h);
      }),
      { numRuns: 150 },
    );
  });
});

interface Step {
  readonly kind: string;
  readonly serial: number;
  readonly process: number;
  readonly flag: boolean;
}

function apply(h: GcsHarness, { kind, serial, process, flag }: Step): void {
  const failure = {
    error: { type: "TASK_ERROR", message: "m", subject: "", detail: "" },
    cause: null,
  } as const;
  const name = serial % 3 === 0 ? "" : `name ${serial % 2}`;
  switch (kind) {
    case "register":
      return h.register(serial, { name, getIfExists: flag, detached: !flag }, worker(process));
    case "start":
      return h.start(serial);
    case "subscribe":
      return h.subscribe(serial, worker(process));
    case "created":
      return h.created(serial, worker(process));
    case "failed":
      return h.created(serial, null, failure);
    case "pending":
      return h.pending(serial, `reason ${process}`, flag ? 0 : 1);
    case "died":
      return h.workerOfActorDied(serial, "ended", flag ? 0 : 1);
    case "kill":
      return h.kill(serial, process);
    case "abandon": {
      const actorId = h.out.all("actorRegistered").at(-1)?.actorId;
      if (actorId === undefined) return;
      return h.handle({ type: "abandonActor", from: driver, actorId, error: failure });
    }
    case "ownerDied":
      return h.workerDied(worker(process));
    default:
      h.byName(name);
  }
}

/** Versions rise, but for an actor that was given up and then came after all. */
function checkSubscribers(h: GcsHarness): void {
  const last = new Map<string, number>();
  for (const { to, message } of h.out.sent) {
    if (message.type !== "actorState") continue;
    const key = `${to} ${message.actorId}`;
    const version = last.get(key) ?? -1;
    expect(message.version).toBeGreaterThanOrEqual(message.death === null ? version : 0);
    expect(message.state === "DEAD").toBe(message.death !== null);
    expect(message.state === "ALIVE").toBe(message.workerId !== null);
    last.set(key, message.version);
  }
}
