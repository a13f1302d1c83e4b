/** Objects at a raylet: what is brought, what is sent, what is kept and what goes. */
import { describe, expect, test } from "vitest";
import { gcsAddress, type NodeId, type WorkerId } from "#engine/common/ids.ts";
import type { CopyName } from "#engine/protocol/copy.ts";
import { FailedValue, StoredValue } from "#engine/protocol/outcome.ts";
import { copy, owner, Pulls } from "./pulls-harness.ts";
import { driver, nodeId, otherNodeId, worker } from "./raylet-harness.ts";

const third = "11111111111111111111111111111111" as NodeId;

describe("a pull", () => {
  test("locates, takes room, asks for chunks, and tells all who wait", () => {
    const h = new Pulls();
    const first = h.pull(worker(1));
    const second = h.pull(worker(2), { priority: 2 });
    expect(h.out.all("locateObject", owner)).toHaveLength(1);
    h.locate([otherNodeId]);
    const asked = h.out.all("pullChunk", otherNodeId);
    expect(asked.map(({ offset, size }) => [offset, size])).toEqual([
      [0, 100],
      [100, 100],
      [200, 50],
    ]);
    h.answer();
    const stored = h.out.instructions.map((one) => one.type === "storeChunk" && one.to.offset);
    expect(stored).toEqual([0, 100, 200]);
    for (const id of [first, second])
      expect(h.localOf(id)).toMatchObject({ size: 250, node: nodeId });
    expect(h.out.last("copyAdded", owner).copy).toEqual(copy);
    expect([...h.raylet.objects.pulls.pulls()]).toEqual([]);
    h.out.clear();
    expect(h.pull(driver)).toBe(3);
    expect(h.localOf(3)).toMatchObject({ size: 250 });
  });

  test("asks for no more at once than is allowed, the more urgent first", () => {
    const h = new Pulls({ pullBytesInFlightMax: 200 });
    h.pull(worker(1), { priority: 2, serial: 8 });
    h.locate([otherNodeId], 500, { serial: 8 });
    expect(h.out.all("pullChunk")).toHaveLength(2);
    const [first] = h.out.all("pullChunk");
    h.pull(worker(1), { priority: 0, serial: 9 });
    h.locate([otherNodeId], 500, { serial: 9 });
    h.out.clear();
    h.chunk(first?.requestId ?? 0, 100);
    expect(h.out.last("pullChunk").copy.serial).toBe(9);
  });

  test("uses several sources, and goes on with the others when one is lost", () => {
    const h = new Pulls();
    const id = h.pull(worker(1));
    h.locate([otherNodeId, third], 400);
    expect(h.out.all("pullChunk", third)).toHaveLength(2);
    const [lost, answered] = h.out.all("pullChunk", third);
    const near = h.out.all("pullChunk", otherNodeId);
    h.chunk(answered?.requestId ?? 0, 100, third);
    h.out.clear();
    h.handle({ type: "nodeDied", from: gcsAddress, nodeId: third, reason: "gone" });
    const gone = h.out.last("copyGone", owner);
    expect(gone).toMatchObject({ copy, nodeId: third, cause: "gone" });
    const again = h.out.all("pullChunk", otherNodeId);
    expect(again).toMatchObject([{ offset: lost?.offset }]);
    h.answer([...near, ...again]);
    expect(h.localOf(id)).toMatchObject({ size: 400 });
  });

  test("asks the owner again when no source is left, and keeps what it has of that version", () => {
    const h = new Pulls();
    const id = h.pull(worker(1));
    h.locate([otherNodeId], 200);
    const [first, second] = h.out.all("pullChunk");
    h.chunk(first?.requestId ?? 0, 100);
    h.out.clear();
    h.notHere(second?.requestId ?? 0, 7);
    expect(h.out.last("copyGone", owner)).toMatchObject({ nodeId: otherNodeId, lastArrival: 7 });
    expect(h.out.all("locateObject", owner)).toHaveLength(1);
    h.out.clear();
    h.locate([third], 200);
    expect(h.out.all("pullChunk", third)).toMatchObject([{ offset: 100, size: 100 }]);
    h.chunk(h.out.last("pullChunk").requestId, 100, third);
    expect(h.localOf(id)).toMatchObject({ version: 2 });
  });

  test("begins anew with another version, and takes nothing of the old one", () => {
    const h = new Pulls();
    h.pull(worker(1));
    h.locate([otherNodeId, third], 200);
    const [late] = h.out.all("pullChunk", third);
    const [refused] = h.out.all("pullChunk", otherNodeId);
    h.notHere(refused?.requestId ?? 0);
    h.handle({ type: "freeObjects", from: owner, objects: [copy] });
    h.out.clear();
    h.locate([otherNodeId], 200, { version: 3 });
    expect(h.out.all("pullChunk").map(({ offset }) => offset)).toEqual([0, 100]);
    const asked = h.out.all("pullChunk");
    h.out.clear();
    h.chunk(late?.requestId ?? 0, 100, third);
    expect(h.out.instructions).toEqual([]);
    h.answer(asked);
    expect(h.out.last("copyAdded").copy.version).toBe(3);
  });

  test("ends with the last who waits for it; another's time-out changes nothing", () => {
    const h = new Pulls();
    const [first, second] = [h.pull(worker(1)), h.pull(worker(2))];
    h.locate([otherNodeId], 300);
    h.unpin(worker(1), first);
    expect([...h.raylet.objects.pulls.pulls()]).toHaveLength(1);
    const before = h.freeBytes;
    h.unpin(worker(2), second);
    expect([...h.raylet.objects.pulls.pulls()]).toEqual([]);
    expect(h.freeBytes).toBe(before + 320);
    h.answer();
    expect(h.out.instructions).toEqual([]);
    expect(h.raylet.objects.pulls.chunksInFlight).toBe(0);
  });

  test("tells what the owner has instead, and the owner's death", () => {
    const h = new Pulls();
    const first = h.pull(worker(1));
    h.found([], 7);
    expect(h.localOf(first)).toBe(7);
    const second = h.pull(worker(1));
    const error = { type: "WORKER_CRASHED", message: "boom", subject: "", detail: "" } as const;
    h.handle({ type: "workerDied", from: otherNodeId, workerId: owner, error });
    expect(h.localOf(second)).toMatchObject({ error: { type: "OWNER_DIED" } });
    const third = h.pull(worker(1));
    expect(h.localOf(third)).toMatchObject({ error: { type: "OWNER_DIED" } });
  });

  test("waits for room, for a while", () => {
    const h = new Pulls({ pullRoomTimeoutMs: 100 }, [512]);
    const first = h.pull(worker(1));
    h.locate([otherNodeId], 400);
    h.answer();
    const second = h.pull(worker(2), { serial: 6 });
    h.locate([otherNodeId], 300, { serial: 6 });
    expect(h.out.all("pullChunk")).toEqual([]);
    expect(h.raylet.nextDeadlineMs()).toBe(100);
    h.unpin(worker(1), first);
    expect(h.out.last("copyGone", owner)).toMatchObject({ copy, nodeId });
    expect(h.out.all("pullChunk")).toHaveLength(3);
    const third = h.pull(worker(1), { serial: 7 });
    h.locate([otherNodeId], 300, { serial: 7 });
    h.nowMs = 150;
    h.deadline();
    expect(h.localOf(third)).toMatchObject({ error: { type: "OBJECT_STORE_FULL" } });
    expect(h.localOf(second)).toBeUndefined();
  });

  test("steps back in line when who needed it most lets go of it", () => {
    const h = new Pulls({}, [512]);
    const first = h.pull(worker(1));
    h.locate([otherNodeId], 400);
    h.answer();
    const most = h.pull(worker(2), { serial: 6 });
    const least = h.pull(worker(1), { serial: 6, priority: 2 });
    h.locate([otherNodeId], 300, { serial: 6 });
    const other = h.pull(worker(2), { serial: 7, priority: 1 });
    h.locate([otherNodeId], 300, { serial: 7 });
    h.unpin(worker(2), most);
    h.unpin(worker(1), first);
    h.answer();
    expect(h.localOf(other)).toBeInstanceOf(StoredValue);
    expect(h.localOf(least)).toBeUndefined();
  });

  test("that waits for others says so, and not that there is no room", () => {
    const h = new Pulls({ pullBytesInFlightMax: 100 });
    const first = h.pull(worker(1));
    h.locate([otherNodeId]);
    const second = h.pull(worker(2), { serial: 6 });
    h.locate([otherNodeId], 250, { serial: 6 });
    const from = `it is on its way from node ${otherNodeId} (0 of 250 bytes are here)`;
    expect(h.whyNot(worker(1), first)).toBe(from);
    expect(h.whyNot(worker(2), second)).toBe(`waits until others are brought to node ${nodeId}`);
    h.answer();
    h.answer();
    h.answer();
    expect(h.whyNot(worker(1), first)).toBe("its bytes are here by now");
    expect(h.whyNot(worker(2), second)).toBe(from);
  });

  test("that has failed is not said to be here", () => {
    const h = new Pulls();
    const pullId = h.pull(worker(1));
    h.handle({ type: "workerExited", workerId: worker(1), exit: { type: "exited", code: 0 } });
    const other = h.pull(worker(2));
    h.found(
      [],
      new FailedValue({ type: "OBJECT_LOST", message: "", subject: "", detail: "" }, null),
    );
    expect(h.whyNot(worker(2), other)).toBe("what has become of it is on its way");
    expect(h.localOf(pullId)).toBeUndefined();
  });

  test("for which there is room has it when the one before it in line has waited in vain", () => {
    const h = new Pulls({ pullRoomTimeoutMs: 100, pullChunkBytes: 1_000 }, [512]);
    h.pull(worker(1));
    h.locate([otherNodeId], 256);
    h.answer();
    const held = h.pull(worker(1), { serial: 6 });
    h.locate([otherNodeId], 192, { serial: 6 });
    h.answer();
    const small = h.pull(worker(2), { serial: 7, priority: 2 });
    h.locate([otherNodeId], 192, { serial: 7 });
    const large = h.pull(worker(2), { serial: 8 });
    h.locate([otherNodeId], 300, { serial: 8 });
    h.unpin(worker(1), held);
    expect(h.out.all("pullChunk")).toEqual([]);
    h.nowMs = 100;
    h.deadline();
    expect(h.localOf(large)).toMatchObject({ error: { type: "OBJECT_STORE_FULL" } });
    expect(h.localOf(small)).toBeUndefined();
    h.answer();
    expect(h.localOf(small)).toBeInstanceOf(StoredValue);
  });

  test("has room when the one before it, which waits for more, has to ask for another copy", () => {
    const h = new Pulls({}, [512]);
    h.pull(driver, { serial: 1 });
    h.locate([otherNodeId], 400, { serial: 1 });
    h.answer();
    h.answer();
    h.pull(worker(1), { serial: 2 });
    h.locate([third], 300, { serial: 2 });
    h.pull(worker(2), { serial: 3 });
    h.locate([otherNodeId], 64, { serial: 3 });
    expect(h.out.all("pullChunk")).toEqual([]);
    h.handle({ type: "nodeDied", from: gcsAddress, nodeId: third, reason: "gone" });
    expect(h.out.last("locateObject", owner)).toMatchObject({ object: { serial: 2 } });
    expect(h.out.all("pullChunk", otherNodeId)).toMatchObject([{ copy: { serial: 3 } }]);
  });

  test("of a copy that lies here and goes while others stand before it asks for another", () => {
    const h = new Pulls({ pullBytesInFlightMax: 100 }, [1024]);
    const read = h.pull(driver, { serial: 1 });
    h.locate([otherNodeId], 200, { serial: 1 });
    h.answer();
    h.answer();
    h.unpin(driver, read);
    h.pull(worker(1), { serial: 2 });
    h.locate([otherNodeId], 100, { serial: 2 });
    h.pull(worker(1), { serial: 3 });
    h.locate([otherNodeId], 800, { serial: 3 });
    const id = h.pull(worker(2), { serial: 1 });
    expect(h.localOf(id)).toBeUndefined();
    h.out.clear();
    for (const [requestId, size] of [640, 200].entries()) {
      h.handle({ type: "allocateArena", from: driver, requestId, size, mayWait: false });
    }
    expect(h.out.last("arenaAllocated", driver).error).toBeNull();
    expect(h.out.all("locateObject", owner)).toMatchObject([{ object: { serial: 1 } }]);
    expect(h.whyNot(worker(2), id)).toMatch(/is asked where it lies/);
  });

  test("waits a little longer when another has given up", () => {
    const h = new Pulls({ pullRoomTimeoutMs: 800 }, [512]);
    h.pull(worker(1));
    h.locate([otherNodeId], 512);
    h.answer();
    // Each is the first in line when it comes, so each begins to wait.
    const waiting = ([2, 1, 0] as const).map((priority) => {
      const serial = 10 + priority;
      const requestId = h.pull(worker(2), { serial, priority });
      h.locate([otherNodeId], 300, { serial });
      return requestId;
    });
    const overAt = [700, 800, 899, 900, 999, 1_000].map((nowMs) => {
      h.nowMs = nowMs;
      h.deadline();
      return waiting.filter((id) => h.localOf(id) !== undefined).length;
    });
    expect(overAt).toEqual([0, 1, 1, 2, 2, 3]);
  });

  test("fails at once for what no segment could hold", () => {
    const h = new Pulls({ overflowBytesMax: 599 }, [512]);
    const id = h.pull(worker(1));
    h.locate([otherNodeId], 600);
    expect(h.localOf(id)).toBeInstanceOf(FailedValue);
  });

  test("is over for a process that ends", () => {
    const h = new Pulls();
    h.pull(worker(1));
    h.locate([otherNodeId], 100);
    h.exit(1);
    expect([...h.raylet.objects.pulls.pulls()]).toEqual([]);
  });
});

