/** Values whose place others were told: offered, asked about, forgotten, and only then moved. */
import { describe, expect, test } from "vitest";
import { type WorkerId, workerIdOf } from "#engine/common/ids.ts";
import type { ObjectEntry } from "#engine/core-worker/object-entry.ts";
import { managedSegment } from "#engine/protocol/arena.ts";
import { noSpecials, type Outcome, StoredValue } from "#engine/protocol/outcome.ts";
import type { PushTask } from "#engine/protocol/task.ts";
import { CoreWorkerHarness, inline } from "./core-worker-harness.ts";
import { driver, nodeId, otherNodeId, RayletHarness, worker } from "./raylet-harness.ts";

const size = 200;
const stored = (offset = 0): StoredValue => new StoredValue(0, offset, size, noSpecials);
const nameOf = ({ serial, index }: ObjectEntry) => ({ serial, index });
const copyOf = (entry: ObjectEntry) => ({ owner: entry.owner, ...nameOf(entry), version: 0 });

class Owner extends CoreWorkerHarness {
  subscribe(entry: ObjectEntry, borrower = worker(1)): void {
    this.core.references.name(entry);
    this.handle({ type: "subscribeObject", from: borrower, object: nameOf(entry) });
  }

  offered(bytes = 1) {
    this.only({ type: "offerObjects", from: nodeId, bytes });
    return this.out.last("objectsOffered");
  }
}

describe("an owner that is asked for values", () => {
  test("offers first what nobody was told of, and then the rest", () => {
    const h = new Owner();
    const [told, own] = [h.put(stored()), h.put(stored(256))];
    h.subscribe(told);
    const { objects, told: none } = h.offered();
    expect(objects).toMatchObject([nameOf(own)]);
    expect(none).toEqual([]);
    const next = h.offered();
    expect(next.objects).toEqual([]);
    expect(next.told).toMatchObject([{ ...nameOf(told), extent: { segment: 0, offset: 0, size } }]);
    expect(told.outcome).toMatchObject({ segment: managedSegment, node: nodeId });
  });

  test("tells the place to processes of its own node only", () => {
    const h = new Owner();
    const entry = h.put(stored());
    h.subscribe(entry, workerIdOf(otherNodeId, 1));
    const told = h.out.last("objectState", workerIdOf(otherNodeId, 1)).outcome;
    expect(told).toMatchObject({ segment: managedSegment, node: nodeId, size });
    h.subscribe(entry);
    expect(h.out.last("objectState", worker(1)).outcome).toMatchObject({ segment: 0 });
  });

  test("does not offer what it reads, nor what it has pushed", () => {
    const h = new Owner();
    const [viewed, pushed] = [h.put(stored()), h.put(stored(256))];
    for (const entry of [viewed, pushed]) h.subscribe(entry);
    viewed.uses += 1;
    h.core.views.add(viewed, { segment: 0, offset: 0, size: 128 });
    h.submit([pushed]);
    h.grant(worker(2));
    const to = h.out.last("pushTask");
    expect(h.offered(1_000)).toMatchObject({ objects: [], told: [] });
    h.handle({ type: "releaseViews", entries: [viewed] });
    expect(h.offered(1_000).told).toMatchObject([nameOf(viewed)]);
    h.reply(1, { to, by: worker(2) });
    expect(h.offered(1_000).told).toMatchObject([nameOf(pushed)]);
  });

  test("does not wait for calls that bring the value without its place", () => {
    const h = new Owner();
    const [before, after] = [h.put(stored()), h.put(stored(256))];
    for (const entry of [before, after]) h.subscribe(entry);
    h.submit([before]);
    h.grant(worker(2));
    const to = h.out.last("pushTask");
    h.offered(1_000);
    h.submit([after]);
    h.reply(1, { to, by: worker(2) });
    expect(h.out.last("pushTask").values).toMatchObject([{ segment: managedSegment }]);
    const objects = [copyOf(before), copyOf(after)];
    h.only({ type: "revokePlaces", from: nodeId, requestId: 1, objects });
    expect(h.out.last("placesRevoked").objects).toEqual(objects);
  });

  test("says of what a dead process had held that others may know of it", () => {
    const h = new Owner();
    const entry = h.put(stored());
    h.subscribe(entry);
    h.died(worker(1));
    expect(h.offered().told).toMatchObject([nameOf(entry)]);
  });
});

