/** How long objects are kept: counts at the owner, holds of borrowers, values that name others. */
import { describe, expect, it } from "vitest";
import type { WorkerId } from "#engine/common/ids.ts";
import { ObjectEntry } from "#engine/core-worker/object-entry.ts";
import { FailedValue, InlineValue, StoredValue } from "#engine/protocol/outcome.ts";
import { CoreWorkerHarness, crashed, inline, refTo } from "./core-worker-harness.ts";
import { actor, actorSpec, driver, worker } from "./raylet-harness.ts";

const other = worker(1);
const third = worker(2);

const nameOf = ({ serial, index }: ObjectEntry) => ({ serial, index });

function holdsOf(h: CoreWorkerHarness, entry: ObjectEntry, holder: WorkerId): number {
  return h.core.references.find(entry.owner, entry)?.holders?.get(holder) ?? 0;
}

describe("owned objects", () => {
  it("frees stored bytes with the last ref, in one message an event", () => {
    const h = new CoreWorkerHarness();
    const a = h.put(new StoredValue(0, 0, 64, []));
    const b = h.put(new StoredValue(0, 64, 64, []));
    h.out.clear();
    h.drop(a, b);
    expect(h.out.all("freeArena").map((m) => m.extents)).toEqual([
      [
        { segment: 0, offset: 0, size: 64 },
        { segment: 0, offset: 64, size: 64 },
      ],
    ]);
  });

  it("keeps what a value names for as long as the value", () => {
    const h = new CoreWorkerHarness();
    const inner = h.put(new StoredValue(0, 0, 64, []));
    const outer = h.put(h.naming(inner));
    h.drop(inner);
    expect(inner.state).toBe("AVAILABLE");
    h.drop(outer);
    expect(inner.state).toBe("FREED");
    expect(h.core.references.registeredCount).toBe(0);
  });

  it("frees a chain of a hundred thousand containers without a stack", () => {
    const h = new CoreWorkerHarness();
    let last = h.put();
    for (let i = 0; i < 100_000; i++) {
      const next = new ObjectEntry(driver, h.core.serials.take(), 0);
      next.outcome = h.naming(last);
      next.state = "AVAILABLE";
      next.localRefs = 1;
      h.core.handle({ type: "putObject", entry: next, place: null }, 0, h.out);
      last.localRefs -= 1;
      last = next;
    }
    h.drop(last);
    expect(h.core.references.registeredCount).toBe(0);
  });

  it("keeps what an error names as long as the error", () => {
    const h = new CoreWorkerHarness();
    const inner = h.put();
    const cause = h.naming(inner);
    const task = h.submit();
    h.grant(other);
    h.reply(new FailedValue(crashed, cause));
    h.drop(inner);
    expect(inner.state).toBe("AVAILABLE");
    h.drop(task);
    expect(inner.state).toBe("FREED");
  });

  it("counts what a result names before it lets the arguments go", () => {
    const h = new CoreWorkerHarness();
    const given = h.put();
    const task = h.submit([given], { nested: true });
    h.grant(other);
    h.drop(given);
    h.reply(inline(refTo(given)));
    expect(given.state).toBe("AVAILABLE");
    h.drop(task);
    expect(given.state).toBe("FREED");
  });

  it("owns the options of functions inside results, whose bytes were lent", () => {
    const h = new CoreWorkerHarness();
    const task = h.submit();
    h.grant(other);
    const bytes = new Uint8Array([7, 7, 7]);
    const options = new InlineValue(bytes, 0, 3, []);
    h.reply(inline({ type: "function", descriptor: actorSpec(actor(1)).descriptor, options }));
    bytes.fill(0);
    const [kept] = task.outcome instanceof InlineValue ? task.outcome.specials : [];
    expect(kept?.type === "function" && [...kept.options.bytes]).toEqual([7, 7, 7]);
  });
});

