/** What is waited for while the store is full and stays so: it grows. */
import { describe, expect, test } from "vitest";
import type { Config } from "#engine/common/config.ts";
import { FrameBytes, isOverflow, objectBytesMax } from "#engine/protocol/arena.ts";
import type { PullPriority } from "#engine/protocol/copy.ts";
import type { ArenaExtent } from "#engine/protocol/object.ts";
import { FailedValue, StoredValue } from "#engine/protocol/outcome.ts";
import type { RayletInstruction } from "#engine/raylet/raylet.ts";
import { copy, owner, Pulls } from "./pulls-harness.ts";
import { driver, nodeId, otherNodeId, worker } from "./raylet-harness.ts";

const graceMs = 50;
const retryMs = 100;

/** A store of 512 bytes, of which the driver reads 400 that lie on another node too. */
class Overflowing extends Pulls {
  constructor(config: Partial<Config> = {}) {
    super({ overflowGraceMs: graceMs, pullRoomTimeoutMs: 1_000, ...config }, [512]);
    this.pull(driver, { serial: 1 });
    this.locate([otherNodeId], 400, { serial: 1 });
    this.answer();
    this.out.clear();
  }

  /** Of another, that finds no room. */
  pullMore(serial: number, size = 300, priority: PullPriority = 0): number {
    const id = this.pull(worker(1), { serial, priority });
    this.locate([otherNodeId], size, { serial });
    return id;
  }

  /** A result of a process. */
  ask(requestId: number, size = 300, mayWait = true): void {
    this.handle({ type: "allocateArena", from: worker(1), requestId, size, mayWait });
  }

  /** A result for an owner elsewhere. */
  sealed(extent: ArenaExtent): void {
    const name = { owner, serial: 9, index: 1, version: 0 };
    const objects = [{ ...name, extent }];
    this.handle({ type: "objectSealed", from: worker(1), requestId: 1, objects });
  }

  passTime(ms: number): void {
    this.nowMs += ms;
    this.deadline();
  }

  all<T extends RayletInstruction["type"]>(type: T): Extract<RayletInstruction, { type: T }>[] {
    type Found = Extract<RayletInstruction, { type: T }>;
    return this.out.instructions.filter((one): one is Found => one.type === type);
  }

  /** What was asked for last. */
  made(isMade = true): void {
    const segment = this.all("makeOverflow").at(-1)?.segment ?? 0;
    this.handle({ type: "overflowMade", segment, isMade });
  }

  get beyondBytes(): number {
    return this.raylet.objects.store.overflowBytes;
  }
}

