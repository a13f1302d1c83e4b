/** Arguments that the sender of a task holds for its executor, and what of them that keeps. */
import { describe, expect, it } from "vitest";
import { StoredValue } from "#engine/protocol/outcome.ts";
import { inline } from "./core-worker-harness.ts";
import { HoldHarness, owner, refOf, self } from "./hold-harness.ts";
import { actorSpec, actor, driver, nodeId } from "./raylet-harness.ts";

describe("an argument that its sender covers", () => {
  const nested = inline(refOf(1), refOf(2));

  it("is held by the executor from the start, so that its reply need not wait", () => {
    const h = new HoldHarness();
    const task = h.push(driver, { args: nested });
    expect(h.out.last("createHolds", owner).holds.map(({ holder }) => holder)).toEqual([
      self,
      self,
    ]);
    const kept = h.borrow(1);
    h.answer();
    h.finish(task);
    expect(h.out.all("taskReply", driver)).toHaveLength(1);
    expect(h.out.last("releaseHolds", owner).objects).toEqual([{ serial: 2, index: 0 }]);
    h.drop(kept);
    expect(h.out.all("releaseHolds", owner)).toHaveLength(2);
  });

  it("keeps what the reply names of our own until it has come to ourselves", () => {
    const h = new HoldHarness();
    const call = h.submit();
    h.grant(self);
    const { stream, seq } = h.out.last("pushTask", self);
    const task = h.push(self, { stream, seq, args: inline(refOf(1)), values: [undefined] });
    const kept = h.borrow(1);
    const own = h.put();
    h.finish(task, h.naming(own));
    h.drop(own);
    expect(h.out.all("taskReply")).toEqual([]);
    h.answer();
    h.handle(h.out.last("taskReply", self));
    expect(h.core.references.find(self, own)).toBe(own);
    h.drop(call, kept);
    expect(own.state).toBe("FREED");
    expect(h.core.references.registeredCount).toBe(0);
  });

  it("keeps the reply back while a hold that is needed is not there", () => {
    const h = new HoldHarness();
    const task = h.push(driver, { args: nested });
    h.borrow(1);
    h.finish(task);
    expect(h.out.all("taskReply")).toEqual([]);
    h.handle({ type: "holdsCreated", from: owner, created: [2], gone: [] });
    expect(h.out.all("taskReply")).toEqual([]);
    h.handle({ type: "holdsCreated", from: owner, created: [1], gone: [] });
    expect(h.out.all("taskReply", driver)).toHaveLength(1);
  });

  it("does not keep the reply back for what it has let go, nor for the dead", () => {
    const h = new HoldHarness();
    const first = h.push(driver, { args: nested });
    h.drop(h.borrow(1), h.borrow(2));
    h.finish(first);
    expect(h.out.all("taskReply", driver)).toHaveLength(1);
    const second = h.push(driver, { args: nested, seq: 1 });
    h.borrow(1);
    h.finish(second);
    h.died(owner);
    expect(h.out.all("taskReply", driver)).toHaveLength(2);
  });

  it("asks again for itself when what came in time was gone", () => {
    const h = new HoldHarness();
    const task = h.push(driver, { args: nested });
    const kept = h.borrow(1);
    h.answer([1, 2]);
    h.get(kept);
    expect(h.out.all("subscribeObject", owner)).toHaveLength(1);
    h.finish(task);
  });

  it("looks inside values, and at values that are views", () => {
    const h = new HoldHarness();
    const args = inline(refOf(1, true), refOf(2, true));
    const values = [new StoredValue(0, 0, 64, []), inline(refOf(3))];
    h.push(driver, { args, values });
    const asked = h.out.last("createHolds", owner).holds.map(({ serial }) => serial);
    expect(asked).toEqual([1, 3]);
  });

  it("is held by an actor before its creator may let go", () => {
    const h = new HoldHarness();
    const spec = { ...actorSpec(actor(5)), args: nested };
    h.handle({ type: "constructActor", from: nodeId, incarnation: 0, gpuIds: [], spec });
    const [run] = h.instructions("runConstructor");
    if (run === undefined) throw new Error("no constructor was started");
    h.borrow(1);
    const event = { type: "constructorFinished", failure: null, maxConcurrency: 1 } as const;
    h.handle({ ...event, actor: run.actor });
    expect(h.out.all("actorConstructed")).toEqual([]);
    h.answer();
    expect(h.out.all("actorConstructed", nodeId)).toHaveLength(1);
    expect(h.out.all("releaseHolds", owner)).toEqual([]);
    expect(h.core.references.registeredCount).toBe(1);
  });
});
