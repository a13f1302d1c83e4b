import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Allocator, extentAlignment } from "#engine/object-store/allocator.ts";
import { Prng } from "#engine/common/prng.ts";
import { ObjectStore } from "#engine/object-store/object-store.ts";
import { driver, nodeId, worker } from "./raylet-harness.ts";
import { RecordingOutbox } from "./recording-outbox.ts";

describe("Allocator", () => {
  it("uses the lowest address that has room, aligned", () => {
    const allocator = new Allocator([1024]);
    expect(allocator.allocate(100)).toEqual({ segment: 0, offset: 0 });
    expect(allocator.allocate(10)).toEqual({ segment: 0, offset: 128 });
    allocator.free(0, 0, 100);
    expect(allocator.allocate(64)).toEqual({ segment: 0, offset: 0 });
    expect(allocator.allocate(200)).toEqual({ segment: 0, offset: 192 });
    allocator.checkInvariants();
  });

  it("goes on in the next segment and never spans two", () => {
    const allocator = new Allocator([256, 512]);
    expect(allocator.allocate(200)).toEqual({ segment: 0, offset: 0 });
    expect(allocator.allocate(200)).toEqual({ segment: 1, offset: 0 });
    expect(allocator.allocate(320)).toBeNull();
    expect(allocator.largestSegmentBytes()).toBe(512);
    expect(allocator.freeBytes).toBe(768 - 400);
  });

  it("takes back any part and joins neighbours", () => {
    const allocator = new Allocator([1000]);
    expect(allocator.allocate(1000)).toEqual({ segment: 0, offset: 0 });
    expect(allocator.allocate(1)).toBeNull();
    allocator.free(0, 0, 250);
    allocator.free(0, 500, 500);
    expect(allocator.largestFreeBytes()).toBe(500);
    allocator.free(0, 250, 250);
    expect(allocator.largestFreeBytes()).toBe(1000);
    allocator.checkInvariants();
  });

  it("refuses what can only be a bug", () => {
    const allocator = new Allocator([1024]);
    allocator.allocate(512);
    expect(() => allocator.free(0, 448, 128)).toThrow(/free already/);
    expect(() => allocator.free(0, 900, 10)).toThrow(/free already/);
    expect(() => allocator.free(0, 1000, 100)).toThrow(/outside a segment/);
    expect(() => allocator.free(1, 0, 10)).toThrow(/does not exist/);
    expect(() => allocator.allocate(0)).toThrow(/0 bytes/);
    expect(new Allocator([]).allocate(1)).toBeNull();
    allocator.checkInvariants();
  });

  it("keeps many free extents in short runs", () => {
    const allocator = new Allocator([64 * 2000]);
    for (let i = 0; i < 2000; i++) allocator.allocate(64);
    for (let i = 0; i < 2000; i += 2) allocator.free(0, i * 64, 64);
    allocator.checkInvariants();
    expect(allocator.allocate(65)).toBeNull();
    for (let i = 1999; i > 0; i -= 2) allocator.free(0, i * 64, 64);
    allocator.checkInvariants();
    expect(allocator.largestFreeBytes()).toBe(64 * 2000);
  });

  it("has room for what Robson's bound promises, whatever came before", () => {
    const largest = 2 ** 6;
    const liveMax = 256;
    const step = fc.record({ power: fc.integer({ min: 0, max: 6 }), pick: fc.nat() });
    const steps = fc.array(step, { minLength: 200, maxLength: 600 });
    fc.assert(
      fc.property(steps, (all) => {
        const units = liveMax * (1 + Math.log2(largest));
        const allocator = new Allocator([units * extentAlignment]);
        const held: { offset: number; size: number }[] = [];
        let live = 0;
        for (const { power, pick } of all) {
          const size = 2 ** power;
          while (live + size > liveMax) live -= freeOne(allocator, held, pick) / extentAlignment;
          const placed = allocator.allocate(size * extentAlignment);
          expect(placed, `${size} units beside ${live}`).not.toBeNull();
          held.push({ offset: placed?.offset ?? 0, size: size * extentAlignment });
          live += size;
        }
      }),
      { numRuns: 100 },
    );
  });

  it.each([1, 2, 3])("fills three quarters with objects of any sizes: seed %i", (seed) => {
    const capacity = 64 << 20;
    const largestPower = Math.log2(capacity / 256);
    const allocator = new Allocator([capacity]);
    const random = new Prng(seed);
    const held: { offset: number; size: number }[] = [];
    let least = 1;
    for (let i = 0; i < 20_000; i++) {
      const power = 6 + random.float() * (largestPower - 6);
      const size = Math.ceil(2 ** power / extentAlignment) * extentAlignment;
      let placed = allocator.allocate(size);
      while (placed === null) {
        least = Math.min(least, 1 - allocator.freeBytes / capacity);
        freeOne(allocator, held, random.below(2 ** 31));
        placed = allocator.allocate(size);
      }
      held.push({ offset: placed.offset, size });
      if (random.below(100) < 45) freeOne(allocator, held, random.below(2 ** 31));
    }
    expect(least).toBeLessThan(1);
    expect(least).toBeGreaterThan(0.75);
  });

  it("agrees with a model of single bytes, and all memory comes back", () => {
    const step = fc.record({
      size: fc.integer({ min: 1, max: 300 }),
      pick: fc.nat(),
      cut: fc.nat(),
    });
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 120 }),
        fc.integer({ min: 1, max: 9 }),
        (steps, n) => {
          const sizes = [640 + n * 61, 1111];
          const allocator = new Allocator(sizes);
          const model = sizes.map((size) => new Uint8Array(size));
          const held: { segment: number; offset: number; size: number }[] = [];
          for (const { size, pick, cut } of steps) {
            if (pick % 5 < 3) {
              const placed = allocator.allocate(size);
              expect(placed).toEqual(firstFit(model, size));
              if (placed !== null) {
                model[placed.segment]?.fill(1, placed.offset, placed.offset + size);
                held.push({ ...placed, size });
              }
            } else if (held.length > 0) {
              freePart(allocator, model, held, { pick, cut });
            }
            allocator.checkInvariants();
          }
          for (const { segment, offset, size } of held) allocator.free(segment, offset, size);
          allocator.checkInvariants();
          expect(allocator.freeBytes).toBe(allocator.capacityBytes);
          expect(allocator.largestFreeBytes()).toBe(Math.max(...sizes));
        },
      ),
      { numRuns: 150 },
    );
  });
});

