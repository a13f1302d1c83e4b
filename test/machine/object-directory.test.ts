/** Stored objects of several nodes at their owner, their executor and their readers. */
import { describe, expect, test } from "vitest";
import { argumentsIndex, type NodeId, workerIdOf } from "#engine/common/ids.ts";
import type { ObjectEntry } from "#engine/core-worker/object-entry.ts";
import { FailedValue, noSpecials, type Outcome, StoredValue } from "#engine/protocol/outcome.ts";
import { CoreWorkerHarness, crashed, inline, refTo } from "./core-worker-harness.ts";
import { actorSpec, driver, nodeId, otherNodeId, worker } from "./raylet-harness.ts";

const third = "11111111111111111111111111111111" as NodeId;
const far = workerIdOf(otherNodeId, 3);
const size = 4096;
const here = (segment = 0): StoredValue => new StoredValue(segment, 64, size, noSpecials);
const there = (node: NodeId = otherNodeId): StoredValue =>
  new StoredValue(0, 128, size, noSpecials, node);

class Owner extends CoreWorkerHarness {
  /** The result of a task that ran on another node. */
  result(outcome: Outcome = there()): ObjectEntry {
    const task = this.submit();
    this.grant(far);
    this.reply(outcome);
    this.out.clear();
    return task;
  }

  locate(entry: ObjectEntry, from: NodeId = third): void {
    const { serial, index } = entry;
    this.handle({ type: "locateObject", from, object: { serial, index } });
  }

  added(entry: ObjectEntry, from: NodeId, arrival = 1): void {
    this.handle({ type: "copyAdded", from, copy: nameOf(entry), arrival });
  }

  gone(entry: ObjectEntry, node: NodeId, lastArrival = 1, from = third): void {
    const fields = { copy: nameOf(entry), nodeId: node, lastArrival, cause: "evicted" };
    this.handle({ type: "copyGone", from, ...fields });
  }

  kept(): void {
    const { requestId } = this.out.last("objectSealed");
    this.handle({ type: "objectsKept", from: nodeId, requestId });
  }

  local(outcome: Outcome = here(), requestId = this.out.last("pullObject").requestId): void {
    this.handle({ type: "objectLocal", from: nodeId, requestId, outcome });
  }

  nodeDied(node: NodeId): void {
    this.handle({ type: "nodeDied", from: nodeId, nodeId: node, reason: "gone" });
  }
}

function nameOf({ serial, index }: ObjectEntry, version = 0) {
  return { serial, index, version };
}

