/** Holds for a third process: asked for before a ref is sent on, confirmed, given up, inherited. */
import { describe, expect, it } from "vitest";
import { engineError } from "#engine/common/error-type.ts";
import { gcsAddress } from "#engine/common/ids.ts";
import { CoreWorkerHarness, crashed, inline } from "./core-worker-harness.ts";
import {
  heldOf,
  HoldHarness,
  nameOf,
  other,
  owner,
  receiver,
  refOf,
  self,
} from "./hold-harness.ts";
import { actor, driver } from "./raylet-harness.ts";

describe("a borrowed ref that is sent to an actor", () => {
  it("waits for the hold of the actor's worker, and calls behind it wait too", () => {
    const h = new HoldHarness();
    const client = h.actor();
    const borrowed = [h.borrow(1), h.borrow(2)];
    const first = h.call(client, borrowed);
    const second = h.call(client, []);
    expect(h.out.all("createHolds", owner).map(({ holds }) => holds)).toEqual([
      [
        { serial: 1, index: 0, hold: 1, holder: receiver },
        { serial: 2, index: 0, hold: 2, holder: receiver },
      ],
    ]);
    expect(h.out.all("pushTask")).toEqual([]);
    h.answer();
    const pushes = h.out.all("pushTask", receiver);
    expect(pushes.map(({ serial }) => serial)).toEqual([first.serial, second.serial]);
    expect(pushes.map(({ holds }) => holds)).toEqual([[heldOf(1, 1), heldOf(2, 2)], null]);
    h.reply(1, { to: pushes[0] as never });
    h.reply(1, { to: pushes[1] as never });
    h.drop(...borrowed, first, second);
    expect(h.core.references.registeredCount).toBe(0);
  });

  it("asks for calls behind the first before that has its answer", () => {
    const h = new HoldHarness();
    const client = h.actor();
    h.call(client, [h.borrow(1)]);
    h.call(client, [h.borrow(2)]);
    expect(h.out.all("createHolds", owner)).toHaveLength(2);
    h.handle({ type: "holdsCreated", from: owner, created: [2], gone: [] });
    expect(h.out.all("pushTask")).toEqual([]);
    h.handle({ type: "holdsCreated", from: owner, created: [1], gone: [] });
    expect(h.out.all("pushTask").map(({ holds }) => holds?.length)).toEqual([1, 1]);
  });

  it("asks when the actor lives, and for refs inside of a value once that is there", () => {
    const h = new HoldHarness();
    const client = h.core.actors.clientOf(actor(9), "Keeper", false);
    h.call(client, [h.borrow(1)]);
    const outer = h.submit();
    h.call(client, [outer], false);
    expect(h.out.all("createHolds")).toEqual([]);
    h.actor();
    expect(h.out.all("createHolds", owner)).toHaveLength(1);
    h.grant(other);
    h.reply(inline(refOf(5)), { holds: [heldOf(5, 70)] });
    const asked = h.out.all("createHolds", owner).flatMap(({ holds }) => holds);
    expect(asked.map(({ serial, holder }) => [serial, holder])).toEqual([
      [1, receiver],
      [5, receiver],
    ]);
  });

  it("needs no question when it goes to its owner, or is our own", () => {
    const h = new HoldHarness();
    const client = h.actor(owner);
    h.call(client, [h.borrow(1), h.put()]);
    expect(h.out.all("createHolds")).toEqual([]);
    expect(h.out.last("pushTask", owner).holds).toBeNull();
  });

  it("goes without a hold when the object is gone, or its owner dead", () => {
    const h = new HoldHarness();
    const client = h.actor();
    h.call(client, [h.borrow(1), h.borrow(2)]);
    h.answer([1]);
    expect(h.out.last("pushTask", receiver).holds).toEqual([heldOf(2, 2)]);
    h.call(client, [h.borrow(3)]);
    h.out.clear();
    h.died(owner);
    expect(h.out.last("pushTask", receiver).holds).toBeNull();
    h.call(client, [h.borrow(4)]);
    expect(h.out.all("createHolds")).toEqual([]);
    expect(h.out.all("pushTask")).toHaveLength(2);
  });

  it("gives up what was made for a call that is never sent", () => {
    const h = new HoldHarness();
    const client = h.actor();
    const borrowed = h.borrow(1);
    const task = h.call(client, [borrowed]);
    const death = { error: engineError("ACTOR_DIED", "it was killed"), cause: null };
    h.handle({
      type: "actorState",
      from: gcsAddress,
      actorId: client.actorId,
      version: 2,
      state: "DEAD",
      incarnation: 0,
      workerId: null,
      death,
      pendingReason: "",
      infeasible: false,
    });
    expect(task.state).toBe("FAILED");
    h.drop(borrowed);
    expect(borrowed.state).toBe("PENDING");
    h.answer();
    expect(h.out.last("abandonHolds", owner).holds).toEqual([1]);
    expect(borrowed.state).toBe("FREED");
    expect(h.out.all("pushTask")).toEqual([]);
  });
});