function firstFit(model: readonly Uint8Array[], size: number) {
  for (const [segment, bytes] of model.entries()) {
    for (let offset = 0; offset + size <= bytes.length; offset += extentAlignment) {
      if (bytes.subarray(offset, offset + size).every((byte) => byte === 0)) {
        return { segment, offset };
      }
    }
  }
  return null;
}

/** Of one segment. Returns its size. */
function freeOne(
  allocator: Allocator,
  held: { offset: number; size: number }[],
  pick: number,
): number {
  const [extent] = held.splice(pick % held.length, 1);
  if (extent === undefined) return 0;
  allocator.free(0, extent.offset, extent.size);
  return extent.size;
}

/** Frees the front of one held extent, or all of it, and holds the rest. */
function freePart(
  allocator: Allocator,
  model: readonly Uint8Array[],
  held: { segment: number; offset: number; size: number }[],
  { pick, cut }: { pick: number; cut: number },
): void {
  const [extent] = held.splice(pick % held.length, 1);
  if (extent === undefined) return;
  const { segment, offset, size } = extent;
  const part = 1 + (cut % size);
  allocator.free(segment, offset, part);
  model[segment]?.fill(0, offset, offset + part);
  if (part < size) held.push({ segment, offset: offset + part, size: size - part });
}