describe("the owner's directory", () => {
  test("tells a raylet that asked several times of one outcome once", () => {
    const h = new Owner();
    const task = h.submit();
    h.core.references.name(task);
    h.grant(far);
    for (const from of [third, third, otherNodeId, third]) h.locate(task, from);
    h.reply(7);
    const told = h.out.sent.filter(({ message }) => message.type === "objectLocations");
    expect(told.map(({ to }) => to)).toEqual([third, otherNodeId]);
  });

  test("of what lies here nothing is kept, and its bytes go straight back", () => {
    const h = new Owner();
    const entry = h.put(here());
    expect([...h.core.references.directory.all()]).toEqual([]);
    h.drop(entry);
    expect(h.out.last("freeArena").extents).toHaveLength(1);
  });

  test("a result stays where it was made until it is freed there", () => {
    const h = new Owner();
    const entry = h.result();
    h.drop(entry);
    expect(h.out.last("freeObjects", otherNodeId).objects).toEqual([nameOf(entry)]);
    expect(h.out.all("freeArena")).toEqual([]);
  });

  test("what lies here is registered before others are told", () => {
    const h = new Owner();
    const entry = h.put(here());
    h.core.references.name(entry);
    h.locate(entry);
    h.locate(entry, otherNodeId);
    expect(h.out.all("objectLocations")).toEqual([]);
    expect(h.out.all("objectSealed", nodeId)).toHaveLength(1);
    h.kept();
    expect(h.out.last("objectLocations", third).nodes).toEqual([nodeId]);
    expect(h.out.last("objectLocations", otherNodeId).outcome).toMatchObject({
      size,
      node: nodeId,
    });
    h.drop(entry);
    expect(h.out.last("freeObjects", nodeId).objects).toEqual([nameOf(entry)]);
    expect(h.out.all("freeArena")).toEqual([]);
  });

  test("who asks one after another begins at one copy after another", () => {
    const h = new Owner();
    const entry = h.result();
    h.added(entry, third);
    h.added(entry, third);
    const firsts = [1, 2, 3, 4].map(() => {
      h.locate(entry, nodeId);
      return h.out.last("objectLocations").nodes[0];
    });
    expect(firsts).toEqual([third, otherNodeId, third, otherNodeId]);
    h.gone(entry, third);
    h.locate(entry, nodeId);
    expect(h.out.last("objectLocations").nodes).toEqual([otherNodeId]);
  });

  test("late news that a copy is gone says nothing of the one that came there since", () => {
    const h = new Owner();
    const entry = h.result();
    h.added(entry, third, 1);
    h.gone(entry, third, 1);
    h.added(entry, third, 3);
    // Another node had asked there in between.
    h.gone(entry, third, 2, nodeId);
    expect(h.core.references.directory.locationsOf(entry)?.secondaries).toEqual([third]);
    h.nodeDied(otherNodeId);
    h.gone(entry, third, 2, nodeId);
    expect([entry.state, h.out.all("pinCopy", third).length]).toEqual(["AVAILABLE", 1]);
    h.drop(entry);
    expect(h.out.last("freeObjects", third).objects).toEqual([nameOf(entry)]);
  });

  test("a copy of what was freed, or of another version, is dropped", () => {
    const h = new Owner();
    const entry = h.result();
    const other = { ...nameOf(entry), version: 1 };
    h.handle({ type: "copyAdded", from: third, copy: other, arrival: 1 });
    expect(h.out.last("freeObjects", third).objects).toEqual([other]);
    h.drop(entry);
    h.out.clear();
    h.handle({ type: "copyAdded", from: third, copy: nameOf(entry), arrival: 2 });
    expect(h.out.all("freeObjects", third)).toHaveLength(1);
    h.locate(entry);
    expect(h.out.last("objectLocations", third).outcome).toBeInstanceOf(FailedValue);
  });

  test("when the node of the primary dies another copy takes its place", () => {
    const h = new Owner();
    const entry = h.result();
    h.added(entry, third);
    h.nodeDied(otherNodeId);
    const pinned = h.out.last("pinCopy", third);
    expect(pinned.copy).toEqual(nameOf(entry));
    expect(entry.state).toBe("AVAILABLE");
    h.handle({ type: "copyPinned", from: third, copy: pinned.copy, isHere: true });
    expect(entry.state).toBe("AVAILABLE");
    h.handle({ type: "copyPinned", from: third, copy: pinned.copy, isHere: false });
    expect(entry.outcome).toMatchObject({ error: { type: "OBJECT_RECONSTRUCTION_FAILED" } });
  });

  test("the last copy takes the value with it, and says where it was", () => {
    const h = new Owner();
    const entry = h.result();
    const request = h.get(entry);
    h.nodeDied(otherNodeId);
    expect(entry.outcome).toMatchObject({
      error: {
        type: "OBJECT_RECONSTRUCTION_FAILED",
        message: expect.stringContaining(otherNodeId) as string,
      },
    });
    const { requestId } = h.out.last("pullObject");
    h.local(entry.outcome, requestId);
    expect(request.settled).toBe(true);
  });

  test("a raylet that asks too early hears of the outcome", () => {
    const h = new Owner();
    const task = h.submit();
    h.core.references.name(task);
    h.locate(task);
    h.grant(far);
    h.reply(there());
    expect(h.out.last("objectLocations", third).nodes).toEqual([otherNodeId]);
  });

  test("what an executor had stored is given up once its end is known", () => {
    const h = new Owner();
    const task = h.submit();
    const leaseId = h.grant(far);
    h.handle({ type: "leaseRevoked", from: otherNodeId, leaseId, error: crashed });
    expect(task.state).toBe("FAILED");
    expect(h.out.all("freeObjects")).toEqual([]);
    h.died(far);
    expect(h.out.last("freeObjects", otherNodeId).objects).toEqual([nameOf(task)]);
  });

  test("stored arguments have a name until the task ends", () => {
    const h = new Owner();
    const task = h.task();
    task.args = here();
    h.handle({ type: "submitTask", task });
    h.grant(far);
    const name = { serial: task.serial, index: argumentsIndex };
    expect(h.core.references.find(driver, name)).toBeDefined();
    h.reply(1);
    expect(h.core.references.find(driver, name)).toBeUndefined();
    expect(h.out.all("freeArena")).toHaveLength(1);
  });
});

