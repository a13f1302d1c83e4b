/** What is read of a dead process in the memory of its node: told, and again when it is less. */
import { describe, expect, test } from "vitest";
import { workerIdOf, type WorkerId } from "#engine/common/ids.ts";
import type { IncomingTask } from "#engine/core-worker/incoming-task.ts";
import type { ObjectEntry } from "#engine/core-worker/object-entry.ts";
import { managedSegment } from "#engine/protocol/arena.ts";
import { FailedValue, type Outcome, StoredValue } from "#engine/protocol/outcome.ts";
import { CoreWorkerHarness, inline } from "./core-worker-harness.ts";
import { actor, actorSpec, driver, nodeId, otherNodeId, worker } from "./raylet-harness.ts";

const self = worker(1);
const owner = worker(2);
const size = 64;

const at = (offset: number) => new StoredValue(0, offset, size, []);
const extentAt = (offset: number) => ({ segment: 0, offset, size });
const special = (serial: number, of: WorkerId = owner) =>
  ({ type: "ref", owner: of, serial, index: 0, topLevel: true }) as const;

class Uses extends CoreWorkerHarness {
  #nextSeq = 0;

  constructor() {
    super({ self });
  }

  /** A ref to an object of the owner, with the value that the owner has told of. */
  borrow(serial: number, outcome: Outcome): ObjectEntry {
    const object = { serial, index: 0 };
    const entry = this.adopt(owner, object);
    this.get(entry);
    this.handle({ type: "objectState", from: owner, object, outcome, holds: null });
    return entry;
  }

  /** As the api does when it decodes the value. */
  view(entry: ObjectEntry, offset: number): void {
    entry.uses += 1;
    this.core.views.add(entry, extentAt(offset));
  }