describe("encoded arguments", () => {
  const argumentsOf = (h: Owner, offset = 0, entry?: ObjectEntry) => {
    const task = h.task(entry === undefined ? [] : [entry]);
    task.args = new StoredValue(0, offset, size, task.args.specials);
    h.handle({ type: "submitTask", task });
    return task;
  };

  test("of a task that waits are offered, and told as managed with the push", () => {
    const h = new Owner();
    const [first, second] = [argumentsOf(h), argumentsOf(h, 256)];
    const { objects } = h.offered(1_000);
    expect(objects).toMatchObject([first, second].map(({ serial }) => ({ serial, version: 0 })));
    h.handle({
      type: "objectsKept",
      from: nodeId,
      requestId: h.out.last("objectsOffered").requestId,
    });
    h.submit([]);
    h.grant(worker(1), 1);
    const pushed = h.out.all("pushTask", worker(1));
    expect(pushed[0]?.args).toMatchObject({ segment: managedSegment, size, node: nodeId });
    h.reply(1, { to: pushed[0] as PushTask, by: worker(1) });
    const [freed] = h.out.all("freeObjects", nodeId);
    expect(freed?.objects).toMatchObject([{ serial: first.serial }]);
    expect(h.out.all("freeArena")).toEqual([]);
  });

  test("of a task that was pushed are not", () => {
    const h = new Owner();
    const task = argumentsOf(h);
    h.grant(worker(1));
    expect(h.out.last("pushTask").args).toMatchObject({ segment: 0 });
    expect(h.offered(1_000).objects).toEqual([]);
    expect(task.args).toMatchObject({ segment: 0 });
  });

  test("are managed when another argument is: it would hold them while it waits", () => {
    const h = new Owner();
    const entry = h.put(stored());
    h.offered();
    argumentsOf(h, 256, entry);
    h.grant(worker(1));
    const { args, values } = h.out.last("pushTask");
    expect(args).toMatchObject({ segment: managedSegment });
    expect(values).toMatchObject([{ segment: managedSegment }]);
  });

  test("in a file are told to the raylet, and go with the call, made or not", () => {
    const h = new Owner();
    const place = { file: 3, offset: 0, size, checksums: [7] };
    const task = h.task([]);
    task.args = new StoredValue(managedSegment, 0, size, noSpecials, nodeId);
    h.handle({ type: "argumentsWritten", task, place });
    expect(h.out.last("objectWritten", nodeId)).toMatchObject({ serial: task.serial, place });
    h.handle({ type: "submitCancelled", task, cause: "the signal in its options was aborted" });
    expect(h.out.last("freeObjects", nodeId).objects).toMatchObject([{ serial: task.serial }]);
  });
});

class Borrower extends CoreWorkerHarness {
  #nextRequestId = 1;

  constructor() {
    super({ self: worker(1) });
  }

  /** A ref to an object of the driver, and its place. */
  told(serial: number): ObjectEntry {
    const entry = this.adopt(driver, { serial, index: 0 });
    this.get(entry);
    this.tell(serial, new StoredValue(0, 0, size, noSpecials, nodeId));
    return entry;
  }

  tell(serial: number, outcome: Outcome): void {
    const object = { serial, index: 0 };
    this.handle({ type: "objectState", from: driver, object, outcome, holds: null });
  }

  /** For a task with it as an argument. What it returns lets the copy come, of a version. */
  copyAsked(serial: number): (version: number) => void {
    const special = { type: "ref", owner: driver, serial, index: 0, topLevel: true } as const;
    const managed = new StoredValue(managedSegment, 0, size, noSpecials, nodeId);
    this.push(driver, { args: inline(special), values: [managed] });
    const { requestId } = this.out.last("pullObject", nodeId);
    return (version) => {
      const outcome = new StoredValue(0, 512, size, noSpecials, nodeId, version);
      this.handle({ type: "objectLocal", from: nodeId, requestId, outcome });
    };
  }

