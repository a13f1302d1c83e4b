/** Life of a ring test: a place in shared memory → random steps of both ends → the model agrees. */

import fc from "fast-check";
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { describe, expect, it } from "vitest";
import { resetRing, ringByteLength } from "#transports/threads/ring-layout.ts";
import { RingReader } from "#transports/threads/ring-reader.ts";
import { RingWriter } from "#transports/threads/ring-writer.ts";
import { RingModel, type RingStep } from "./ring-model.ts";

const CANARY = 0x5a;
const GAP_BYTES = 64;

const frameSize = fc.oneof(
  { weight: 4, arbitrary: fc.nat({ max: 24 }) },
  { weight: 2, arbitrary: fc.nat({ max: 60 }) },
);

const step: fc.Arbitrary<RingStep> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ type: fc.constant("reserve" as const), maxBytes: frameSize }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      type: fc.constant("commit" as const),
      fill: fc.constantFrom(0, 0.5, 1),
      tracked: fc.boolean(),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant("fragments" as const),
      byteLength: fc.integer({ min: 1, max: 400 }),
      tracked: fc.boolean(),
    }),
  },
  { weight: 3, arbitrary: fc.record({ type: fc.constant("retract" as const), age: fc.nat(12) }) },
  { weight: 1, arbitrary: fc.constant<RingStep>({ type: "retractFragmented" }) },
  { weight: 6, arbitrary: fc.constant<RingStep>({ type: "peek" }) },
  { weight: 6, arbitrary: fc.constant<RingStep>({ type: "take" }) },
  { weight: 6, arbitrary: fc.constant<RingStep>({ type: "release" }) },
  { weight: 1, arbitrary: fc.constant<RingStep>({ type: "hasData" }) },
  { weight: 1, arbitrary: fc.constant<RingStep>({ type: "isEmpty" }) },
);

const capacity = fc.constantFrom(64, 128, 256);

/** Positions that soon pass 2^31 or 2^32, or begin at 0. */
const startPosition = fc
  .tuple(fc.constantFrom(0, 2 ** 31, 2 ** 32), fc.nat({ max: 64 }))
  .map(([seam, units]) => (seam === 0 ? units * 8 : seam - units * 8));

/** All orders in which two lists can be run, each in its own order. */
function* interleavings<T>(left: readonly T[], right: readonly T[]): Generator<readonly T[]> {
  if (left.length === 0 || right.length === 0) {
    yield [...left, ...right];
    return;
  }
  for (const rest of interleavings(left.slice(1), right)) yield [left[0] as T, ...rest];
  for (const rest of interleavings(left, right.slice(1))) yield [right[0] as T, ...rest];
}

const ringOf = (capacityBytes: number, position = 0) => {
  const buffer = new SharedArrayBuffer(ringByteLength(capacityBytes));
  resetRing(buffer, 0, position);
  return {
    writer: new RingWriter(buffer, 0, capacityBytes),
    reader: new RingReader(buffer, 0, capacityBytes),
  };
};

/** Writes a frame of one byte; its position, or -1 when the ring is full. */
const writeByte = (writer: RingWriter, value: number): number => {
  const start = writer.reserve(1);
  if (start === -1) return -1;
  writer.bytes[start] = value;
  return writer.commit(1);
};

const readByte = (reader: RingReader): number | undefined => {
  if (!reader.peek() || !reader.take()) return undefined;
  const value = reader.sourceView.getUint8(reader.start);
  reader.release();
  return value;
};

