/** What a dead process had in its node's memory, at the raylet: given out again, once. */
import { describe, expect, test } from "vitest";
import { workerIdOf, type WorkerId } from "#engine/common/ids.ts";
import type { ArenaExtent } from "#engine/protocol/object.ts";
import { driver, nodeId, otherNodeId, RayletHarness, worker } from "./raylet-harness.ts";

const storeBytes = 4_096;

class Reclaims extends RayletHarness {
  #nextRequestId = 1;

  constructor(workers = 2) {
    super({ totals: { CPU: 4 }, segments: [storeBytes], prestartCount: workers });
    this.withWorkers(workers);
  }

  get usedBytes(): number {
    return storeBytes - this.raylet.counts.arenaFreeBytes;
  }

  /** Room for the process. */
  room(from: WorkerId, size = 256): ArenaExtent {
    const requestId = this.#nextRequestId++;
    this.handle({ type: "allocateArena", from, requestId, size, mayWait: false });
    const { segment, offset, error } = this.out.last("arenaAllocated", from);
    expect(error).toBeNull();
    return { segment, offset, size };
  }

  reads(from: WorkerId, of: WorkerId, ...extents: ArenaExtent[]): void {
    this.handle({ type: "arenaInUse", from, of, extents });
  }

  gives(from: WorkerId, to: WorkerId, ...extents: ArenaExtent[]): void {
    this.handle({ type: "arenaGiven", from, to, extents });
  }

  frees(from: WorkerId, ...extents: ArenaExtent[]): void {
    this.handle({ type: "freeArena", from, extents });
  }

  asked(of: WorkerId): string[] {
    return this.out.sent.flatMap(({ to, message }) =>
      message.type === "askArenaUse" && message.of === of ? [to] : [],
    );
  }
}

describe("a worker has ended", () => {
  test("what it had is free when all have answered, behind its death", () => {
    const h = new Reclaims();
    h.room(worker(1), 1_000);
    h.room(worker(2), 256);
    h.exit(1);
    expect(h.asked(worker(1))).toEqual([driver, worker(2)]);
    const told = h.out.sent.filter(({ to }) => to === worker(2)).map(({ message }) => message.type);
    expect(told.slice(-2)).toEqual(["workerDied", "askArenaUse"]);
    h.reads(driver, worker(1));
    expect(h.usedBytes).toBe(1_024 + 256);
    h.reads(worker(2), worker(1));
    expect(h.usedBytes).toBe(256);
  });

  test("what somebody reads stays until the last who does is done", () => {
    const h = new Reclaims();
    const [first, second] = [h.room(worker(1)), h.room(worker(1))];
    h.exit(1);
    h.reads(driver, worker(1), first);
    h.reads(worker(2), worker(1), first, second);
    expect(h.usedBytes).toBe(512);
    h.reads(worker(2), worker(1), first);
    expect(h.usedBytes).toBe(256);
    h.reads(driver, worker(1));
    expect(h.usedBytes).toBe(256);
    h.reads(worker(2), worker(1));
    expect(h.usedBytes).toBe(0);
    expect(h.raylet.objects.reclaims.openCount).toBe(0);
  });

  test("an answer that comes again frees nothing twice, nor does one that nobody asked for", () => {
    const h = new Reclaims();
    const extent = h.room(worker(1));
    h.exit(1);
    for (const from of [driver, worker(2), driver]) h.reads(from, worker(1));
    expect(h.usedBytes).toBe(0);
    const again = h.room(worker(2));
    expect(again.offset).toBe(extent.offset);
    h.reads(driver, worker(1), extent);
    h.reads(driver, worker(1));
    expect(h.usedBytes).toBe(256);
  });

  test("one that dies while it is asked, or reads, is done", () => {
    const h = new Reclaims(3);
    const extent = h.room(worker(1));
    h.exit(1);
    h.reads(driver, worker(1));
    h.reads(worker(2), worker(1), extent);
    h.exit(3);
    expect(h.usedBytes).toBe(256);
    h.exit(2);
    expect(h.usedBytes).toBe(0);
    for (const dead of [2, 3]) h.reads(driver, worker(dead));
    expect(h.raylet.objects.reclaims.openCount).toBe(0);
  });

  test("one that is told to end still reads until it has", () => {
    const h = new Reclaims(3);
    h.createActor(1);
    const actorWorker = [1, 2, 3].find((n) => h.out.all("constructActor", worker(n)).length > 0);
    expect(actorWorker).toBeDefined();
    const dead = [1, 2, 3].find((n) => n !== actorWorker) as number;
    const third = [1, 2, 3].find((n) => n !== actorWorker && n !== dead) as number;
    h.room(worker(dead));
    h.stopActor(1);
    h.exit(dead);
    h.reads(driver, worker(dead));
    h.reads(worker(third), worker(dead));
    expect(h.usedBytes).toBe(256);
    h.exit(actorWorker as number, { type: "stopped" });
    expect(h.usedBytes).toBe(0);
  });

  test("one that begins meanwhile is told of the death before anything, and asked", () => {
    const h = new Reclaims();
    const extent = h.room(worker(1));
    for (let leaseId = 1; leaseId <= 4; leaseId++) h.request(leaseId);
    const [started] = h.started();
    expect(started).toBeDefined();
    h.exit(1);
    h.reads(driver, worker(1));
    h.out.clear();
    h.handle({ type: "workerReady", workerId: started as WorkerId });
    const told = h.out.sent.filter(({ to }) => to === started).map(({ message }) => message.type);
    expect(told.slice(0, 2)).toEqual(["workerDied", "askArenaUse"]);
    h.reads(worker(2), worker(1));
    expect(h.usedBytes).toBe(256);
    h.reads(started as WorkerId, worker(1), extent);
    expect(h.usedBytes).toBe(256);
    h.reads(started as WorkerId, worker(1));
    expect(h.usedBytes).toBe(0);
  });

  test("one that was never ready had nothing that anybody knows of", () => {
    const h = new Reclaims(0);
    h.request(1);
    const [started] = h.started();
    h.room(started as WorkerId);
    const exit = { type: "failedToStart", message: "no" } as const;
    h.handle({ type: "workerExited", workerId: started as WorkerId, exit });
    expect(h.usedBytes).toBe(0);
  });

  test("its own segments go, but for those that are read", () => {
    const h = new Reclaims();
    const own = { segment: 90_000, offset: 0, size: 100 };
    h.exit(1);
    h.reads(driver, worker(1), own);
    h.reads(worker(2), worker(1));
    h.reads(driver, worker(1));
    const dropped = h.out.instructions.filter(({ type }) => type === "dropSegments");
    expect(dropped).toEqual([
      { type: "dropSegments", workerId: worker(1), kept: [90_000] },
      { type: "dropSegments", workerId: worker(1), kept: [] },
    ]);
  });
});