describe("copies on a node", () => {
  const sealed = (h: Pulls, by: WorkerId, of: WorkerId, size = 200): void => {
    const extent = h.raylet.objects.store.reserve({ size, mayOverflow: false }, 0, h.out);
    if (extent === null) throw new Error("no room");
    const objects = [{ ...copy, owner: of, extent }];
    h.handle({ type: "objectSealed", from: by, requestId: 9, objects });
  };

  test("a result for an owner elsewhere stays until that frees it", () => {
    const h = new Pulls();
    sealed(h, worker(1), owner);
    expect(h.out.last("objectsKept", worker(1)).requestId).toBe(9);
    expect(h.out.all("watchWorker", otherNodeId)).toHaveLength(1);
    h.exit(1);
    expect([...h.raylet.objects.objects.all()]).toHaveLength(1);
    const older: CopyName = { ...copy, version: 1 };
    h.handle({ type: "freeObjects", from: owner, objects: [older] });
    expect([...h.raylet.objects.objects.all()]).toHaveLength(1);
    h.handle({ type: "freeObjects", from: owner, objects: [copy] });
    expect(h.freeBytes).toBe(4096);
    h.handle({ type: "freeObjects", from: owner, objects: [copy] });
    expect(h.freeBytes).toBe(4096);
  });

  test("goes when its owner dies, but not under who reads it", () => {
    const h = new Pulls();
    sealed(h, worker(1), owner);
    const id = h.pull(worker(2));
    h.handle({ type: "nodeDied", from: gcsAddress, nodeId: otherNodeId, reason: "gone" });
    expect(h.freeBytes).toBeLessThan(4096);
    h.unpin(worker(2), id);
    expect(h.freeBytes).toBe(4096);
    sealed(h, worker(1), owner);
    expect(h.freeBytes).toBe(4096);
  });

  test("a secondary becomes the primary, or is told to be gone", () => {
    const h = new Pulls({}, [512]);
    const id = h.pull(worker(1));
    h.locate([otherNodeId], 400);
    h.answer();
    h.unpin(worker(1), id);
    h.handle({ type: "pinCopy", from: owner, copy });
    expect(h.out.last("copyPinned", owner).isHere).toBe(true);
    h.handle({ type: "allocateArena", from: worker(1), requestId: 1, size: 300, mayWait: false });
    expect(h.out.last("arenaAllocated").error?.type).toBe("OBJECT_STORE_FULL");
    h.handle({ type: "pinCopy", from: owner, copy: { ...copy, version: 7 } });
    expect(h.out.last("copyPinned", owner).isHere).toBe(false);
  });

  test("idle secondaries make room, the least recently used first", () => {
    const h = new Pulls({}, [512]);
    for (const serial of [6, 7]) {
      const id = h.pull(worker(1), { serial });
      h.locate([otherNodeId], 200, { serial });
      h.answer();
      h.unpin(worker(1), id);
    }
    h.handle({
      ...{ type: "pullChunk", from: third, requestId: 1, owner },
      ...{ copy: { ...copy, serial: 6 }, offset: 0, size: 100 },
    } as const);
    h.out.clear();
    h.handle({ type: "allocateArena", from: worker(1), requestId: 1, size: 200, mayWait: false });
    expect(h.out.last("arenaAllocated").error).toBeNull();
    expect(h.out.all("copyGone").map((gone) => gone.copy.serial)).toEqual([7]);
  });

  test("what an owner of this node registered is its own: its segment comes back to it", () => {
    const h = new Pulls();
    const extent = { segment: 70_000, offset: 0, size: 200 };
    const objects = [{ ...copy, owner: driver, extent }];
    h.handle({ type: "objectSealed", from: driver, requestId: 1, objects });
    h.handle({ type: "freeObjects", from: driver, objects: [copy] });
    expect(h.out.last("segmentFreed", driver).segment).toBe(70_000);
  });
});

