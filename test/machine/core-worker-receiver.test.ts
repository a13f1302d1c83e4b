/** Tasks at their executor: once each, replies, what is kept, waiting tasks, actors. */
import { describe, expect, it } from "vitest";
import type { IncomingTask } from "#engine/core-worker/incoming-task.ts";
import { type Outcome, StoredValue } from "#engine/protocol/outcome.ts";
import { CoreWorkerHarness, crashed, inline, template } from "./core-worker-harness.ts";
import { actor, actorSpec, driver, nodeId, worker } from "./raylet-harness.ts";

const self = worker(1);
const other = worker(2);

class ReceiverHarness extends CoreWorkerHarness {
  constructor() {
    super({ self });
  }

  finish(task: IncomingTask | undefined, outcome: Outcome = 1, outcomes: Outcome[] | null = null) {
    if (task === undefined) throw new Error("no task was started");
    this.handle({ type: "taskFinished", task, durationMs: 1, outcome, outcomes });
  }

  waiting(task: IncomingTask | undefined, waiting = true) {
    if (task === undefined) throw new Error("no task was started");
    this.handle({ type: "taskWaiting", task, waiting });
  }

  construct(maxConcurrency = 1): void {
    const spec = actorSpec(actor(5));
    this.handle({ type: "constructActor", from: nodeId, incarnation: 0, gpuIds: [], spec });
    const [run] = this.instructions("runConstructor");
    if (run === undefined) throw new Error("no constructor was started");
    const event = { type: "constructorFinished", failure: null, maxConcurrency } as const;
    this.handle({ ...event, actor: run.actor });
  }
}

const objectOf = (serial: number, index = 0) => ({ owner: driver, serial, index });
const special = (serial: number, topLevel = false) =>
  ({ type: "ref", ...objectOf(serial), topLevel }) as const;

describe("a task at its executor", () => {
  it("runs once, one at a time, and replies once", () => {
    const h = new ReceiverHarness();
    const task = h.push(driver);
    expect(h.core.receiver.wantsTask()).toBe(false);
    h.push(driver);
    expect(h.instructions("runTask")).toHaveLength(1);
    h.finish(task, 4, [5]);
    h.finish(task, 6);
    expect(h.out.all("taskReply", driver)).toMatchObject([{ seq: 0, outcome: 4, outcomes: [5] }]);
    expect(h.core.receiver.wantsTask()).toBe(true);
  });

  it("remembers a definition per peer until that has ended", () => {
    const h = new ReceiverHarness();
    h.finish(h.push(driver));
    const event = {
      type: "pushTask",
      from: driver,
      stream: 1,
      seq: 1,
      serial: 2,
      attempt: 0,
      depth: 0,
      functionNumber: 1,
      definition: null,
      args: inline(),
      values: null,
      gpuIds: null,
      holds: null,
      hasBuffers: false,
    } as const;
    h.handle(event);
    expect(h.instructions("runTask").at(-1)?.task.definition).toEqual(template().definition);
  });

  it("tells the owner what it goes on using of what came with the task, inside values too", () => {
    const h = new ReceiverHarness();
    const args = inline(special(1), special(2), special(3, true));
    const task = h.push(driver, { args, values: [undefined, undefined, inline(special(4))] });
    const kept = [h.adopt(driver, objectOf(1)), h.adopt(driver, objectOf(4))];
    h.finish(task);
    expect(h.out.last("taskReply").keptRefs).toEqual([
      { serial: 1, index: 0 },
      { serial: 4, index: 0 },
    ]);
    h.drop(...kept);
    expect(h.out.last("releaseHolds", driver).objects).toHaveLength(2);
    expect(h.core.references.registeredCount).toBe(0);
  });

  it("does not ask for what it holds already, and forgets what nothing counts", () => {
    const h = new ReceiverHarness();
    const held = h.adopt(driver, objectOf(1));
    h.get(held);
    h.core.references.adopt(driver, 2, 0);
    h.finish(h.push(driver, { args: inline(special(1), special(2, true)) }));
    expect(h.out.last("taskReply").keptRefs).toBeNull();
    expect(h.core.references.registeredCount).toBe(1);
  });

  it("holds what a result names for the owner of the task", () => {
    const h = new ReceiverHarness();
    const task = h.push(driver);
    const made = h.put();
    h.finish(task, h.naming(made));
    h.drop(made);
    expect(made.state).toBe("AVAILABLE");
    const objects = [{ serial: made.serial, index: 0 }];
    h.handle({ type: "releaseHolds", from: driver, objects });
    expect(made.state).toBe("FREED");
  });

  it("keeps nothing of its own for itself when it runs its own task", () => {
    const h = new ReceiverHarness();
    const made = h.put();
    h.naming(made);
    const args = inline({
      type: "ref",
      owner: self,
      serial: made.serial,
      index: 0,
      topLevel: false,
    });
    const task = h.push(self, { args });
    h.finish(task, h.naming(made));
    const reply = h.out.last("taskReply", self);
    expect(reply.keptRefs).toBeNull();
    h.drop(made);
    expect(made.state).toBe("AVAILABLE");
    h.handle(reply);
    expect(made.state).toBe("FREED");
  });

  it("sends nothing to a dead owner, and frees what it had stored for it", () => {
    const h = new ReceiverHarness();
    const task = h.push(other);
    h.died(other);
    h.out.clear();
    h.waiting(task);
    h.finish(task, new StoredValue(0, 0, 64, []), [new StoredValue(0, 64, 64, [])]);
    expect(h.out.sent.filter((sent) => sent.to === other)).toEqual([]);
    expect(h.out.last("freeArena").extents).toHaveLength(2);
    expect(h.core.receiver.wantsTask()).toBe(true);
  });
});

