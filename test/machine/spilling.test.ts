/** The store of a raylet above its threshold: what is offered, written, evicted and read back. */
import { describe, expect, test } from "vitest";
import type { Config } from "#engine/common/config.ts";
import { FrameBytes } from "#engine/protocol/arena.ts";
import { StoredValue } from "#engine/protocol/outcome.ts";
import type { SpillFailure } from "#engine/raylet/spill-io.ts";
import { driver, nodeId, otherNodeId, RayletHarness } from "./raylet-harness.ts";

const size = 200;
const corrupt: SpillFailure = { kind: "corrupt", text: "another checksum" };
const broken: SpillFailure = { kind: "io", text: "input/output error" };

/** A store for four objects, of which three are below the threshold. */
class Spilling extends RayletHarness {
  #nextRequestId = 1;
  #answeredCount = 0;

  constructor(config: Partial<Config> = {}) {
    super({ config: { minSpillBytes: size, ioWorkers: 1, ...config }, segments: [1024] });
  }

  /** Room for an object of the driver, and the object in it. */
  store(count: number): void {
    for (let i = 0; i < count; i++) this.ask(false);
  }

  ask(mayWait: boolean): number {
    const requestId = this.#nextRequestId++;
    this.handle({ type: "allocateArena", from: driver, requestId, size, mayWait });
    return requestId;
  }

  offer(...serials: number[]): void {
    const objects = serials.map((serial) => {
      const extent = { segment: 0, offset: (serial - 1) * 256, size };
      return { owner: driver, serial, index: 0, version: 0, extent };
    });
    const requestId = this.#nextRequestId++;
    this.handle({ type: "objectsOffered", from: driver, requestId, objects, told: [] });
  }

  pull(serial: number): number {
    const requestId = this.#nextRequestId++;
    const object = { serial, index: 0 };
    this.handle({
      type: "pullObject",
      from: driver,
      requestId,
      owner: driver,
      object,
      priority: 0,
    });
    return requestId;
  }

  whyNot(pullId: number): string {
    const requestId = this.#nextRequestId++;
    this.handle({ type: "explainPull", from: driver, requestId, pullId });
    const { text, requestId: answered } = this.out.last("pullExplained", driver);
    expect(answered).toBe(requestId);
    return text;
  }

  /** All that was asked for, and what is asked for then. */
  written(): void {
    while (this.#answeredCount < this.asked("spillObjects")) this.writtenOne(null);
  }

  writtenOne(failure: SpillFailure | null): void {
    const asked = this.#all("spillObjects")[this.#answeredCount++];
    expect(asked).toBeDefined();
    if (asked === undefined) return;
    const { requestId, parts } = asked;
    const checksums = parts.map(() => [7]);
    this.handle({ type: "objectsSpilled", requestId, checksums, failure });
  }

  restored(failure: SpillFailure | null = null): void {
    const requestId = this.#all("restoreObject").at(-1)?.requestId ?? 0;
    this.handle({ type: "objectRestored", requestId, failure });
  }

  /** Of the first object, for another node. */
  pullChunk(): void {
    const requestId = this.#nextRequestId++;
    const copy = { serial: 1, index: 0, version: 0 };
    const part = { owner: driver, copy, offset: 0, size };
    this.handle({ type: "pullChunk", from: otherNodeId, requestId, ...part });
  }

  spilledRead(failure: SpillFailure | null): void {
    const requestId = this.#all("readSpilled").at(-1)?.requestId ?? 0;
    const bytes = failure === null ? new FrameBytes(new Uint8Array(size), 0, size) : null;
    this.handle({ type: "spilledRead", requestId, bytes, failure });
  }

  asked(type: "spillObjects" | "restoreObject" | "readSpilled" | "deleteSpillFile"): number {
    return this.out.instructions.filter((one) => one.type === type).length;
  }

  get freeBytes(): number {
    return this.raylet.counts.arenaFreeBytes;
  }

  #all<T extends "spillObjects" | "restoreObject" | "readSpilled">(type: T) {
    type Found = Extract<(typeof this.out.instructions)[number], { type: T }>;
    return this.out.instructions.filter((one): one is Found => one.type === type);
  }
}