describe("holds", () => {
  it("counts them, so that a release that crosses a new one takes only its own", () => {
    const h = new CoreWorkerHarness({ self: other });
    const entry = h.put();
    h.core.references.name(entry);
    const object = nameOf(entry);
    // Two results that name it have gone to the driver; it lets go of the first copy.
    h.core.references.exportContained(inline(refTo(entry)), driver);
    h.core.references.exportContained(inline(refTo(entry)), driver);
    h.drop(entry);
    h.handle({ type: "releaseHolds", from: driver, objects: [object] });
    expect(entry.state).toBe("AVAILABLE");
    h.handle({ type: "releaseHolds", from: driver, objects: [object] });
    expect(entry.state).toBe("FREED");
  });

  it("gives back a hold that it has already, and the last with the last count", () => {
    const h = new CoreWorkerHarness();
    const inner = { owner: other, serial: 5, index: 0 };
    const special = { type: "ref", ...inner, topLevel: false } as const;
    const tasks = [h.submit(), h.submit()];
    h.grant(other);
    h.reply(inline(special));
    expect(h.out.all("releaseHolds")).toEqual([]);
    h.reply(inline(special));
    expect(h.out.all("releaseHolds", other)).toHaveLength(1);
    h.drop(...tasks);
    expect(h.out.all("releaseHolds", other)).toHaveLength(2);
    expect(h.core.references.registeredCount).toBe(0);
  });

  it("releases what came inside of a value that nobody wants any more", () => {
    const h = new CoreWorkerHarness();
    const borrowed = h.adopt(other, { serial: 1, index: 1 });
    h.get(borrowed);
    h.drop(borrowed);
    // The request still waits for it; without that it is forgotten, and its value comes too late.
    expect(borrowed.state).toBe("PENDING");
    const [request] = h.core.waitingRequests;
    if (request !== undefined) h.handle({ type: "abandonAwait", request });
    h.handle({ type: "releaseViews", entries: [borrowed] });
    expect(borrowed.state).toBe("FREED");
    const special = { type: "ref", owner: other, serial: 9, index: 0, topLevel: false } as const;
    const { out } = h;
    out.clear();
    const object = { serial: 1, index: 1 };
    h.handle({ type: "objectState", from: other, object, outcome: inline(special), holds: null });
    expect(out.last("releaseHolds", other).objects).toEqual([{ serial: 9, index: 0 }]);
    expect(h.core.references.registeredCount).toBe(0);
  });

  it("asks the owner once, holds it with that, and releases when the last ref goes", () => {
    const h = new CoreWorkerHarness();
    const borrowed = h.adopt(other, { serial: 3, index: 1 });
    h.get(borrowed);
    h.get(borrowed);
    expect(h.out.all("subscribeObject", other)).toHaveLength(1);
    h.handle({
      type: "objectState",
      from: other,
      object: { serial: 3, index: 1 },
      outcome: 4,
      holds: null,
    });
    expect(borrowed.outcome).toBe(4);
    expect(h.instructions("settle")).toHaveLength(2);
    h.drop(borrowed);
    expect(h.out.all("releaseHolds", other)).toHaveLength(1);
  });

  it("says at once that an object is gone that it has freed", () => {
    const h = new CoreWorkerHarness();
    h.handle({ type: "subscribeObject", from: other, object: { serial: 77, index: 0 } });
    expect(h.out.last("objectState", other).outcome).toMatchObject({
      error: { type: "OBJECT_LOST" },
    });
  });

  it("tells nobody who has let go before the value came", () => {
    const h = new CoreWorkerHarness();
    const task = h.submit();
    h.core.references.name(task);
    const object = nameOf(task);
    h.handle({ type: "subscribeObject", from: third, object });
    h.handle({ type: "releaseHolds", from: third, objects: [object] });
    h.grant(other);
    h.reply(1);
    expect(h.out.all("objectState")).toEqual([]);
  });
});

describe("the death of a process", () => {
  it("ends what it owned, also for whoever hears of an object of it later", () => {
    const h = new CoreWorkerHarness();
    const borrowed = h.adopt(other, { serial: 3, index: 1 });
    const request = h.get(borrowed);
    h.died(other);
    expect(request.settled).toBe(true);
    expect(borrowed.outcome).toMatchObject({ error: { type: "OWNER_DIED" } });
    const late = h.adopt(other, { serial: 4, index: 1 });
    expect(late.outcome).toMatchObject({ error: { type: "OWNER_DIED" } });
    h.drop(borrowed, late);
    expect(h.out.all("releaseHolds")).toEqual([]);
    expect(h.core.references.registeredCount).toBe(0);
  });

  it("drops its holds, and takes no new ones for it", () => {
    const h = new CoreWorkerHarness();
    const entry = h.put();
    h.core.references.name(entry);
    h.core.references.addHolder(nameOf(entry), other);
    h.core.references.addHolder(nameOf(entry), other);
    h.drop(entry);
    h.died(other);
    expect(entry.state).toBe("FREED");
    const kept = h.put();
    h.core.references.name(kept);
    h.core.references.addHolder(nameOf(kept), other);
    expect(holdsOf(h, kept, other)).toBe(0);
  });

  it("fences it: what is still under way from it changes nothing", () => {
    const h = new CoreWorkerHarness();
    h.died(other);
    h.push(other);
    h.handle({ type: "subscribeObject", from: other, object: { serial: 1, index: 0 } });
    h.handle({
      type: "objectState",
      from: other,
      object: { serial: 1, index: 0 },
      outcome: 1,
      holds: null,
    });
    expect(h.out.sent).toEqual([]);
    expect(h.instructions("runTask")).toEqual([]);
    h.died(other);
    expect(h.instructions("forgetPeer")).toHaveLength(1);
  });

  it("frees what a dead executor had stored for a reply that comes too late", () => {
    const h = new CoreWorkerHarness();
    h.submit();
    h.grant(other);
    const to = h.out.last("pushTask");
    h.died(other);
    h.reply(new StoredValue(0, 0, 64, []), { to });
    expect(h.out.all("freeArena")).toHaveLength(1);
  });

  it("asks the raylet once about each owner that it waits for", () => {
    const h = new CoreWorkerHarness();
    h.get(h.adopt(other, { serial: 1, index: 0 }));
    h.get(h.adopt(other, { serial: 2, index: 0 }));
    h.get(h.adopt(third, { serial: 1, index: 0 }));
    expect(h.out.all("watchWorker").map((m) => m.workerId)).toEqual([other, third]);
  });
});

describe("values that calls wait for", () => {
  it("keeps them until the caller has read them, whatever becomes of the refs", () => {
    const h = new CoreWorkerHarness();
    const first = h.submit();
    const second = h.submit();
    h.get(first, second);
    h.drop(first, second);
    h.grant(other);
    const [push] = h.out.all("pushTask");
    h.reply(5, { to: push as never });
    expect(first.outcome).toBe(5);
    h.reply(6);
    expect([first.state, second.state]).toEqual(["AVAILABLE", "AVAILABLE"]);
    const [release] = h.instructions("releaseLater");
    h.handle({ type: "releaseViews", entries: release?.entries ?? [] });
    expect([first.state, second.state]).toEqual(["FREED", "FREED"]);
  });

  it("needs no further event as long as refs keep them", () => {
    const h = new CoreWorkerHarness();
    const task = h.submit();
    h.get(task);
    h.grant(other);
    h.reply(5);
    expect(h.instructions("releaseLater")).toEqual([]);
    expect(task.uses).toBe(0);
  });
});