describe("a call with a borrowed ref that is cancelled", () => {
  const cancel = { type: "cancelCall", requestId: 1, force: false, recursive: true } as const;

  it("gives up what was asked for it while it waits", () => {
    const h = new HoldHarness();
    const client = h.actor();
    const [first, second] = [h.call(client, [h.borrow(1)]), h.call(client, [h.borrow(2)])];
    h.handle({ type: "holdsCreated", from: owner, created: [2], gone: [] });
    h.handle({ ...cancel, entry: second });
    expect(h.out.last("abandonHolds", owner).holds).toEqual([2]);
    h.handle({ ...cancel, entry: first });
    h.handle({ type: "holdsCreated", from: owner, created: [1], gone: [] });
    expect(h.out.last("abandonHolds", owner).holds).toEqual([1]);
    expect(h.out.all("pushTask")).toEqual([]);
  });

  it("gives up what went with it when its frame is taken back, and only then", () => {
    const h = new HoldHarness();
    const client = h.actor();
    const [seen, unseen] = [h.call(client, [h.borrow(1)]), h.call(client, [h.borrow(2)])];
    h.answer();
    expect(h.out.all("pushTask")).toHaveLength(2);
    h.out.startedFrames.add(1);
    h.handle({ ...cancel, entry: unseen });
    expect(h.out.last("abandonHolds", owner).holds).toEqual([2]);
    h.out.clear();
    h.handle({ ...cancel, entry: seen });
    expect(h.out.all("abandonHolds")).toEqual([]);
  });
});

describe("a borrowed ref in a result", () => {
  it("holds the reply back until it is held for the receiver, not the next task", () => {
    const h = new HoldHarness();
    const task = h.push(driver);
    const borrowed = h.borrow(1);
    h.finish(task, h.naming(borrowed));
    h.drop(borrowed);
    expect(h.out.all("taskReply")).toEqual([]);
    expect(borrowed.state).toBe("PENDING");
    expect(h.core.receiver.wantsTask()).toBe(true);
    h.finish(h.push(driver, { seq: 1 }), 2);
    h.answer();
    const reply = h.out.last("taskReply", driver);
    expect([reply.seq, reply.holds]).toEqual([0, [heldOf(1, 1)]]);
    expect(borrowed.state).toBe("FREED");
  });

  it("keeps what else the reply names until it goes", () => {
    const h = new HoldHarness();
    const own = h.put();
    const ofReceiver = h.adopt(driver, { serial: 8, index: 0 });
    h.handle({
      type: "objectState",
      from: driver,
      object: { serial: 8, index: 0 },
      outcome: inline({ type: "ref", owner: driver, serial: 9, index: 0, topLevel: false }),
      holds: null,
    });
    const inner = h.adopt(driver, { serial: 9, index: 0 });
    const task = h.push(driver);
    h.finish(task, h.naming(own, inner, h.borrow(1)));
    h.out.clear();
    h.drop(own, inner, ofReceiver);
    expect(own.state).toBe("AVAILABLE");
    expect(h.out.all("releaseHolds", driver)).toEqual([]);
    h.handle({ type: "holdsCreated", from: owner, created: [1], gone: [] });
    const types = h.out.sent.filter(({ to }) => to === driver).map(({ message }) => message.type);
    expect(types).toEqual(["taskReply", "releaseHolds"]);
    expect(own.state).toBe("AVAILABLE");
  });

  it("gives the hold up when the receiver has died", () => {
    const h = new HoldHarness();
    const task = h.push(other);
    h.finish(task, h.naming(h.borrow(1)));
    h.died(other);
    h.answer();
    expect(h.out.all("taskReply")).toEqual([]);
    expect(h.out.last("abandonHolds", owner).holds).toEqual([1]);
  });

  it("holds back the value of an object for a borrower, who may let go meanwhile", () => {
    const h = new HoldHarness();
    const outer = h.put(h.naming(h.borrow(1)));
    h.core.references.name(outer);
    const object = nameOf(outer);
    h.handle({ type: "subscribeObject", from: receiver, object });
    h.handle({ type: "subscribeObject", from: other, object });
    expect(h.out.all("objectState")).toEqual([]);
    h.handle({ type: "releaseHolds", from: other, objects: [object] });
    h.answer();
    expect(h.out.all("objectState").map(({ holds }) => holds)).toEqual([[heldOf(1, 1)]]);
    expect(h.out.last("abandonHolds", owner).holds).toEqual([2]);
  });
});