  given(serial: number, value: Outcome, from: WorkerId = driver): IncomingTask | undefined {
    const args = inline(special(serial));
    return this.push(from, { stream: 1, seq: this.#nextSeq++, args, values: [value] });
  }

  finish(task: IncomingTask | undefined, outcome: Outcome = 1): void {
    if (task === undefined) throw new Error("no task was started");
    this.handle({ type: "taskFinished", task, durationMs: 1, outcome, outcomes: null });
  }

  waits(task: IncomingTask | undefined): void {
    if (task === undefined) throw new Error("no task was started");
    this.handle({ type: "taskWaiting", task, waiting: true });
  }

  /** What the raylet is told, one list a message. */
  told(): number[][] {
    return this.out
      .all("arenaInUse", nodeId)
      .map(({ extents }) => extents.map(({ offset }) => offset).toSorted((a, b) => a - b));
  }

  ask(of: WorkerId = owner): void {
    this.died(of);
    this.out.clear();
    this.handle({ type: "askArenaUse", from: nodeId, of });
  }
}

describe("what is read of a dead process", () => {
  test("nothing is told at once, and no more after that", () => {
    const h = new Uses();
    const entry = h.borrow(1, at(64));
    h.ask();
    h.drop(entry);
    expect(h.told()).toEqual([[]]);
  });

  test("views are told until the last on the object is collected", () => {
    const h = new Uses();
    const [first, second] = [h.borrow(1, at(64)), h.borrow(2, at(128))];
    h.view(first, 64);
    h.view(first, 64);
    h.view(second, 128);
    h.ask();
    expect(h.told()).toEqual([[64, 128]]);
    h.handle({ type: "releaseViews", entries: [first] });
    expect(h.told()).toHaveLength(1);
    h.handle({ type: "releaseViews", entries: [first] });
    h.handle({ type: "releaseViews", entries: [second] });
    expect(h.told()).toEqual([[64, 128], [128], []]);
  });

  test("arguments are told while their task runs, longer if it has made a view", () => {
    const h = new Uses();
    const task = h.given(1, at(64));
    h.ask();
    expect(h.told()).toEqual([[64]]);
    const entry = h.core.references.find(owner, { serial: 1, index: 0 });
    expect(entry).toBeDefined();
    h.view(entry as ObjectEntry, 64);
    h.finish(task);
    expect(h.told()).toHaveLength(1);
    h.handle({ type: "releaseViews", entries: [entry as ObjectEntry] });
    expect(h.told()).toEqual([[64], []]);
  });

  test("a view that comes as a task ends does not hide what goes with the task", () => {
    const h = new Uses();
    const views = h.given(1, at(64));
    h.waits(views);
    const plain = h.push(driver, {
      stream: 2,
      seq: 0,
      args: inline(special(2)),
      values: [at(128)],
    });
    h.ask();
    expect(h.told()).toEqual([[64, 128]]);
    const entry = h.core.references.find(owner, { serial: 1, index: 0 }) as ObjectEntry;
    h.view(entry, 64);
    h.finish(plain);
    expect(h.told()).toEqual([[64, 128], [64]]);
  });

  test("the arguments of a task of its own, and of a constructor", () => {
    const h = new Uses();
    const task = h.push(owner, { args: at(64) });
    h.ask();
    expect(h.told()).toEqual([[64]]);
    h.finish(task);
    expect(h.told()).toEqual([[64], []]);

    const c = new Uses();
    const spec = { ...actorSpec(actor(5)), args: inline(special(1)), values: [at(64)] };
    c.handle({ type: "constructActor", from: nodeId, incarnation: 0, gpuIds: [], spec });
    c.ask();
    const [run] = [...c.core.receiver.given()];
    expect([c.told(), run?.owner]).toEqual([[[64]], driver]);
    const { actor: incoming } = c.core.receiver;
    if (incoming === null) throw new Error("no actor came");
    const ended = { actor: incoming, failure: null, maxConcurrency: 1 };
    c.handle({ type: "constructorFinished", ...ended });
    expect(c.told()).toEqual([[64], []]);
  });

  test("only of that process, and only what lies where it had put it", () => {
    const h = new Uses();
    h.view(h.borrow(1, at(64)), 64);
    const managed = new StoredValue(managedSegment, 0, size, [], nodeId);
    h.push(driver, { stream: 1, seq: 0, args: inline(special(2)), values: [managed] });
    h.ask(worker(3));
    expect(h.told()).toEqual([[]]);
    h.ask();
    expect(h.told()).toEqual([[64]]);
  });
});

describe("once a death is known", () => {
  test("a value that lay with the dead is lost; one that came in a message stays", () => {
    const h = new Uses();
    const [stored, inside] = [h.borrow(1, at(64)), h.borrow(2, inline())];
    h.died(owner);
    expect(stored.outcome).toMatchObject({ error: { type: "OWNER_DIED" } });
    expect(inside.state).toBe("AVAILABLE");
    const request = h.get(stored);
    expect([request.settled, stored.state]).toEqual([true, "FAILED"]);
  });

  test("a task that comes with such a value does not run", () => {
    const h = new Uses();
    h.ask();
    expect(h.given(1, at(64))).toBeUndefined();
    const { outcome } = h.out.last("taskReply", driver);
    expect(outcome).toBeInstanceOf(FailedValue);
    expect(outcome).toMatchObject({ error: { type: "OWNER_DIED" } });
    expect(h.told()).toEqual([[]]);
  });

  test("nor is an actor of the dead constructed from what lay with it", () => {
    const h = new Uses();
    h.died(driver);
    const spec = { ...actorSpec(actor(5)), args: at(64) };
    h.handle({ type: "constructActor", from: nodeId, incarnation: 0, gpuIds: [], spec });
    expect(h.instructions("runConstructor")).toEqual([]);
    expect(h.out.last("actorConstructed").failure?.error.message).toContain("lost with its owner");
  });
});

describe("stored results", () => {
  test("are given to an owner on this node ahead of the reply", () => {
    const h = new Uses();
    const task = h.push(driver);
    h.out.clear();
    h.finish(task, at(64));
    expect(h.out.sent.map(({ message }) => message.type)).toEqual(["arenaGiven", "taskReply"]);
    expect(h.out.last("arenaGiven", nodeId)).toMatchObject({ to: driver, extents: [extentAt(64)] });
  });

  test("not small ones, nor those for itself or for an owner elsewhere", () => {
    const h = new Uses();
    h.finish(h.push(driver), inline());
    h.finish(h.push(self), at(64));
    h.finish(h.push(workerIdOf(otherNodeId, 1)), at(128));
    expect(h.out.all("arenaGiven")).toEqual([]);
  });
});