describe("a store above its threshold", () => {
  test("whose node may never spill asks its disk only for who waits", () => {
    const h = new Spilling({ spillDiskUsedMax: 0 });
    h.store(4);
    h.offer(1, 2);
    expect(h.asked("spillObjects")).toBe(0);
    h.ask(true);
    expect(h.asked("spillObjects")).toBe(1);
  });

  test("asks its processes, writes what they offer, and evicts it when there is need", () => {
    const h = new Spilling();
    h.store(3);
    expect(h.out.all("offerObjects")).toEqual([]);
    h.store(1);
    expect(h.out.all("offerObjects", driver)).toHaveLength(1);
    h.offer(1, 2);
    expect(h.asked("spillObjects")).toBe(1);
    h.written();
    // It stays where it is until somebody needs the room.
    expect(h.freeBytes).toBe(0);
    h.ask(false);
    expect(h.out.last("arenaAllocated").error).toBeNull();
  });

  test("reads back what is asked for, once for all, and tells who waits", () => {
    const h = withFirstOnDisk();
    const [first, second] = [h.pull(1), h.pull(1)];
    expect(h.asked("restoreObject")).toBe(1);
    h.restored();
    const told = h.out.all("objectLocal", driver);
    expect(told.map(({ requestId }) => requestId)).toEqual([first, second]);
    for (const { outcome } of told) expect(outcome).toMatchObject({ size, node: nodeId });
    expect(told[0]?.outcome).toBeInstanceOf(StoredValue);
  });

  test("takes what cannot be read back for a lost copy, and asks its owner", () => {
    const h = withFirstOnDisk();
    h.pull(1);
    h.restored(corrupt);
    expect(h.out.all("copyGone")).toEqual([]);
    h.handle({ type: "deadline" });
    expect(h.asked("restoreObject")).toBe(2);
    h.restored(corrupt);
    expect(h.out.last("copyGone", driver).cause).toContain("another checksum");
    expect(h.out.last("locateObject", driver).object).toEqual({ serial: 1, index: 0 });
    expect(h.asked("deleteSpillFile")).toBe(1);
  });

  test("reads again what failed, at last as often as it may, and later each time", () => {
    const h = withFirstOnDisk({ spillRetryMs: 50 });
    const requestId = h.pull(1);
    h.restored(broken);
    // A second answer to the same request is no second failure.
    h.restored(broken);
    expect(h.raylet.objects.nextDeadlineMs()).toBe(50);
    h.nowMs = 50;
    h.handle({ type: "deadline" });
    expect(h.asked("restoreObject")).toBe(2);
    h.restored(broken);
    expect(h.raylet.objects.nextDeadlineMs()).toBe(150);
    h.nowMs = 150;
    h.handle({ type: "deadline" });
    expect(h.asked("restoreObject")).toBe(3);
    expect(h.out.all("copyGone")).toEqual([]);
    h.restored();
    expect(h.out.last("objectLocal", driver).requestId).toBe(requestId);
    expect(h.raylet.objects.nextDeadlineMs()).toBe(Infinity);
  });

  test("takes for lost what failed three times", () => {
    const h = withFirstOnDisk({ spillRetryMs: 50 });
    h.pull(1);
    for (const nowMs of [0, 50, 150]) {
      h.nowMs = nowMs;
      h.handle({ type: "deadline" });
      expect(h.out.all("copyGone")).toEqual([]);
      h.restored(broken);
    }
    expect(h.out.last("copyGone", driver).cause).toContain("input/output error");
    expect(h.asked("restoreObject")).toBe(3);
  });

  test("does not read again what was freed meanwhile: its room and its file go", () => {
    const h = withFirstOnDisk();
    h.pull(1);
    const before = h.freeBytes;
    const objects = [{ serial: 1, index: 0, version: 0 }];
    h.handle({ type: "freeObjects", from: driver, objects });
    h.restored(broken);
    expect(h.asked("deleteSpillFile")).toBe(1);
    expect(h.freeBytes).toBe(before + 256);
    expect(h.raylet.objects.nextDeadlineMs()).toBe(Infinity);
  });

  test("reads again for another node, and says that it is not here when that is in vain", () => {
    const h = withFirstOnDisk({ spillRetryMs: 50 });
    h.pullChunk();
    h.spilledRead(broken);
    expect(h.out.all("notHere")).toEqual([]);
    h.nowMs = 50;
    h.handle({ type: "deadline" });
    h.spilledRead(null);
    expect(h.out.all("chunk", otherNodeId)).toHaveLength(1);
    h.pullChunk();
    h.spilledRead(corrupt);
    h.handle({ type: "deadline" });
    h.spilledRead(corrupt);
    expect(h.out.all("notHere", otherNodeId)).toHaveLength(1);
    expect(h.asked("readSpilled")).toBe(4);
  });

  test("reads nothing again for a node that has died", () => {
    const h = withFirstOnDisk();
    h.pullChunk();
    h.spilledRead(broken);
    h.raylet.objects.onNodeDied(otherNodeId, "gone", h.out);
    expect(h.raylet.objects.pushes.waitingCount).toBe(0);
    expect(h.raylet.objects.nextDeadlineMs()).toBe(Infinity);
  });

  test("does not give up a file, nor room, before the disk is done with them", () => {
    const h = withFirstOnDisk();
    h.pull(1);
    const objects = [{ serial: 1, index: 0, version: 0 }];
    h.handle({ type: "freeObjects", from: driver, objects });
    const before = h.freeBytes;
    expect(h.asked("deleteSpillFile")).toBe(0);
    h.restored();
    expect(h.asked("deleteSpillFile")).toBe(1);
    expect(h.freeBytes).toBe(before + 256);
  });

  test("says what who waits for it waits for", () => {
    const h = withFirstOnDisk();
    const first = h.pull(1);
    expect(h.whyNot(first)).toBe("it is being restored from disk");
    h.restored();
    expect(h.whyNot(first)).toBe("its bytes are here by now");
    expect(h.whyNot(99)).toBe("what has become of it is on its way");
    expect(h.whyNot(h.pull(9))).toBe(`its owner ${driver} is asked where it lies`);
  });

  test("says how full it is to who waits for room", () => {
    const h = withFirstOnDisk();
    for (const serial of [2, 3, 4]) h.pull(serial);
    const waiting = h.pull(1);
    const used = "1024 of 1024 bytes in use, it needs 200";
    expect(h.whyNot(waiting)).toBe(
      `it was spilled to the disk, and waits for room in the store of node ${nodeId} (${used})`,
    );
  });

  test("does not call spilled what lies in memory, and is left to those who asked before", () => {
    const h = new Spilling();
    h.store(4);
    h.offer(1);
    h.ask(true);
    h.written();
    // The room of the first is taken; the fourth could be spilled.
    h.offer(2, 3, 4);
    for (const serial of [2, 3]) h.pull(serial);
    const first = h.pull(1);
    const fourth = h.pull(4);
    expect(h.whyNot(first)).toMatch(/^it was spilled to the disk, and waits for room/);
    expect(h.whyNot(fourth)).toBe(
      `it lies in the store of node ${nodeId}, and those that asked before it lack room`,
    );
  });

  test("keeps in memory what could not be written, and tries again later", () => {
    const h = new Spilling({ spillRetryMs: 50 });
    h.store(4);
    h.offer(1, 2, 3, 4);
    h.writtenOne({ kind: "full", text: "no space" });
    const requestId = h.ask(true);
    expect(h.out.all("arenaAllocated").some((one) => one.requestId === requestId)).toBe(false);
    expect(h.raylet.objects.nextDeadlineMs()).toBe(50);
    h.nowMs = 50;
    h.handle({ type: "deadline" });
    h.written();
    expect(h.out.last("arenaAllocated")).toMatchObject({ requestId, error: null });
  });

  test("says after a while that the disk is full", () => {
    const h = new Spilling({ pullRoomTimeoutMs: 1_000 });
    h.store(4);
    h.offer(1, 2, 3, 4);
    h.writtenOne({ kind: "full", text: "no space" });
    h.ask(true);
    h.nowMs = 1_000;
    h.handle({ type: "deadline" });
    expect(h.out.last("arenaAllocated").error?.type).toBe("OUT_OF_DISK");
  });

  test("asks nobody again who had nothing, until there is more in it", () => {
    const h = new Spilling();
    h.store(4);
    h.offer();
    h.out.clear();
    h.nowMs = 5_000;
    h.handle({ type: "deadline" });
    expect(h.out.all("offerObjects")).toEqual([]);
    h.ask(false);
    expect(h.out.all("offerObjects", driver)).toHaveLength(1);
  });
});

/** Of four objects, the first; another has its room. */
function withFirstOnDisk(config: Partial<Config> = {}): Spilling {
  const h = new Spilling(config);
  h.store(4);
  h.offer(1, 2, 3, 4);
  h.written();
  h.ask(false);
  h.written();
  return h;
}
