/**
 * Results of other nodes that are lost with them: at their owner, at who reads them, and at who was
 * given them as arguments. What is made anew has another version, and may name other things.
 */
import { describe, expect, test } from "vitest";
import { type NodeId, workerIdOf } from "#engine/common/ids.ts";
import type { ObjectEntry, TaskRecord } from "#engine/core-worker/object-entry.ts";
import { FailedValue, noSpecials, type Outcome, StoredValue } from "#engine/protocol/outcome.ts";
import { CoreWorkerHarness, crashed, inline, refTo, template } from "./core-worker-harness.ts";
import { actorSpec, nodeId, otherNodeId, worker } from "./raylet-harness.ts";

const third = "11111111111111111111111111111111" as NodeId;
const far = workerIdOf(otherNodeId, 3);
const further = workerIdOf(third, 4);
const retry = { maxRetries: 3, retryExceptions: false };

function stored(node: NodeId | null, version: number, names: readonly ObjectEntry[] = []) {
  const specials = names.length === 0 ? noSpecials : names.map((entry) => refTo(entry));
  return new StoredValue(0, 128 * (version + 1), 4096, specials, node, version);
}

class Loser extends CoreWorkerHarness {
  /** Returns of a task that ran on another node. */
  made(numReturns = 1, maxRetries = 3): TaskRecord {
    const task = this.task([], { shape: template(1, numReturns, { ...retry, maxRetries }) });
    this.handle({ type: "submitTask", task });
    this.grant(far);
    const more = Array.from({ length: numReturns - 1 }, () => stored(otherNodeId, 0));
    this.reply(stored(otherNodeId, 0), { outcomes: numReturns === 1 ? null : more });
    this.out.clear();
    return task;
  }

  loseNode(node: NodeId = otherNodeId): void {
    this.handle({ type: "nodeDied", from: nodeId, nodeId: node, reason: "gone" });
  }

  local(outcome: Outcome): void {
    const { requestId } = this.out.last("pullObject");
    this.handle({ type: "objectLocal", from: nodeId, requestId, outcome });
  }

  locate({ serial, index }: ObjectEntry): void {
    this.handle({ type: "locateObject", from: nodeId, object: { serial, index } });
  }

  told(entry: ObjectEntry, outcome: Outcome): void {
    const { owner, serial, index } = entry;
    const object = { serial, index };
    this.handle({ type: "objectState", from: owner, object, outcome, holds: null });
  }

  runs() {
    return this.instructions("runTask").map(({ task }) => task);
  }
}