describe("a ring against a plain queue", () => {
  it("agrees in every interleaving of random steps, across the seams of 2^31 and 2^32", () => {
    const steps = fc.array(step, { maxLength: 150, size: "max" });
    fc.assert(
      fc.property(capacity, startPosition, steps, (capacityBytes, position, script) => {
        const buffer = new SharedArrayBuffer(ringByteLength(capacityBytes));
        const place = { buffer, byteOffset: 0, capacityBytes, startPosition: position };
        const model = new RingModel(place);
        for (const one of script) model.step(one);
        model.drain();
      }),
      { numRuns: 3000 },
    );
  });

  it("leaves its neighbours in one buffer alone", () => {
    const place = fc.tuple(capacity, startPosition);
    const script = fc.array(fc.tuple(fc.nat(2), step), { maxLength: 200, size: "max" });
    fc.assert(
      fc.property(fc.tuple(place, place, place), script, (places, steps) => {
        const lengths = places.map(([capacityBytes]) => ringByteLength(capacityBytes));
        const total = lengths.reduce((sum, length) => sum + length + GAP_BYTES, GAP_BYTES);
        const buffer = new SharedArrayBuffer(total);
        const all = new Uint8Array(buffer).fill(CANARY);
        const gaps = [all.subarray(0, GAP_BYTES)];
        let byteOffset = GAP_BYTES;
        const models = places.map(([capacityBytes, position], index) => {
          const place = { buffer, byteOffset, capacityBytes, startPosition: position };
          byteOffset += lengths[index] ?? 0;
          gaps.push(all.subarray(byteOffset, byteOffset + GAP_BYTES));
          byteOffset += GAP_BYTES;
          return new RingModel(place);
        });
        for (const [index, one] of steps) models[index]?.step(one);
        for (const model of models) model.drain();
        for (const gap of gaps) expect(gap.every((byte) => byte === CANARY)).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  it("lets exactly one of take and retract win, in all interleavings of two short scripts", () => {
    const reserve: RingStep = { type: "reserve", maxBytes: 8 };
    const commit: RingStep = { type: "commit", fill: 1, tracked: true };
    const write = [
      reserve,
      commit,
      reserve,
      commit,
      { type: "retract", age: 1 },
      { type: "retract", age: 0 },
    ] as const;
    const read = [
      { type: "peek" },
      { type: "take" },
      { type: "release" },
      { type: "peek" },
      { type: "take" },
      { type: "release" },
    ] as const;
    let count = 0;
    for (const script of interleavings<RingStep>(write, read)) {
      const buffer = new SharedArrayBuffer(ringByteLength(64));
      const place = { buffer, byteOffset: 0, capacityBytes: 64, startPosition: 2 ** 32 - 16 };
      const model = new RingModel(place);
      for (const one of script) model.step(one);
      model.drain();
      count += 1;
    }
    expect(count).toBe(924);
  });
});

describe("a ring at its edges", () => {
  it("is full for a reader that stops, and whole again when it goes on", () => {
    const { writer, reader } = ringOf(64, 2 ** 32 - 32);
    expect([0, 1, 2, 3, 4].map((value) => writeByte(writer, value))).toEqual([0, 2, 4, 6, -1]);
    expect(readByte(reader)).toBe(0);
    expect([1, 2, 3].map(() => readByte(reader))).toEqual([1, 2, 3]);
    expect(readByte(reader)).toBeUndefined();
    expect(writer.isEmpty()).toBe(true);
    expect(writer.reserve(writer.maxInPlaceBytes)).toBeGreaterThan(0);
  });

  it("carries a frame a hundred times its size, in turns, and shows it only when whole", () => {
    const { writer, reader } = ringOf(64, 2 ** 31 - 8);
    const source = Uint8Array.from({ length: 6400 }, (_, index) => index * 13);
    let written = writer.writeFragments(source, 0);
    while (written < source.byteLength) {
      expect(reader.peek()).toBe(false);
      written = writer.writeFragments(source, written);
    }
    expect(reader.peek()).toBe(true);
    expect(reader.take()).toBe(true);
    expect(writer.retract(writer.lastPosition)).toBe(false);
    expect(Buffer.from(reader.source).equals(source)).toBe(true);
    reader.release();
    expect(reader.source).toBe(reader.bytes);
  });

  it("passes over a frame that was taken back when only its first pieces were written", () => {
    const { writer, reader } = ringOf(64);
    const source = new Uint8Array(200);
    let written = writer.writeFragments(source, 0);
    expect(reader.peek()).toBe(false);
    writer.retractFragmented();
    while (written < source.byteLength) {
      written = writer.writeFragments(source, written);
      expect(reader.peek()).toBe(false);
    }
    expect(writer.retract(writer.lastPosition)).toBe(false);
    expect(() => writer.retractFragmented()).toThrow(/unfinished/);
    writeByte(writer, 7);
    expect(readByte(reader)).toBe(7);
  });

  it("refuses a frame inside a fragmented one", () => {
    const { writer } = ringOf(64);
    expect(writer.writeFragments(new Uint8Array(200), 0)).toBeLessThan(200);
    expect(() => writer.reserve(1)).toThrow(/inside a fragmented one/);
    expect(() => writer.writeFragments(new Uint8Array(300), 0)).toThrow(/resumed where it stopped/);
  });

  it("tells after the reader's death which frames were never taken", () => {
    const { writer, reader } = ringOf(128);
    const positions = [0, 1, 2, 3].map((value) => writeByte(writer, value));
    expect(readByte(reader)).toBe(0);
    reader.peek();
    reader.take();
    expect(positions.map((position) => writer.retract(position))).toEqual([
      false,
      false,
      true,
      true,
    ]);
    expect(positions.map((position) => writer.retract(position))).toEqual(
      positions.map(() => false),
    );
  });

  it("does not mistake a frame of long ago for the one in its slot", () => {
    const { writer, reader } = ringOf(64);
    const first = writeByte(writer, 1);
    for (let i = 0; i < 3; i += 1) writeByte(writer, 2);
    while (readByte(reader) !== undefined);
    const sameSlot = writeByte(writer, 3);
    expect(writer.retract(first)).toBe(false);
    expect(readByte(reader)).toBe(3);
    expect(writer.retract(sameSlot)).toBe(false);
    expect(() => writer.retract(sameSlot + 2)).toThrow(/never committed/);
  });

  it("does not mistake a frame for one exactly 2^32 bytes later", () => {
    const { writer, reader } = ringOf(2 ** 28);
    const first = writer.lastPosition + 1;
    for (let i = 0; i < 32; i += 1) {
      expect(writer.reserve(writer.maxInPlaceBytes)).toBe(i % 2 === 0 ? 8 : 2 ** 27 + 8);
      writer.commit(writer.maxInPlaceBytes);
      readByte(reader);
    }
    expect(writeByte(writer, 5)).toBe(first + 2 ** 29);
    expect(writer.retract(first)).toBe(false);
    expect(readByte(reader)).toBe(5);
  });

  it("forgets a reservation that is not committed, even one that would wrap", () => {
    const { writer, reader } = ringOf(64);
    expect([1, 2, 3].map((value) => writeByte(writer, value))).toEqual([0, 2, 4]);
    while (readByte(reader) !== undefined);
    expect(writer.reserve(24)).toBe(8);
    expect(writeByte(writer, 4)).toBe(6);
    expect(readByte(reader)).toBe(4);
  });

  it("wants a power of two as capacity, a place at a multiple of 64, and calls in order", () => {
    expect(() => ringByteLength(96)).toThrow(/power of two/);
    expect(() => ringByteLength(32)).toThrow(/power of two/);
    const buffer = new SharedArrayBuffer(512);
    expect(() => new RingWriter(buffer, 8, 64)).toThrow(/multiple of 64/);
    const { writer, reader } = ringOf(64);
    expect(() => writer.reserve(25)).toThrow(/too large/);
    expect(() => writer.commit(0)).toThrow(/longer than its reservation/);
    expect(() => reader.take()).toThrow(/before it was peeked/);
    writeByte(writer, 1);
    reader.peek();
    expect(() => reader.release()).toThrow(/before it was taken/);
  });
});

describe("a ring between two threads", () => {
  it("passes 200,000 frames, while the writer takes some back", async ({ signal }) => {
    const capacityBytes = 32 * 1024;
    const echoOffset = ringByteLength(capacityBytes);
    const buffer = new SharedArrayBuffer(2 * echoOffset);
    const worker = new Worker(new URL("../fixtures/ring-echo.mjs", import.meta.url), {
      workerData: { buffer, capacityBytes, echoOffset },
      execArgv: ["--conditions=mobula-source"],
    });
    const writer = new RingWriter(buffer, 0, capacityBytes);
    const echoes = new EchoReader(new RingReader(buffer, echoOffset, capacityBytes));
    let idleTurnCount = 0;
    const turn = async (): Promise<void> => {
      if (echoes.readAll()) return;
      idleTurnCount += 1;
      // The echoing thread tells when it has read something; it did so since, or will.
      if (idleTurnCount % 100 === 0) await once(worker, "message", { signal });
    };
    try {
      await sendFrames(writer, echoes.retracted, turn);
      while (!writer.isEmpty() || echoes.hasData()) await turn();
      expect(echoes.nextNumber()).toBe(FRAME_COUNT);
      expect(echoes.retracted.size).toBeGreaterThan(0);
      expect(echoes.retracted.size).toBeLessThan(FRAME_COUNT / 5);
    } finally {
      await worker.terminate();
    }
  });
});

const FRAME_COUNT = 200_000;

/** Checks that the frames not taken back, and no others, come back in the order of commits. */
class EchoReader {
  readonly retracted = new Set<number>();
  readonly #reader: RingReader;
  #expected = 0;

  constructor(reader: RingReader) {
    this.#reader = reader;
  }

  hasData(): boolean {
    return this.#reader.hasData();
  }

  nextNumber(): number {
    while (this.retracted.has(this.#expected)) this.#expected += 1;
    return this.#expected;
  }

  /** False when there was none. */
  readAll(): boolean {
    const reader = this.#reader;
    const before = this.#expected;
    while (reader.peek() && reader.take()) {
      const expected = this.nextNumber();
      const echo = reader.sourceView.getUint32(reader.start, true);
      if (echo !== expected) throw new Error(`frame ${expected} came back as ${echo}`);
      this.#expected += 1;
      reader.release();
    }
    return this.#expected > before;
  }
}

/** Sends numbered frames of random sizes, a few larger than the ring; takes some of them back. */
const sendFrames = async (
  writer: RingWriter,
  retracted: Set<number>,
  turn: () => Promise<void>,
): Promise<void> => {
  const small = fc.integer({ min: 4, max: 120 });
  const large = fc.integer({ min: 15_000, max: 100_000 });
  const size = fc.oneof({ weight: 1000, arbitrary: small }, { weight: 1, arbitrary: large });
  const sizes = fc.sample(size, { numRuns: 4096, seed: 7 });
  const recent = new Map<number, number>();
  for (let number = 0; number < FRAME_COUNT; number += 1) {
    const byteLength = sizes[number % sizes.length] ?? 4;
    const frame = new Uint8Array(byteLength).fill(number & 0xff);
    new DataView(frame.buffer).setUint32(0, number, true);
    let written = writer.writeFragments(frame, 0);
    while (written < byteLength) {
      await turn();
      written = writer.writeFragments(frame, written);
    }
    recent.set(number % 5, writer.lastPosition);
    if (number % 5 !== 4) continue;
    const candidate = number - ((sizes[number % 1000] ?? 0) % 5);
    const position = recent.get(candidate % 5);
    if (position !== undefined && writer.retract(position)) retracted.add(candidate);
  }
};