describe("chunks for others", () => {
  const asks = (h: Pulls, from: NodeId, requestId: number, of = copy): void => {
    const wanted = { owner, copy: of, offset: 0, size: 100 };
    h.handle({ type: "pullChunk", from, requestId, ...wanted });
  };
  const withCopy = (): Pulls => {
    const h = new Pulls();
    h.pull(worker(1));
    h.locate([otherNodeId], 200);
    h.answer();
    h.out.clear();
    return h;
  };

  test("of what is here; the rest is told not to be", () => {
    const h = withCopy();
    asks(h, third, 1);
    expect(h.out.last("chunk", third)).toMatchObject({ requestId: 1, bytes: { size: 100 } });
    asks(h, third, 2, { ...copy, version: 9 });
    expect(h.out.last("notHere", third).requestId).toBe(2);
  });

  test("none on a full link; then each node in turn, a few a turn", () => {
    const h = withCopy();
    h.out.congested.add(third);
    h.out.congested.add(otherNodeId);
    for (const id of [1, 2, 3]) asks(h, third, id);
    for (const id of [4, 5]) asks(h, otherNodeId, id);
    expect(h.out.all("chunk")).toEqual([]);
    h.out.congested.clear();
    h.handle({ type: "writable", peer: third });
    expect(h.out.all("chunk").map(({ requestId }) => requestId)).toEqual([1, 4]);
    expect(h.raylet.nextDeadlineMs()).toBe(0);
    h.deadline();
    h.deadline();
    expect(h.out.all("chunk").map(({ requestId }) => requestId)).toEqual([1, 4, 2, 5, 3]);
    expect(h.raylet.objects.pushes.waitingCount).toBe(0);
  });

  test("none for a node that died", () => {
    const h = withCopy();
    h.out.congested.add(third);
    asks(h, third, 1);
    h.handle({ type: "nodeDied", from: gcsAddress, nodeId: third, reason: "gone" });
    expect(h.raylet.objects.pushes.waitingCount).toBe(0);
  });
});