describe("a pull that finds no room", () => {
  test("lies beyond the store after a while, and goes with its last reader", () => {
    const h = new Overflowing();
    const id = h.pullMore(2);
    h.passTime(graceMs - 1);
    expect(h.all("makeOverflow")).toEqual([]);
    h.passTime(1);
    expect(h.all("makeOverflow")).toMatchObject([{ size: 300 }]);
    expect(h.out.all("pullChunk")).toEqual([]);
    const { segment } = h.all("makeOverflow")[0] ?? { segment: 0 };
    h.made();
    h.answer();
    expect(h.localOf(id)).toMatchObject({ segment, offset: 0, size: 300, node: nodeId });
    expect(isOverflow(segment)).toBe(true);
    expect(h.beyondBytes).toBe(300);
    h.unpin(worker(1), id);
    expect(h.all("dropOverflow")).toEqual([{ type: "dropOverflow", segment }]);
    const gone = { serial: 2, index: copy.index, version: copy.version };
    expect(h.out.last("copyGone", owner)).toMatchObject({ copy: gone, nodeId });
    expect(h.beyondBytes).toBe(0);
  });

  test("does so at the first event after that, whichever it is", () => {
    const h = new Overflowing();
    h.pullMore(2);
    h.nowMs += graceMs;
    h.ask(7, 64, false);
    h.deadline();
    expect(h.all("makeOverflow")).toMatchObject([{ size: 300 }]);
  });

  test("is not forgotten for one that comes meanwhile, and is of another size", () => {
    const h = new Overflowing();
    const id = h.pullMore(2);
    h.passTime(graceMs);
    h.ask(7, 200);
    h.made();
    expect(h.all("dropOverflow")).toHaveLength(1);
    h.made();
    expect(h.out.last("arenaAllocated", worker(1)).error).toBeNull();
    h.made();
    h.answer();
    expect(h.localOf(id)).toBeInstanceOf(StoredValue);
    expect(h.beyondBytes).toBe(500);
  });

  test("has its own though one that comes meanwhile would rather wait for the store", () => {
    const h = new Overflowing();
    const id = h.pullMore(2, 600);
    h.ask(7, 200);
    h.made();
    expect(h.all("makeOverflow")).toHaveLength(1);
    h.answer();
    expect(h.localOf(id)).toBeInstanceOf(StoredValue);
    expect(h.beyondBytes).toBe(600);
  });

  test("has its own though there is not as much for one that comes meanwhile", () => {
    const h = new Overflowing({ overflowBytesMax: 700 });
    const id = h.pullMore(2);
    h.passTime(graceMs);
    h.made();
    h.answer();
    expect(h.localOf(id)).toBeInstanceOf(StoredValue);
    const other = h.pullMore(3, 260);
    h.ask(7, 401);
    h.passTime(graceMs);
    h.made();
    expect(h.all("makeOverflow")).toHaveLength(1);
    h.answer();
    expect(h.localOf(other)).toBeInstanceOf(StoredValue);
  });

  test("is followed at once by those behind it", () => {
    const h = new Overflowing();
    const ids = [2, 3].map((serial) => h.pullMore(serial));
    h.passTime(graceMs);
    h.made();
    h.made();
    expect(h.all("makeOverflow")).toHaveLength(2);
    h.answer();
    for (const id of ids) expect(h.localOf(id)).toBeInstanceOf(StoredValue);
  });

  test("is followed by those who come soon after a sixteenth of that time", () => {
    const h = new Overflowing();
    h.pullMore(2);
    h.passTime(graceMs);
    h.made();
    h.passTime(graceMs - 1);
    h.pullMore(3);
    expect(h.all("makeOverflow")).toHaveLength(1);
    h.passTime(graceMs / 16);
    expect(h.all("makeOverflow")).toHaveLength(2);
    h.made();
    h.passTime(graceMs);
    h.pullMore(4);
    h.passTime(graceMs - 1);
    expect(h.all("makeOverflow")).toHaveLength(2);
    h.passTime(1);
    expect(h.all("makeOverflow")).toHaveLength(3);
  });

  test("has all asked for what they can offer when another comes soon after", () => {
    const h = new Overflowing();
    h.pullMore(2);
    for (let i = 0; i < 4; i++) {
      for (const from of [driver, worker(1), worker(2)]) {
        h.handle({ type: "objectsOffered", from, requestId: i, objects: [], told: [] });
      }
      h.passTime(10 * 2 ** i);
    }
    h.made();
    for (const from of [driver, worker(1), worker(2)]) {
      h.handle({ type: "objectsOffered", from, requestId: 9, objects: [], told: [] });
    }
    h.out.clear();
    h.pullMore(3);
    expect(h.out.all("offerObjects")).toHaveLength(3);
  });

  test("is followed at once by those who had to wait for the disk until it was read", () => {
    const h = new Overflowing({ ioWorkers: 1, spillThreshold: 0 });
    const spilled = [3, 4, 5].map((serial, i) => {
      h.ask(serial, 64);
      const { segment, offset } = h.out.last("arenaAllocated", worker(1));
      const extent = { segment, offset, size: 64 };
      const name = { owner, serial, index: 1, version: 0 };
      h.handle({
        type: "objectSealed",
        from: worker(1),
        requestId: serial,
        objects: [{ ...name, extent }],
      });
      const { requestId = 0 } = h.all("spillObjects")[i] ?? {};
      h.handle({ type: "objectsSpilled", requestId, checksums: [[7]], failure: null });
      h.ask(10 + serial, 64, false);
      return serial;
    });
    for (const serial of spilled) h.pull(worker(1), { serial });
    h.passTime(graceMs);
    for (let i = 1; i <= spilled.length; i++) {
      expect(h.all("makeOverflow")).toHaveLength(i);
      h.made();
      const { requestId = 0 } = h.all("restoreObject")[i - 1] ?? {};
      h.handle({ type: "objectRestored", requestId, failure: null });
    }
    expect(h.beyondBytes).toBe(3 * 64);
  });

  test("waits again once somebody has found room in the store", () => {
    const h = new Overflowing();
    h.pullMore(2);
    h.passTime(graceMs);
    h.made();
    h.pullMore(3, 64);
    h.pullMore(4);
    expect(h.all("makeOverflow")).toHaveLength(1);
    h.passTime(graceMs);
    expect(h.all("makeOverflow")).toHaveLength(2);
  });

  test("has no more than may be there in all", () => {
    const h = new Overflowing({ overflowBytesMax: 599 });
    const [first, second] = [h.pullMore(2), h.pullMore(3)];
    h.passTime(graceMs);
    h.made();
    expect(h.all("makeOverflow")).toHaveLength(1);
    h.answer();
    h.unpin(worker(1), first ?? 0);
    expect(h.all("makeOverflow")).toHaveLength(1);
    h.made();
    h.answer();
    expect(h.localOf(second ?? 0)).toBeInstanceOf(StoredValue);
  });

  test("says how far the store has grown when it may grow no further", () => {
    const h = new Overflowing({ overflowBytesMax: 599 });
    const [, second] = [h.pullMore(2), h.pullMore(3)];
    h.passTime(graceMs);
    h.made();
    h.answer();
    h.passTime(1_000);
    const { error } = h.localOf(second) as FailedValue;
    expect(error.message).toMatch(/300 bytes lie beside it, systemConfig.overflowBytesMax is 599/);
  });

  test("fails as before when the store may not grow", () => {
    const h = new Overflowing({ overflowBytesMax: 299 });
    const id = h.pullMore(2);
    h.passTime(graceMs);
    h.passTime(1_000);
    expect(h.all("makeOverflow")).toEqual([]);
    expect(h.localOf(id)).toBeInstanceOf(FailedValue);
  });

  test("asks again later when the process has no memory", () => {
    const h = new Overflowing();
    h.pullMore(2);
    h.passTime(graceMs);
    h.made(false);
    expect(h.all("makeOverflow")).toHaveLength(1);
    h.passTime(retryMs - 1);
    expect(h.all("makeOverflow")).toHaveLength(1);
    h.passTime(1);
    expect(h.all("makeOverflow")).toHaveLength(2);
  });

  test("waits for no grace when no segment of the store could hold it", () => {
    const h = new Overflowing();
    h.pullMore(2, 600);
    expect(h.all("makeOverflow")).toMatchObject([{ size: 600 }]);
  });

  test("never lies there for a wait, which needs one at a time", () => {
    const h = new Overflowing();
    const id = h.pullMore(2, 300, 1);
    h.passTime(graceMs);
    h.passTime(graceMs);
    expect(h.all("makeOverflow")).toEqual([]);
    h.pull(worker(2), { serial: 2 });
    h.passTime(graceMs);
    expect(h.all("makeOverflow")).toHaveLength(1);
    h.made();
    h.answer();
    expect(h.localOf(id)).toBeInstanceOf(StoredValue);
    expect(h.localOf(h.pullMore(3, 600, 1))).toBeInstanceOf(FailedValue);
  });

  test("takes room in the store when some has come meanwhile", () => {
    const h = new Overflowing();
    const id = h.pullMore(2);
    h.passTime(graceMs);
    h.unpin(driver, 1);
    h.made();
    expect(h.all("dropOverflow")).toHaveLength(1);
    h.answer();
    expect(h.localOf(id)).toMatchObject({ segment: 0 });
    expect(h.beyondBytes).toBe(0);
  });

  test("leaves nothing when its process has let go of it", () => {
    const h = new Overflowing();
    const id = h.pullMore(2);
    h.passTime(graceMs);
    h.unpin(worker(1), id);
    h.made();
    expect(h.all("dropOverflow")).toHaveLength(1);
  });
});