describe("the receiver of a held ref", () => {
  it("confirms it before it gives anything back, also what it had already", () => {
    const h = new HoldHarness();
    const task = h.push(driver, { args: inline(refOf(1)), holds: [heldOf(1, 7)] });
    expect(h.out.last("confirmHolds", owner).holds).toEqual([{ maker: driver, hold: 7 }]);
    expect(h.out.all("createHolds")).toEqual([]);
    h.borrow(1);
    h.finish(task);
    h.out.clear();
    h.push(driver, { args: inline(refOf(1)), holds: [heldOf(1, 8)], seq: 1 });
    expect(h.toOwner()).toEqual(["confirmHolds", "releaseHolds"]);
  });

  it("gives back what came in a reply that nobody waits for", () => {
    const h = new HoldHarness();
    h.submit();
    h.grant(other);
    h.reply(1);
    h.out.clear();
    h.reply(inline(refOf(1)), {
      to: { stream: 99, seq: 9 } as never,
      by: other,
      holds: [heldOf(1, 7)],
    });
    expect(h.toOwner()).toEqual(["confirmHolds", "releaseHolds"]);
    expect(h.core.references.registeredCount).toBe(0);
  });

  it("says what it takes nothing more from, and keeps to it", () => {
    const h = new HoldHarness();
    h.handle({ type: "queryHolds", from: owner, maker: other, error: crashed });
    expect(h.out.last("holdsQueried", owner).maker).toBe(other);
    h.push(other, { args: inline(refOf(1)), holds: [heldOf(1, 7)] });
    expect(h.out.all("confirmHolds")).toEqual([]);
    expect(h.instructions("runTask")).toEqual([]);
    h.handle({ type: "queryHolds", from: owner, maker: other, error: crashed });
    expect(h.out.all("holdsQueried", owner)).toHaveLength(2);
    expect(h.instructions("forgetPeer")).toHaveLength(1);
  });
});

describe("the owner", () => {
  function owning() {
    const h = new CoreWorkerHarness({ self: owner });
    const entry = h.put();
    h.core.references.name(entry);
    const create = (hold: number, holder = receiver): void => {
      const holds = [{ ...nameOf(entry), hold, holder }];
      h.handle({ type: "createHolds", from: self, holds });
    };
    return { h, entry, create };
  }

  it("keeps the object for the holder as soon as it has answered", () => {
    const { h, entry, create } = owning();
    create(1);
    expect(h.out.last("holdsCreated", self)).toMatchObject({ created: [1], gone: [] });
    h.drop(entry);
    h.handle({ type: "confirmHolds", from: receiver, holds: [{ maker: self, hold: 1 }] });
    expect(h.core.grants.unconfirmedCount).toBe(0);
    h.died(self);
    expect(h.out.all("queryHolds")).toEqual([]);
    expect(entry.state).toBe("AVAILABLE");
    h.handle({ type: "releaseHolds", from: receiver, objects: [nameOf(entry)] });
    expect(entry.state).toBe("FREED");
  });

  it("makes a repeated hold once, and says which objects are gone", () => {
    const { h, entry, create } = owning();
    create(3);
    create(3);
    expect(h.out.all("holdsCreated").map(({ created }) => created)).toEqual([[3], [3]]);
    h.drop(entry);
    h.handle({ type: "abandonHolds", from: self, holds: [3] });
    expect(entry.state).toBe("FREED");
    create(4);
    expect(h.out.last("holdsCreated")).toMatchObject({ created: [], gone: [4] });
    h.handle({ type: "abandonHolds", from: self, holds: [3, 4] });
    h.handle({ type: "confirmHolds", from: receiver, holds: [{ maker: self, hold: 3 }] });
  });

  it("makes a hold for whoever asks for itself without a word more", () => {
    const { h, entry, create } = owning();
    create(1, self);
    expect(h.core.grants.unconfirmedCount).toBe(0);
    h.drop(entry);
    h.died(self);
    expect(entry.state).toBe("FREED");
  });

  it("asks the holder when the maker has died, and keeps the object until it knows", () => {
    const { h, entry, create } = owning();
    create(1);
    create(2, other);
    h.drop(entry);
    h.died(self);
    expect(h.out.all("queryHolds").map(({ maker }) => maker)).toEqual([self, self]);
    // One had it in time, the other will never get it.
    h.handle({ type: "confirmHolds", from: receiver, holds: [{ maker: self, hold: 1 }] });
    h.handle({ type: "holdsQueried", from: receiver, maker: self });
    expect([...(entry.holders?.keys() ?? [])]).toEqual([receiver, other]);
    h.handle({ type: "holdsQueried", from: other, maker: self });
    expect([...(entry.holders?.keys() ?? [])]).toEqual([receiver]);
    expect(h.core.grants.unconfirmedCount).toBe(0);
  });

  it("drops what was made for a holder that has died, and makes nothing new for it", () => {
    const { h, entry, create } = owning();
    create(1);
    h.drop(entry);
    h.died(receiver);
    expect(entry.state).toBe("FREED");
    const next = h.put();
    h.core.references.name(next);
    const holds = [{ ...nameOf(next), hold: 2, holder: receiver }];
    h.handle({ type: "createHolds", from: self, holds });
    expect(h.out.last("holdsCreated").created).toEqual([2]);
    h.drop(next);
    expect(next.state).toBe("FREED");
    h.died(self);
    expect(h.out.all("queryHolds")).toEqual([]);
  });

  it("keeps one hold apart from another of the same holder", () => {
    const { h, entry, create } = owning();
    h.handle({ type: "subscribeObject", from: receiver, object: nameOf(entry) });
    create(1);
    h.drop(entry);
    h.handle({ type: "releaseHolds", from: receiver, objects: [nameOf(entry)] });
    expect(entry.state).toBe("AVAILABLE");
    h.handle({ type: "abandonHolds", from: self, holds: [1] });
    expect(entry.state).toBe("FREED");
  });
});