describe("results that it had written", () => {
  test("are their owner's, and go with that one", () => {
    const h = new Reclaims();
    const [given, own] = [h.room(worker(1)), h.room(worker(1))];
    h.gives(worker(1), driver, given);
    h.exit(1);
    for (const from of [driver, worker(2)]) h.reads(from, worker(1));
    expect(h.usedBytes).toBe(256);
    expect(h.room(worker(2)).offset).toBe(own.offset);
    h.frees(driver, given);
    expect(h.usedBytes).toBe(256);
  });

  test("of a living process go with the owner", () => {
    const h = new Reclaims(3);
    const given = h.room(worker(1));
    h.gives(worker(1), worker(2), given);
    h.exit(2);
    for (const from of [driver, worker(1), worker(3)]) h.reads(from, worker(2));
    expect(h.usedBytes).toBe(0);
  });

  test("that are given to a dead owner are free, once nobody reads what that one had", () => {
    const h = new Reclaims(3);
    const [early, late] = [h.room(worker(1)), h.room(worker(1))];
    h.exit(2);
    h.gives(worker(1), worker(2), early);
    h.reads(driver, worker(2), early);
    for (const from of [worker(1), worker(3)]) h.reads(from, worker(2));
    expect(h.usedBytes).toBe(512);
    h.reads(driver, worker(2));
    expect(h.usedBytes).toBe(256);
    h.gives(worker(1), worker(2), late);
    expect(h.usedBytes).toBe(0);
  });

  test("may be freed before it is known that they were given", () => {
    const h = new Reclaims();
    const given = h.room(worker(1));
    h.frees(driver, given);
    expect(h.usedBytes).toBe(256);
    h.gives(worker(1), driver, given);
    expect(h.usedBytes).toBe(0);
  });

  test("that were freed first and are not given before the end are not remembered", () => {
    const h = new Reclaims();
    const given = h.room(worker(1));
    h.frees(driver, given);
    h.exit(1);
    for (const from of [driver, worker(2)]) h.reads(from, worker(1));
    expect(h.usedBytes).toBe(0);
    expect(h.room(worker(2))).toEqual(given);
    h.gives(worker(2), driver, given);
    expect(h.usedBytes).toBe(256);
  });

  test("for an owner on another node are kept by the raylet", () => {
    const h = new Reclaims();
    const extent = h.room(worker(1));
    const owner = workerIdOf(otherNodeId, 1);
    const sealed = { owner, serial: 1, index: 1, version: 0, extent };
    h.handle({ type: "objectSealed", from: worker(1), requestId: 1, objects: [sealed] });
    h.exit(1);
    for (const from of [driver, worker(2)]) h.reads(from, worker(1));
    expect(h.usedBytes).toBe(256);
    const objects = [{ serial: 1, index: 1, version: 0 }];
    h.handle({ type: "freeObjects", from: owner, objects });
    expect(h.usedBytes).toBe(0);
  });
});

