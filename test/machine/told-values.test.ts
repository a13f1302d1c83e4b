/** Values of refs inside of arguments that go with the push: whose, which, and for how long. */
import { describe, expect, it } from "vitest";
import { engineError } from "#engine/common/error-type.ts";
import { workerIdOf } from "#engine/common/ids.ts";
import type { ObjectEntry } from "#engine/core-worker/object-entry.ts";
import { FailedValue, InlineValue, type Outcome, StoredValue } from "#engine/protocol/outcome.ts";
import { managedSegment } from "#engine/protocol/arena.ts";
import { CoreWorkerHarness, inline, refTo, template } from "./core-worker-harness.ts";
import { HoldHarness, owner, refOf } from "./hold-harness.ts";
import { nodeId, otherNodeId, worker } from "./raylet-harness.ts";

const executor = worker(1);
const far = workerIdOf(otherNodeId, 4);
const stored = (n = 0): StoredValue => new StoredValue(0, n * 256, 200, []);
const bytesOf = (length: number): InlineValue =>
  new InlineValue(new Uint8Array(length), 0, length, []);

/** An owner with one lease, on which each task is pushed at once. */
class Owner extends CoreWorkerHarness {
  /** What went with the push of a task whose arguments name the entries inside. */
  told(entries: readonly ObjectEntry[], to = executor): readonly Outcome[] {
    const { serial } = this.submit(entries, { nested: true });
    if (this.out.all("pushTask").length === 0) this.grant(to);
    const push = this.out.last("pushTask");
    expect(push.serial).toBe(serial);
    return push.values ?? [];
  }

  storeIsFull(): void {
    this.handle({ type: "offerObjects", from: nodeId, bytes: 1 });
  }

  offered(bytes = 1_000_000): number {
    this.out.clear();
    this.handle({ type: "offerObjects", from: nodeId, bytes });
    return this.out.last("objectsOffered").objects.length;
  }
}

describe("the owner of what arguments only name", () => {
  it("tells small values, and where large ones of its node lie", () => {
    const h = new Owner();
    const [small, large, text] = [h.put(7), h.put(stored()), h.put(bytesOf(1_000))];
    const told = h.told([small, large, text]);
    expect(told).toEqual([7, large.outcome, text.outcome]);
  });

  it("tells another node no places", () => {
    const h = new Owner();
    expect(h.told([h.put(7), h.put(stored())], far)).toEqual([7, undefined]);
  });

  it("tells nothing that is not there, has failed, is not its own, or names others in turn", () => {
    const h = new Owner();
    const pending = h.task([], { shape: template(2) });
    h.handle({ type: "submitTask", task: pending });
    // As of one that is made anew, while its first value is lost.
    pending.outcome = 6;
    const failed = h.put(new FailedValue(engineError("OBJECT_LOST", "gone"), null));
    failed.state = "FAILED";
    const borrowed = h.adopt(worker(5), { serial: 1, index: 0 });
    expect(h.get(borrowed).settled).toBe(false);
    const state = { type: "objectState", from: borrowed.owner, object: borrowed } as const;
    h.handle({ ...state, outcome: 7, holds: null });
    expect(borrowed.state).toBe("AVAILABLE");
    const naming = h.put(h.naming(h.put(1)));
    const told = h.told([pending, failed, borrowed, naming, h.put(8)]);
    expect(told).toEqual([undefined, undefined, undefined, undefined, 8]);
  });

  it("tells no more than a few, and no more bytes than may be inside of a message", () => {
    const h = new Owner({ config: { inlineBytesMax: 1_000 } });
    const many = Array.from({ length: 20 }, (_, i) => h.put(i));
    expect(h.told(many).filter((value) => value !== undefined)).toHaveLength(8);
    h.reply(1);
    const [first, second, third] = [h.put(bytesOf(600)), h.put(bytesOf(600)), h.put(bytesOf(300))];
    expect(h.told([first, second, third])).toEqual([first.outcome, undefined, third.outcome]);
  });

  it("tells bytes to nobody who holds the object, for it asks once only", () => {
    const h = new Owner();
    const value = h.put(bytesOf(100));
    expect(h.told([value])).toEqual([value.outcome]);
    const { serial, index } = value;
    h.reply(1, { keptRefs: [{ serial, index }] });
    expect(h.told([value])).toEqual([undefined]);
  });

  it("keeps a place that was told until the reply, and then asks who goes on using it", () => {
    const h = new Owner();
    const value = h.put(stored());
    h.told([value]);
    const push = h.out.last("pushTask");
    expect(h.offered()).toBe(0);
    const { serial, index } = value;
    h.reply(1, { to: push, by: executor, keptRefs: [{ serial, index }] });
    // Not at once: whoever was told the place is asked first.
    expect(h.offered()).toBe(0);
    expect(h.out.last("objectsOffered").told).toMatchObject([{ serial, index }]);
  });

  it("offers what it has only named to a task that runs", () => {
    const h = new Owner();
    const values = Array.from({ length: 9 }, (_, i) => h.put(stored(i)));
    h.told(values);
    expect(h.offered()).toBe(1);
  });

  it("tells no places while the store is too full, and again some time after", () => {
    const h = new Owner();
    h.storeIsFull();
    const [small, large] = [h.put(7), h.put(stored())];
    expect(h.told([small, large])).toEqual([7, undefined]);
    h.reply(1);
    h.nowMs = 10_000;
    expect(h.told([small, large])).toEqual([7, large.outcome]);
  });

  it("tells no places to a task that will stand in line for another argument", () => {
    const h = new Owner();
    const managed = h.put(new StoredValue(managedSegment, 0, 200, [], nodeId));
    const [small, large] = [h.put(7), h.put(stored())];
    for (const entry of [small, large]) h.core.references.name(entry);
    const task = h.task([managed, small, large]);
    task.args = inline(refTo(managed, true), refTo(small), refTo(large));
    h.handle({ type: "submitTask", task });
    h.grant(executor);
    expect(h.out.last("pushTask").values).toEqual([managed.outcome, 7, undefined]);
    expect(h.offered()).toBe(1);
  });
});