describe("a result that finds no room", () => {
  test("lies beyond the store, and goes when its owner frees it", () => {
    const h = new Overflowing();
    h.ask(7);
    h.passTime(graceMs);
    h.made();
    const { segment, offset, error } = h.out.last("arenaAllocated", worker(1));
    expect([isOverflow(segment), offset, error]).toEqual([true, 0, null]);
    const extents = [{ segment, offset, size: 300 }];
    h.handle({ type: "arenaGiven", from: worker(1), to: driver, extents });
    h.handle({ type: "freeArena", from: driver, extents });
    expect(h.all("dropOverflow")).toEqual([{ type: "dropOverflow", segment }]);
  });

  test("gives it back with the process that was to write it", () => {
    const h = new Overflowing();
    h.ask(7);
    h.passTime(graceMs);
    h.made();
    h.handle({ type: "workerExited", workerId: worker(1), exit: { type: "exited", code: 1 } });
    for (const from of [driver, worker(2)]) {
      const { of } = h.out.last("askArenaUse", from);
      h.handle({ type: "arenaInUse", from, of, extents: [] });
    }
    expect(h.all("dropOverflow")).toHaveLength(1);
  });

  test("is spilled like others when it is managed, and gives up its memory then", () => {
    const h = new Overflowing();
    h.ask(7);
    h.passTime(graceMs);
    h.made();
    const { segment, offset } = h.out.last("arenaAllocated", worker(1));
    const extent = { segment, offset, size: 300 };
    h.sealed(extent);
    const [spill] = h.all("spillObjects");
    expect(spill?.parts).toEqual([extent]);
    expect(h.all("dropOverflow")).toEqual([]);
    const { requestId = 0 } = spill ?? {};
    h.handle({ type: "objectsSpilled", requestId, checksums: [[7]], failure: null });
    expect(h.all("dropOverflow")).toEqual([{ type: "dropOverflow", segment }]);
  });

  test("that was read back there goes with the last who reads the disk for another node", () => {
    const h = new Overflowing({ spillThreshold: 0 });
    h.ask(7, 64);
    const { segment, offset } = h.out.last("arenaAllocated", worker(1));
    h.sealed({ segment, offset, size: 64 });
    const { requestId = 0 } = h.all("spillObjects")[0] ?? {};
    h.handle({ type: "objectsSpilled", requestId, checksums: [[7]], failure: null });
    h.ask(8, 64, false);
    const part = { copy: { serial: 9, index: 1, version: 0 }, offset: 0, size: 64 };
    h.handle({ type: "pullChunk", from: otherNodeId, requestId: 5, owner, ...part });
    const id = h.pull(worker(1), { serial: 9 });
    h.passTime(graceMs);
    h.made();
    const [restore] = h.all("restoreObject");
    h.handle({ type: "objectRestored", requestId: restore?.requestId ?? 0, failure: null });
    expect(isOverflow((h.localOf(id) as StoredValue).segment)).toBe(true);
    h.unpin(worker(1), id);
    expect(h.all("dropOverflow")).toEqual([]);
    const [read] = h.all("readSpilled");
    const bytes = new FrameBytes(new Uint8Array(64), 0, 64);
    const answer = { requestId: read?.requestId ?? 0, bytes, failure: null };
    h.handle({ type: "spilledRead", ...answer });
    expect(h.all("dropOverflow")).toHaveLength(1);
  });

  test("waits while something is written to the disk", () => {
    const h = new Overflowing({ spillThreshold: 0.9 });
    h.ask(1, 64);
    const { segment, offset } = h.out.last("arenaAllocated", worker(1));
    h.sealed({ segment, offset, size: 64 });
    h.ask(7);
    const { requestId = 0 } = h.all("spillObjects")[0] ?? {};
    h.passTime(graceMs);
    expect(h.all("makeOverflow")).toEqual([]);
    h.handle({ type: "objectsSpilled", requestId, checksums: [[7]], failure: null });
    expect(h.all("makeOverflow")).toHaveLength(1);
  });

  test("says how large a value may be, which is no more than elsewhere", () => {
    const sizeMost = (overflowBytesMax: number, size: number): string | undefined => {
      const h = new Overflowing({ overflowBytesMax });
      h.ask(7, size);
      return h.out.last("arenaAllocated", worker(1)).error?.message;
    };
    expect(sizeMost(600, 601)).toMatch(/one value may have 600 bytes at most/);
    expect(sizeMost(100, 601)).toMatch(/one value may have 512 bytes at most/);
    const text = `one value may have ${objectBytesMax} bytes at most`;
    expect(sizeMost(2 ** 40, objectBytesMax + 1)).toContain(text);
  });

  test("is never what cannot wait", () => {
    const h = new Overflowing();
    h.ask(7, 300, false);
    expect(h.out.last("arenaAllocated", worker(1)).error).not.toBeNull();
    h.passTime(graceMs);
    expect(h.all("makeOverflow")).toEqual([]);
  });
});