describe("what a worker wrote for its owner, who says more of it before the worker does", () => {
  const name = { serial: 1, index: 1, version: 0 };
  const object = { owner: driver, ...name };

  test.each(["objectsOffered", "objectSealed"] as const)("%s: the room is given once", (type) => {
    const h = new Reclaims();
    const extent = h.room(worker(1));
    const about = { from: driver, requestId: 1, objects: [{ ...object, extent }] };
    if (type === "objectsOffered") h.handle({ type, told: [], ...about });
    else h.handle({ type, ...about });
    h.handle({ type: "freeObjects", from: driver, objects: [name] });
    expect(h.usedBytes).toBe(0);
    h.gives(worker(1), driver, extent);
    const next = h.room(worker(2));
    expect(next).toEqual(extent);
    h.gives(worker(2), driver, next);
    expect(h.usedBytes).toBe(256);
    h.room(worker(2));
    h.frees(driver, next);
    expect(h.usedBytes).toBe(256);
  });
});

describe("values that it had told other nodes of", () => {
  const name = { serial: 1, index: 0, version: 0 };

  function sealed(isManaged: boolean): { h: Reclaims; extent: ArenaExtent } {
    const h = new Reclaims();
    const extent = h.room(worker(1));
    const objects = [{ owner: worker(1), ...name, extent }];
    const about = { from: worker(1), requestId: 1, objects };
    if (isManaged) h.handle({ type: "objectsOffered", told: [], ...about });
    else h.handle({ type: "objectSealed", ...about });
    return { h, extent };
  }

  test("go like all that it had", () => {
    const { h, extent } = sealed(false);
    h.exit(1);
    h.reads(driver, worker(1), extent);
    h.reads(worker(2), worker(1));
    expect(h.usedBytes).toBe(256);
    h.reads(driver, worker(1));
    expect(h.usedBytes).toBe(0);
  });

  test.each([false, true])("go with the last pin, too; managed: %s", (isManaged) => {
    const { h } = sealed(isManaged);
    const object = { serial: 1, index: 0 };
    const asked = { from: driver, requestId: 5, owner: worker(1), object, priority: 0 } as const;
    h.handle({ type: "pullObject", ...asked });
    expect(h.out.last("objectLocal", driver).requestId).toBe(5);
    h.exit(1);
    for (const from of [driver, worker(2)]) h.reads(from, worker(1));
    expect(h.usedBytes).toBe(256);
    h.handle({ type: "unpinObjects", from: driver, requestIds: [5] });
    expect(h.usedBytes).toBe(0);
    expect(h.raylet.objects.reclaims.openCount).toBe(0);
    expect(h.out.all("segmentFreed")).toEqual([]);
    expect(h.out.all("askArenaUse", nodeId)).toEqual([]);
  });

  test.each([false, true])("… that it had freed already; managed: %s", (isManaged) => {
    const { h } = sealed(isManaged);
    const object = { serial: 1, index: 0 };
    const asked = { from: driver, requestId: 5, owner: worker(1), object, priority: 0 } as const;
    h.handle({ type: "pullObject", ...asked });
    h.handle({ type: "freeObjects", from: worker(1), objects: [name] });
    h.exit(1);
    for (const from of [driver, worker(2)]) h.reads(from, worker(1));
    expect(h.usedBytes).toBe(256);
    h.handle({ type: "unpinObjects", from: driver, requestIds: [5] });
    expect(h.usedBytes).toBe(0);
    expect(h.raylet.objects.reclaims.openCount).toBe(0);
  });
});