describe("the executor", () => {
  const finish = (h: Owner, outcome: Outcome): void => {
    const task = h.instructions("runTask").at(-1)?.task;
    if (task === undefined) throw new Error("nothing runs");
    const ended = { durationMs: 1, outcome, outcomes: null };
    h.handle({ type: "taskFinished", task, ...ended });
  };

  test("replies once the raylet keeps what it stored for another node", () => {
    const h = new Owner({ self: worker(1) });
    h.push(far);
    finish(h, here());
    expect(h.out.all("taskReply")).toEqual([]);
    const [sealed] = h.out.last("objectSealed", nodeId).objects;
    expect(sealed).toMatchObject({ owner: far, serial: 1, index: 1, version: 0 });
    h.kept();
    expect(h.out.last("taskReply", far).outcome).toBeInstanceOf(StoredValue);
  });

  test("tells no raylet of what it stored for its own node", () => {
    const h = new Owner({ self: worker(1) });
    h.push(driver);
    finish(h, here());
    expect(h.out.all("objectSealed")).toEqual([]);
    expect(h.out.all("taskReply", driver)).toHaveLength(1);
  });

  const args = (): { args: ReturnType<typeof inline>; values: Outcome[] } => {
    const ref = { owner: far, serial: 9, index: 1 } as ObjectEntry;
    return { args: inline(refTo(ref, true)), values: [there()] };
  };

  test("starts a task once its arguments are here; until then it is blocked", () => {
    const h = new Owner({ self: worker(1) });
    expect(h.push(far, args())).toBeUndefined();
    expect(h.out.last("taskBlocked", nodeId).blocked).toBe(true);
    expect(h.core.receiver.wantsTask()).toBe(true);
    h.local(here(3));
    const task = h.instructions("runTask").at(-1)?.task;
    expect(task?.values).toMatchObject([{ segment: 3 }]);
    expect(h.out.last("taskBlocked", nodeId).blocked).toBe(false);
    finish(h, 1);
    h.nowMs = 2000;
    h.handle({ type: "deadline" });
    expect(h.out.all("unpinObjects")).toHaveLength(1);
  });

  test("answers for a task whose argument is lost, or has failed", () => {
    const h = new Owner({ self: worker(1) });
    h.push(far, args());
    const lost = new FailedValue(crashed, null);
    h.local(lost);
    expect(h.out.last("taskReply", far).outcome).toEqual(lost);
    h.push(far, { seq: 1, args: args().args, values: [lost] });
    expect(h.out.all("taskReply", far)).toHaveLength(2);
    expect(h.instructions("runTask")).toEqual([]);
  });

  test("starts the calls of an actor in the order of their caller", () => {
    const h = new Owner({ self: worker(1) });
    const spec = { ...actorSpec(`${far}000000000001` as never), maxConcurrency: 9 };
    h.handle({ type: "constructActor", from: nodeId, incarnation: 0, gpuIds: [], spec });
    const actor = h.instructions("runConstructor").at(-1)?.actor;
    if (actor === undefined) throw new Error("no constructor runs");
    const constructed = { actor, failure: null, maxConcurrency: 9 };
    h.handle({ type: "constructorFinished", ...constructed });
    h.push(far, { ...args(), seq: 0 });
    h.push(far, { seq: 1 });
    h.push(driver, { seq: 0 });
    expect(h.instructions("runTask").map(({ task }) => task.owner)).toEqual([driver]);
    h.local();
    expect(h.instructions("runTask").map(({ task }) => task.seq)).toEqual([0, 0, 1]);
  });

  test("constructs an actor once its arguments are here", () => {
    const h = new Owner({ self: worker(1) });
    const spec = { ...actorSpec(`${far}000000000001` as never), args: there() };
    h.handle({ type: "constructActor", from: nodeId, incarnation: 0, gpuIds: [], spec });
    expect(h.out.last("pullObject").object).toEqual({ serial: 1, index: argumentsIndex });
    expect(h.instructions("runConstructor")).toEqual([]);
    h.local(here(5));
    expect(h.instructions("runConstructor").at(-1)?.actor.spec.args).toMatchObject({ segment: 5 });
  });

  test("tells when an argument of a constructor is lost", () => {
    const h = new Owner({ self: worker(1) });
    const spec = { ...actorSpec(`${far}000000000001` as never), args: there() };
    h.handle({ type: "constructActor", from: nodeId, incarnation: 0, gpuIds: [], spec });
    h.local(new FailedValue(crashed, null));
    const { failure } = h.out.last("actorConstructed", nodeId);
    expect(failure?.error).toMatchObject({ type: "ACTOR_DIED" });
  });
});