  /** What it answers at once, and that it did. */
  revoked(...entries: ObjectEntry[]) {
    const requestId = this.#nextRequestId++;
    const objects = entries.map(copyOf);
    this.only({ type: "revokePlaces", from: nodeId, requestId, objects });
    const answer = this.out.last("placesRevoked", nodeId);
    expect(answer.requestId).toBe(requestId);
    return answer.objects;
  }
}

describe("a borrower that is told to forget a place", () => {
  test("does so at once where it reads nothing, and asks its raylet from then on", () => {
    const h = new Borrower();
    const entry = h.told(7);
    expect(h.revoked(entry)).toEqual([copyOf(entry)]);
    expect(entry.outcome).toMatchObject({ segment: managedSegment, node: nodeId });
    h.get(entry);
    expect(h.out.last("pullObject", nodeId).object).toEqual(nameOf(entry));
    // What is said twice is answered twice.
    expect(h.revoked(entry)).toEqual([copyOf(entry)]);
  });

  test("knows nothing of what it was never told of", () => {
    const h = new Borrower();
    const strange = { ...copyOf(h.told(7)), serial: 99 };
    h.only({ type: "revokePlaces", from: nodeId, requestId: 5, objects: [strange] });
    expect(h.out.last("placesRevoked").objects).toEqual([strange]);
  });

  test("says so of what it has a view on when that is dropped", () => {
    const h = new Borrower();
    const entry = h.told(7);
    entry.uses += 2;
    h.core.views.add(entry, { segment: 0, offset: 0, size: 128 });
    h.core.views.add(entry, { segment: 0, offset: 0, size: 128 });
    expect(h.revoked(entry)).toEqual([]);
    expect(h.instructions("hurryCollection")).toHaveLength(1);
    h.only({ type: "releaseViews", entries: [entry] });
    expect(h.out.all("placesRevoked")).toEqual([]);
    h.only({ type: "releaseViews", entries: [entry] });
    expect(h.out.all("placesRevoked")).toMatchObject([{ objects: [copyOf(entry)] }]);
  });

  test("waits for what its owner may be about to tell it, and forgets that place too", () => {
    const h = new Borrower();
    const entry = h.adopt(driver, { serial: 7, index: 0 });
    const request = h.get(entry);
    expect(h.revoked(entry)).toEqual([]);
    const outcome = new StoredValue(0, 0, size, noSpecials, nodeId);
    const state = {
      type: "objectState",
      from: driver,
      object: nameOf(entry),
      holds: null,
    } as const;
    h.only({ ...state, outcome });
    expect(request.settled).toBe(false);
    expect(h.out.last("pullObject", nodeId).object).toEqual(nameOf(entry));
    expect(h.out.all("placesRevoked")).toMatchObject([{ objects: [copyOf(entry)] }]);
  });

  test("does not take what was told of it before for an answer to a later question", () => {
    const h = new Borrower();
    const name = { serial: 7, index: 0 };
    const before = h.adopt(driver, name);
    h.handle({ type: "abandonAwait", request: h.get(before) });
    h.drop(before);
    expect(before.state).toBe("FREED");
    const entry = h.adopt(driver, name);
    const request = h.get(entry);
    const state = { type: "objectState", from: driver, object: name, holds: null } as const;
    const near = new StoredValue(0, 0, size, noSpecials, nodeId);
    h.only({ ...state, outcome: near });
    expect(request.settled).toBe(false);
    expect(h.out.all("subscribeObject", driver)).toHaveLength(1);
    const managed = new StoredValue(managedSegment, 0, size, noSpecials, nodeId);
    h.handle({ ...state, outcome: managed });
    expect(entry.outcome).toMatchObject({ segment: managedSegment });
  });

  test("… of what it has told with a call when that is answered", () => {
    const h = new Borrower();
    const entry = h.told(7);
    h.submit([entry]);
    h.grant(worker(2));
    expect(h.out.last("pushTask").values).toMatchObject([{ segment: 0 }]);
    expect(h.revoked(entry)).toEqual([]);
    h.handle({
      type: "taskReply",
      from: worker(2),
      stream: 1,
      seq: 0,
      durationMs: 1,
      outcome: 1,
      outcomes: null,
      keptRefs: null,
      holds: null,
    });
    expect(h.out.all("placesRevoked").at(-1)?.objects).toEqual([copyOf(entry)]);
    // What it tells from now on is no place.
    h.submit([entry]);
    expect(h.out.last("pushTask").values).toMatchObject([{ segment: managedSegment }]);
  });

  test("… of what it was given as an argument when that call has ended", () => {
    const h = new Borrower();
    const special = { type: "ref", owner: driver, serial: 7, index: 0, topLevel: true } as const;
    const values = [new StoredValue(0, 0, size, noSpecials, nodeId)];
    const task = h.push(worker(3), { args: inline(special), values });
    const entry = h.core.references.find(driver, special) as ObjectEntry;
    expect(h.revoked(entry)).toEqual([]);
    h.only({
      type: "taskFinished",
      task: task as never,
      durationMs: 1,
      outcome: 1,
      outcomes: null,
    });
    const made = h.out.all("createHolds");
    expect(made).toEqual([]);
    expect(h.out.all("placesRevoked")).toMatchObject([{ objects: [copyOf(entry)] }]);
  });

  test("… also where its owner gave it: that is no use of what is here", () => {
    const h = new Borrower();
    const entry = h.told(7);
    const special = { type: "ref", owner: driver, serial: 7, index: 0, topLevel: true } as const;
    const values = [new StoredValue(0, 0, size, noSpecials, nodeId)];
    const task = h.push(driver, { args: inline(special), values });
    expect(h.revoked(entry)).toEqual([]);
    const ended = { durationMs: 1, outcome: 1, outcomes: null };
    h.only({ type: "taskFinished", task: task as never, ...ended });
    expect(h.out.all("placesRevoked")).toMatchObject([{ objects: [copyOf(entry)] }]);
  });

  test("reads a copy that is here for somebody else", () => {
    const h = new Borrower();
    const entry = h.told(7);
    const arrive = h.copyAsked(7);
    arrive(0);
    const request = h.get(entry, h.adopt(driver, { serial: 8, index: 0 }));
    h.revoked(entry);
    expect(request.missingCount).toBe(1);
    h.tell(8, 1);
    expect(request.settled).toBe(true);
    expect(h.core.copies.readable(entry)).toMatchObject({ offset: 512 });
  });

  test("waits for what its owner tells anew, though it could have read it", () => {
    const h = new Borrower();
    const entry = h.told(7);
    const arrive = h.copyAsked(7);
    const request = h.get(entry, h.adopt(driver, { serial: 8, index: 0 }), entry);
    expect(request.missingCount).toBe(1);
    arrive(1);
    expect(request.missingCount).toBe(3);
    h.tell(8, 1);
    expect(request.settled).toBe(false);
    h.tell(7, 2);
    expect(request.settled).toBe(true);
  });

  test("has what a get waits with brought by its raylet", () => {
    const h = new Borrower();
    const entry = h.told(7);
    const missing = h.adopt(driver, { serial: 8, index: 0 });
    const request = h.get(entry, missing, entry);
    expect(request.missingCount).toBe(1);
    expect(h.revoked(entry)).toEqual([copyOf(entry)]);
    expect(request.missingCount).toBe(3);
    const { requestId } = h.out.last("pullObject", nodeId);
    const outcome = new StoredValue(0, 512, size, noSpecials, nodeId);
    h.handle({ type: "objectLocal", from: nodeId, requestId, outcome });
    expect(request).toMatchObject({ missingCount: 1, settled: false });
    const object = { serial: 8, index: 0 };
    h.handle({ type: "objectState", from: driver, object, outcome: 1, holds: null });
    expect(request.settled).toBe(true);
    expect(h.core.copies.readable(entry)).toMatchObject({ offset: 512 });
  });
});