describe("who runs a task that came with values", () => {
  const args = inline(refOf(1), refOf(2));

  it("gets them without a message, and forgets what it does not use on", () => {
    const h = new HoldHarness();
    const values = [7, stored()];
    const task = h.push(owner, { args, values });
    h.out.clear();
    const refs = [h.borrow(1), h.borrow(2)];
    expect(h.get(...refs).settled).toBe(true);
    expect(refs.map(({ outcome }) => outcome)).toEqual(values);
    expect(h.out.sent).toEqual([]);
    h.drop(...refs);
    h.finish(task);
    expect(h.out.last("taskReply", owner).keptRefs).toBeNull();
    expect(h.core.references.registeredCount).toBe(0);
  });

  it("knows them for as long as it runs, though nothing names them at that moment", () => {
    const h = new HoldHarness();
    h.push(owner, { args, values: [7, undefined] });
    h.drop(h.borrow(1));
    expect(h.get(h.borrow(1)).settled).toBe(true);
    expect(h.get(h.borrow(2)).settled).toBe(false);
    expect(h.out.all("subscribeObject", owner).map(({ object }) => object.serial)).toEqual([2]);
  });

  it("names what it uses on in the reply, and has it still", () => {
    const h = new HoldHarness();
    const task = h.push(owner, { args, values: [7, stored()] });
    const kept = h.borrow(2);
    h.finish(task);
    expect(h.out.last("taskReply", owner).keptRefs).toEqual([{ serial: 2, index: 0 }]);
    expect(h.get(kept).settled).toBe(true);
    h.drop(kept);
    expect(h.out.last("releaseHolds", owner).objects).toEqual([{ serial: 2, index: 0 }]);
  });

  it("wakes those who wait for one already; what its owner answers later changes nothing", () => {
    const h = new HoldHarness();
    const task = h.push(owner, { args });
    const ref = h.borrow(1);
    const request = h.get(ref);
    expect(request.settled).toBe(false);
    h.push(owner, { stream: 2, args: inline(refOf(1)), values: [7] });
    expect(h.out.all("takenBack", owner)).toEqual([]);
    expect(request.settled).toBe(true);
    const object = { serial: 1, index: 0 };
    h.handle({ type: "objectState", from: owner, object, outcome: 7, holds: null });
    expect(ref.outcome).toBe(7);
    h.drop(ref);
    h.finish(task);
    expect(h.core.references.registeredCount).toBe(1);
  });

  it("keeps bytes of its own: those of the message are lent", () => {
    const h = new HoldHarness();
    const bytes = new Uint8Array([1, 2, 3]);
    h.push(owner, { args, values: [new InlineValue(bytes, 0, 3, []), undefined] });
    bytes.fill(9);
    const { outcome } = h.borrow(1);
    if (!(outcome instanceof InlineValue)) throw new Error("the value was not told");
    expect([...outcome.bytes.slice(outcome.start, outcome.start + 3)]).toEqual([1, 2, 3]);
  });

  it("takes nothing from who does not own it", () => {
    const h = new HoldHarness();
    h.push(worker(6), { args, values: [7, 8] });
    expect(h.borrow(1).state).toBe("PENDING");
  });

  it("forgets what came with a task that was cancelled", () => {
    const h = new HoldHarness();
    const task = h.push(owner, { args, values: [7, stored()] });
    h.handle({
      type: "cancelTask",
      from: owner,
      stream: 1,
      seq: 0,
      force: false,
      recursive: false,
    });
    h.finish(task);
    expect(h.core.references.registeredCount).toBe(0);
  });
});