describe("a reader", () => {
  test("get and wait have one pull; each time-out cancels its own", () => {
    const h = new Owner();
    const entry = h.result();
    const early = h.wait([entry], 1, true, 10);
    const late = h.get(entry);
    expect(h.out.all("pullObject", nodeId)).toHaveLength(1);
    h.nowMs = 10;
    h.handle({ type: "deadline" });
    expect(early.timedOut).toBe(true);
    expect(h.out.all("unpinObjects")).toEqual([]);
    h.local();
    expect(late.settled && !late.timedOut).toBe(true);
    expect(h.core.copies.readable(entry)).toMatchObject({ offset: 64 });
  });

  test("the last who gives up ends the pull; a late answer is nobody's", () => {
    const h = new Owner();
    const entry = h.result();
    const request = h.get(entry);
    const { requestId } = h.out.last("pullObject");
    h.handle({ type: "abandonAwait", request });
    expect(h.out.last("unpinObjects", nodeId).requestIds).toEqual([requestId]);
    const again = h.get(entry);
    h.local(here(), requestId);
    expect(again.settled).toBe(false);
    h.local();
    expect(again.settled).toBe(true);
  });

  test("a copy stays while a view on it lives, and for a while after its last use", () => {
    const h = new Owner();
    const entry = h.result();
    h.get(entry);
    h.local();
    const copy = h.core.copies.find(driver, entry);
    const user = {};
    copy?.users.set(user, 1);
    h.nowMs = 5000;
    h.handle({ type: "deadline" });
    expect(h.out.all("unpinObjects")).toEqual([]);
    if (copy !== undefined) h.handle({ type: "releaseCopies", uses: [{ copy, user }] });
    expect(h.out.all("unpinObjects")).toEqual([]);
    h.nowMs = 6000;
    h.handle({ type: "deadline" });
    expect(h.out.all("unpinObjects")).toHaveLength(1);
    expect(h.core.copies.size).toBe(0);
  });

  test("no room here fails the get, and leaves the object as it is", () => {
    const h = new Owner();
    const entry = h.result();
    const request = h.get(entry);
    const full = { ...crashed, type: "OBJECT_STORE_FULL" } as const;
    h.local(new FailedValue(full, null));
    expect(request.failure?.type).toBe("OBJECT_STORE_FULL");
    expect(entry.state).toBe("AVAILABLE");
    h.get(entry);
    expect(h.out.all("pullObject")).toHaveLength(2);
  });

  test("who comes later with more need raises the priority", () => {
    const h = new Owner({ self: worker(1) });
    const owner = far;
    const name = { serial: 9, index: 1 };
    const ref = { owner, ...name } as ObjectEntry;
    h.push(owner, { args: inline(refTo(ref, true)), values: [there()] });
    const entry = h.adopt(owner, name);
    entry.state = "AVAILABLE";
    entry.outcome = there();
    h.get(entry);
    expect(h.out.all("pullObject").map(({ priority }) => priority)).toEqual([2, 0]);
  });
});