class Revoking extends RayletHarness {
  #nextRequestId = 1;

  constructor() {
    const config = { minSpillBytes: size, ioWorkers: 1 };
    super({ segments: [1024], prestartCount: 2, config });
    this.withWorkers(2);
    for (let i = 0; i < 4; i++) {
      const requestId = this.#nextRequestId++;
      this.handle({ type: "allocateArena", from: driver, requestId, size, mayWait: false });
    }
  }

  offerTold(...serials: number[]): void {
    const told = serials.map((serial) => {
      const extent = { segment: 0, offset: (serial - 1) * 256, size };
      return { owner: driver, serial, index: 0, version: 0, extent };
    });
    const requestId = this.#nextRequestId++;
    this.handle({ type: "objectsOffered", from: driver, requestId, objects: [], told });
  }

  /** The answer of each to its last question, of all that it was asked about. */
  answer(...processes: WorkerId[]): void {
    for (const from of processes) {
      const { requestId, objects } = this.out.last("revokePlaces", from);
      this.handle({ type: "placesRevoked", from, requestId, objects });
    }
  }

  asked(process: WorkerId): number[][] {
    const questions = this.out.all("revokePlaces", process);
    return questions.map(({ objects }) => objects.map(({ serial }) => serial));
  }

  get written(): number {
    return this.out.instructions.filter(({ type }) => type === "spillObjects").length;
  }
}