describe("the owner", () => {
  test("runs the task again, and tells raylets and calls once there is another value", () => {
    const h = new Loser();
    const task = h.made();
    const call = h.get(task);
    h.loseNode();
    expect(task.state).toBe("PENDING");
    h.locate(task);
    expect(h.out.all("objectLocations")).toEqual([]);
    h.grant(further);
    expect(h.out.last("pushTask").attempt).toBe(1);
    h.reply(stored(third, 1));
    expect(h.out.last("objectLocations").outcome).toMatchObject({ version: 1, node: third });
    h.local(stored(nodeId, 1));
    expect(call.settled).toBe(true);
    expect(h.core.copies.readable(task)).toMatchObject({ node: nodeId, version: 1 });
  });

  test("reads where it lies what is made anew on its own node", () => {
    const h = new Loser();
    const task = h.made();
    const call = h.get(task);
    h.loseNode();
    h.grant(worker(1));
    h.reply(stored(null, 1));
    h.local(stored(nodeId, 1));
    expect(call.settled).toBe(true);
    expect(h.core.copies.size).toBe(0);
    expect(h.out.last("unpinObjects").requestIds).toHaveLength(1);
  });

  test("whose copy comes while it is made anew waits for that, though it lies here then", () => {
    for (const place of [stored(null, 1), stored(third, 1)]) {
      const h = new Loser();
      const task = h.made();
      const calls = [h.get(task), h.get(task)];
      h.loseNode();
      // It had all its bytes, and the news was on its way.
      h.local(stored(nodeId, 0));
      expect(calls.map(({ settled }) => settled)).toEqual([false, false]);
      h.grant(worker(1));
      h.reply(place);
      expect(calls.map(({ settled }) => settled)).toEqual([true, true]);
    }
  });

  test("gives up one version of a return, and keeps the other on the same node", () => {
    const h = new Loser();
    const task = h.made(2);
    const [second] = task.moreReturns ?? [];
    if (second === undefined) throw new Error("no second return");
    const copy = { serial: second.serial, index: 2, version: 0 };
    h.handle({ type: "copyAdded", from: third, copy, arrival: 1 });
    h.loseNode();
    expect([task.state, second.state]).toEqual(["PENDING", "AVAILABLE"]);
    h.grant(further);
    h.reply(stored(third, 1), { outcomes: [stored(third, 1)] });
    const frees = h.out.all("freeObjects", third);
    expect(frees.flatMap(({ objects }) => objects)).toEqual([{ ...copy, version: 1 }]);
    h.out.clear();
    h.drop(second);
    expect(h.out.last("freeObjects", third).objects).toEqual([copy]);
  });

  test("a result of a cancelled task goes where it lies", () => {
    const h = new Loser();
    const task = h.submit();
    h.grant(far);
    h.out.startAll();
    const options = { force: false, recursive: true } as const;
    h.handle({ type: "cancelCall", requestId: 1, entry: task, ...options });
    h.reply(stored(otherNodeId, 0));
    const name = { serial: task.serial, index: 1, version: 0 };
    expect(h.out.last("freeObjects", otherNodeId).objects).toEqual([name]);
  });

  test("what an attempt on another node may have stored is given up under its own version", () => {
    const h = new Loser();
    const task = h.submitRetriable({});
    const leaseId = h.grant(far);
    h.handle({ type: "leaseRevoked", from: otherNodeId, leaseId, error: crashed });
    expect(task.attempt).toBe(1);
    h.died(far);
    const name = { serial: task.serial, index: 1, version: 0 };
    expect(h.out.last("freeObjects", otherNodeId).objects).toEqual([name]);
  });

  test("what cannot be made anew says so to all who ask", () => {
    const h = new Loser();
    const task = h.made(1, 0);
    h.loseNode();
    expect(task.outcome).toMatchObject({ error: { detail: "RETRIES_DISABLED" } });
    h.locate(task);
    expect(h.out.last("objectLocations").outcome).toBeInstanceOf(FailedValue);
  });
});

describe("a borrower", () => {
  test("asks the owner what has come, when it was told of another version", () => {
    const h = new Loser();
    const object = h.adopt(far, { serial: 9, index: 1 });
    const call = h.get(object);
    h.told(object, stored(otherNodeId, 0, [h.adopt(far, { serial: 10, index: 0 })]));
    h.local(stored(nodeId, 1));
    expect(call.settled).toBe(false);
    expect(h.out.all("subscribeObject", far)).toHaveLength(2);
    const inner = h.adopt(far, { serial: 11, index: 0 });
    h.told(object, stored(third, 1, [inner]));
    expect(call.settled).toBe(true);
    const value = h.core.copies.readable(object) as StoredValue;
    expect(value).toMatchObject({ node: nodeId, version: 1 });
    expect(value.specials).toEqual([refTo(inner)]);
  });

  test("asks its raylet again when it has changed once more", () => {
    const h = new Loser();
    const object = h.adopt(far, { serial: 9, index: 1 });
    const call = h.get(object);
    h.told(object, stored(otherNodeId, 0));
    h.local(stored(nodeId, 1));
    h.told(object, stored(third, 2));
    expect(h.out.all("pullObject")).toHaveLength(2);
    expect(h.out.last("unpinObjects").requestIds).toHaveLength(1);
    h.local(stored(nodeId, 2));
    expect(call.settled).toBe(true);
    expect(h.out.all("subscribeObject")).toHaveLength(2);
  });

  test("takes what comes inside a message, or not at all", () => {
    const h = new Loser();
    const names = [9, 10, 11].map((serial) => h.adopt(far, { serial, index: 1 }));
    const [small, failed, orphan] = names as [ObjectEntry, ObjectEntry, ObjectEntry];
    const calls = names.map((object) => {
      const call = h.get(object);
      h.told(object, stored(otherNodeId, 0));
      h.local(inline());
      return call;
    });
    h.told(small, 7);
    h.told(failed, new FailedValue(crashed, null));
    h.died(far);
    expect(calls.map(({ settled }) => settled)).toEqual([true, true, true]);
    expect([small.outcome, failed.state, orphan.state]).toEqual([7, "FAILED", "FAILED"]);
    expect(h.core.copies.size).toBe(0);
  });

  test("who no longer waits is told nothing, and keeps nothing", () => {
    const h = new Loser();
    const object = h.adopt(far, { serial: 9, index: 1 });
    const request = h.get(object);
    h.told(object, stored(otherNodeId, 0));
    h.local(stored(nodeId, 1));
    h.handle({ type: "abandonAwait", request });
    h.told(object, stored(third, 1));
    expect(h.core.copies.size).toBe(0);
    h.drop(object);
    expect(h.core.references.find(far, { serial: 9, index: 1 })).toBeUndefined();
  });
});