describe("ObjectStore", () => {
  const ask = (requestId: number, size: number, from = driver) =>
    ({ type: "allocateArena", from, requestId, size, mayWait: false }) as const;

  it("repeats its answer to a repeated request", () => {
    const store = new ObjectStore(nodeId, [1024]);
    const out = new RecordingOutbox<never>();
    store.onAllocateArena(ask(1, 100), 0, out);
    store.onAllocateArena(ask(1, 100), 0, out);
    store.onAllocateArena(ask(1, 100, worker(1)), 0, out);
    const [first, again, other] = out.all("arenaAllocated");
    expect(again).toEqual(first);
    expect(other?.offset).toBe(128);
    expect(store.freeBytes).toBe(1024 - 2 * 128);
    store.forget(driver);
    store.checkInvariants();
  });

  it("remembers a bounded number of answers", () => {
    const store = new ObjectStore(nodeId, [64 * 200]);
    const out = new RecordingOutbox<never>();
    for (let id = 1; id <= 100; id++) store.onAllocateArena(ask(id, 64), 0, out);
    store.checkInvariants();
    expect(store.freeBytes).toBe(64 * 100);
  });

  it("gets back what lies between the objects that were cut from a chunk", () => {
    const store = new ObjectStore(nodeId, [1024]);
    const out = new RecordingOutbox<never>();
    store.onAllocateArena(ask(1, 200), 0, out);
    for (const offset of [0, 64, 128]) {
      const extents = [{ segment: 0, offset, size: 10 }];
      store.onFreeArena({ type: "freeArena", from: driver, extents });
    }
    const extents = [{ segment: 0, offset: 192, size: 8 }];
    store.onFreeArena({ type: "freeArena", from: driver, extents });
    expect(store.freeBytes).toBe(1024);
    store.checkInvariants();
  });

  it("leaves segments alone that a thread made for itself", () => {
    const store = new ObjectStore(nodeId, [1024]);
    const extents = [{ segment: 65_536, offset: 0, size: 2_000_000 }];
    store.onFreeArena({ type: "freeArena", from: driver, extents });
    expect(store.freeBytes).toBe(1024);
  });

  it("lets who waits for room wait longer when another has given up, twice as long at most", () => {
    const store = new ObjectStore(nodeId, [1024], { waitMs: 80 });
    const out = new RecordingOutbox<never>();
    store.onAllocateArena(ask(1, 1024), 0, out);
    for (let id = 2; id < 14; id++) {
      store.onAllocateArena({ ...ask(id, 600), mayWait: true }, 0, out);
    }
    const refused = (nowMs: number): number => {
      store.onDeadline(nowMs, out);
      return out.all("arenaAllocated").filter(({ error }) => error !== null).length;
    };
    expect([79, 80, 89, 90, 100, 110].map(refused)).toEqual([0, 1, 1, 2, 3, 4]);
    expect([120, 130, 140, 150].map(refused)).toEqual([5, 6, 7, 8]);
    expect(refused(160)).toBe(12);
  });

  it("says what is there when there is no room", () => {
    const store = new ObjectStore(nodeId, [1024, 512]);
    const out = new RecordingOutbox<never>();
    store.onAllocateArena(ask(1, 1000), 0, out);
    store.onAllocateArena(ask(2, 600), 0, out);
    expect(out.last("arenaAllocated").error).toEqual({
      type: "OBJECT_STORE_FULL",
      message:
        "no room for 600 bytes in the object store: capacity 1536 bytes in 2 segment(s), " +
        "free 512, largest free extent 512; let go of refs to large values that are no longer " +
        "needed (a ref is disposable), or give init({ objectStoreMemory }) more",
      subject: "",
      detail: "",
    });
    store.onAllocateArena(ask(3, 2000), 0, out);
    expect(out.last("arenaAllocated").error?.message).toMatch(/one value may have 1024 bytes/);
    store.onFreeArena({
      type: "freeArena",
      from: driver,
      extents: [{ segment: 0, offset: 0, size: 1000 }],
    });
    store.onAllocateArena(ask(4, 600), 0, out);
    expect(out.last("arenaAllocated")).toMatchObject({ segment: 0, offset: 0, error: null });
  });
});