describe("a raylet that is offered what others know the place of", () => {
  const all = [driver, worker(1), worker(2)];

  test("moves it when all have answered twice", () => {
    const h = new Revoking();
    h.offerTold(1);
    for (const process of all) expect(h.asked(process)).toEqual([[1]]);
    h.answer(...all);
    for (const process of all) expect(h.asked(process)).toEqual([[1], [1]]);
    h.answer(driver, worker(2));
    expect(h.written).toBe(0);
    h.answer(worker(1));
    expect(h.written).toBe(1);
    expect(h.raylet.objects.revocations.size).toBe(0);
  });

  test("asks each about one thing at a time, and of what it knows that it is read goes on", () => {
    const h = new Revoking();
    h.offerTold(1);
    h.offerTold(2);
    expect(h.asked(worker(1))).toEqual([[1]]);
    const { requestId, objects } = h.out.last("revokePlaces", worker(1));
    // It reads the first in place, and says so by leaving it out.
    h.handle({ type: "placesRevoked", from: worker(1), requestId, objects: [] });
    expect(h.asked(worker(1))).toEqual([[1], [2]]);
    h.answer(driver, worker(2));
    h.answer(...all);
    h.answer(...all);
    expect(h.written).toBe(1);
    expect(h.raylet.objects.revocations.size).toBe(1);
    const second = h.out.last("revokePlaces", worker(1)).requestId;
    h.handle({ type: "placesRevoked", from: worker(1), requestId: second, objects });
    h.answer(...all);
    expect(h.raylet.objects.revocations.size).toBe(0);
  });

  test("takes an end for an answer", () => {
    const h = new Revoking();
    h.offerTold(1);
    h.answer(driver, worker(2));
    h.exit(1);
    h.answer(driver, worker(2));
    expect(h.written).toBe(1);
  });

  test("does not wait for a thread that never was ready", () => {
    const h = new Revoking();
    h.request(1);
    h.request(2);
    h.request(3, { resources: { CPU: 0 } });
    expect(h.started()).toEqual([worker(3)]);
    h.out.clear();
    h.offerTold(1);
    expect(h.out.all("revokePlaces").length).toBe(3);
  });

  test("forgets what is freed meanwhile", () => {
    const h = new Revoking();
    h.offerTold(1, 2);
    const objects = [{ serial: 1, index: 0, version: 0 }];
    h.handle({ type: "freeObjects", from: driver, objects });
    expect(h.raylet.objects.revocations.size).toBe(1);
    h.answer(...all);
    expect(h.asked(worker(1))).toEqual([[1, 2], [2]]);
  });

  test("lets those read it who ask for it meanwhile", () => {
    const h = new Revoking();
    h.offerTold(1);
    const object = { serial: 1, index: 0 };
    const pull = { type: "pullObject", owner: driver, object, priority: 0 } as const;
    h.handle({ ...pull, from: worker(1), requestId: 9 });
    expect(h.out.last("objectLocal", worker(1)).outcome).toMatchObject({ offset: 0, size });
    h.answer(...all);
    h.answer(...all);
    // It has a pin.
    expect(h.written).toBe(0);
    h.handle({ type: "unpinObjects", from: worker(1), requestIds: [9] });
    expect(h.written).toBe(1);
  });
});