describe("a task that waits", () => {
  it("lends its thread, sends back what comes on its stream, runs what comes on others", () => {
    const h = new ReceiverHarness();
    const task = h.push(driver, { stream: 1, seq: 0 });
    h.waiting(task);
    expect(h.out.last("taskBlocked")).toMatchObject({ leaseId: 1, blocked: true, blockSeq: 1 });
    expect(h.out.last("takenBack", driver).seqs).toEqual([]);
    expect(h.core.receiver.wantsTask()).toBe(true);
    h.push(driver, { stream: 1, seq: 1 });
    expect(h.out.last("takenBack", driver).seqs).toEqual([1]);
    const nested = h.push(self, { stream: 9, seq: 0 });
    expect(h.core.receiver.wantsTask()).toBe(false);
    h.waiting(task, false);
    expect(h.out.last("taskBlocked")).toMatchObject({ blocked: false, blockSeq: 2 });
    h.finish(nested);
    expect(h.core.receiver.wantsTask()).toBe(false);
    h.finish(task);
    expect(h.core.receiver.wantsTask()).toBe(true);
  });

  it("tells its owner once, however often it waits: only a reply changes what that does", () => {
    const h = new ReceiverHarness();
    const task = h.push(driver, { stream: 1, seq: 0 });
    for (let i = 0; i < 5; i++) {
      h.waiting(task);
      h.waiting(task, false);
    }
    expect(h.out.all("taskBlocked")).toHaveLength(10);
    expect(h.out.all("takenBack")).toHaveLength(1);
    h.finish(task);
    h.waiting(h.push(driver, { stream: 1, seq: 1 }));
    expect(h.out.all("takenBack")).toHaveLength(2);
  });

  it("says it once, and nothing after its end", () => {
    const h = new ReceiverHarness();
    const task = h.push(driver);
    h.waiting(task);
    h.waiting(task);
    h.finish(task);
    h.waiting(task, false);
    expect(h.out.all("taskBlocked")).toHaveLength(1);
  });
});

describe("an actor's worker", () => {
  it("takes calls once it is constructed, as many as it may", () => {
    const h = new ReceiverHarness();
    const spec = actorSpec(actor(5));
    h.handle({ type: "constructActor", from: nodeId, incarnation: 0, gpuIds: [], spec });
    expect(h.core.receiver.wantsTask()).toBe(false);
    const [run] = h.instructions("runConstructor");
    if (run === undefined) throw new Error("no constructor was started");
    const event = { type: "constructorFinished", failure: null, maxConcurrency: 2 } as const;
    h.handle({ ...event, actor: run.actor });
    expect(h.out.last("actorConstructed", nodeId).failure).toBeNull();
    const first = h.push(driver, { seq: 0 });
    expect(h.core.receiver.wantsTask()).toBe(true);
    h.push(driver, { seq: 1 });
    expect(h.core.receiver.wantsTask()).toBe(false);
    h.finish(first);
    expect(h.core.receiver.wantsTask()).toBe(true);
  });

  it("does not lend its thread when a call waits", () => {
    const h = new ReceiverHarness();
    h.construct();
    const call = h.push(driver);
    h.waiting(call);
    expect(h.out.all("taskBlocked")).toEqual([]);
    expect(h.core.receiver.wantsTask()).toBe(false);
  });

  it("owns the constructor's arguments: it runs in a later turn", () => {
    const h = new ReceiverHarness();
    const args = inline();
    const spec = { ...actorSpec(actor(5)), args };
    h.handle({ type: "constructActor", from: nodeId, incarnation: 0, gpuIds: [], spec });
    args.bytes.fill(0);
    const kept = h.instructions("runConstructor")[0]?.actor.spec.args as typeof args;
    expect([...kept.bytes.subarray(kept.start, kept.start + kept.length)]).toEqual([1, 2, 3]);
  });

  it("tells of a constructor that failed", () => {
    const h = new ReceiverHarness();
    const spec = actorSpec(actor(5));
    h.handle({ type: "constructActor", from: nodeId, incarnation: 0, gpuIds: [], spec });
    const [run] = h.instructions("runConstructor");
    if (run === undefined) throw new Error("no constructor was started");
    const failure = { error: crashed, cause: inline() };
    const event = { type: "constructorFinished", failure, maxConcurrency: 0 } as const;
    h.handle({ ...event, actor: run.actor });
    expect(h.out.last("actorConstructed").failure?.cause).not.toBeNull();
  });

  it("lets a task of a dead owner wake up where an actor has come meanwhile", () => {
    const h = new ReceiverHarness();
    const task = h.push(other);
    h.waiting(task);
    h.died(other);
    h.construct();
    h.waiting(task, false);
    expect(h.core.receiver.wantsTask()).toBe(false);
    h.finish(task);
    expect(h.core.receiver.wantsTask()).toBe(true);
  });
});