describe("the executor", () => {
  const given = { owner: far, serial: 9, index: 1 } as ObjectEntry;
  const args = () => ({ args: inline(refTo(given, true)), values: [stored(otherNodeId, 0)] });

  test("starts with what was made anew, once its owner has told of it", () => {
    const h = new Loser({ self: worker(1) });
    h.push(far, args());
    h.local(stored(nodeId, 1));
    expect(h.runs()).toEqual([]);
    h.told(given, stored(third, 1));
    expect(h.runs()[0]?.values).toMatchObject([{ node: nodeId, version: 1 }]);
  });

  test("a get counts once what it reads where it lies, while a task waits for a copy of it", () => {
    const h = new Loser({ self: worker(1) });
    const owner = worker(5);
    const near = { owner, serial: 9, index: 1 } as ObjectEntry;
    const values = [stored(otherNodeId, 0)];
    h.push(owner, { args: inline(refTo(near, true)), values });
    const [object, other] = [9, 10].map((serial) => h.adopt(owner, { serial, index: 1 }));
    if (object === undefined || other === undefined) throw new Error("no refs");
    const call = h.get(object, other);
    // Made anew on this node meanwhile.
    h.told(object, stored(nodeId, 1));
    h.local(stored(nodeId, 1));
    h.told(object, stored(nodeId, 1));
    expect(h.runs()).toHaveLength(1);
    expect(call.settled).toBe(false);
    h.told(other, 7);
    expect(call.settled).toBe(true);
  });

  test("never starts what is cancelled before its arguments are here", () => {
    const h = new Loser({ self: worker(1) });
    h.push(far, args());
    const call = { stream: 1, force: false, recursive: true } as const;
    h.handle({ type: "cancelTask", from: far, seq: 0, ...call });
    expect(h.out.last("taskReply", far).outcome).toBeUndefined();
    expect(h.out.last("taskBlocked", nodeId).blocked).toBe(false);
    expect(h.out.last("unpinObjects", nodeId).requestIds).toHaveLength(1);
    expect([h.runs(), h.core.receiver.runningCount]).toEqual([[], 0]);
  });

  test("calls behind one that is cancelled go on", () => {
    const h = new Loser({ self: worker(1) });
    const spec = { ...actorSpec(`${far}000000000001` as never), maxConcurrency: 9 };
    h.handle({ type: "constructActor", from: nodeId, incarnation: 0, gpuIds: [], spec });
    const actor = h.instructions("runConstructor").at(-1)?.actor;
    if (actor === undefined) throw new Error("no constructor runs");
    h.handle({ type: "constructorFinished", actor, failure: null, maxConcurrency: 9 });
    h.push(far, { ...args(), seq: 0 });
    h.push(far, { seq: 1 });
    expect(h.runs()).toEqual([]);
    const call = { stream: 1, force: false, recursive: true } as const;
    h.handle({ type: "cancelTask", from: far, seq: 0, ...call });
    expect(h.runs().map(({ seq }) => seq)).toEqual([1]);
  });

  test("leaves to its raylet what that keeps for an owner that has died", () => {
    const h = new Loser({ self: worker(1) });
    const task = h.push(far);
    if (task === undefined) throw new Error("nothing runs");
    const ended = { durationMs: 1, outcome: stored(null, 0), outcomes: null };
    h.handle({ type: "taskFinished", task, ...ended });
    h.died(far);
    h.handle({ type: "objectsKept", from: nodeId, requestId: 1 });
    expect(h.out.all("taskReply")).toEqual([]);
    expect(h.out.all("freeArena")).toEqual([]);
  });
});
