/**
 * Life of a ring under test: made beside a plain queue → stepped at random → drained → both agree.
 *
 * Every method of the ring's two ends is a step of its own. A step that makes no sense now (a
 * commit without a reservation) is passed over, so any list of steps is a test and shrinks well.
 */

import { expect } from "vitest";
import { STATE_READY, resetRing } from "#transports/threads/ring-layout.ts";
import { RingReader } from "#transports/threads/ring-reader.ts";
import { RingWriter } from "#transports/threads/ring-writer.ts";

export type RingStep =
  | { readonly type: "reserve"; readonly maxBytes: number }
  | { readonly type: "commit"; readonly fill: number; readonly tracked: boolean }
  | { readonly type: "fragments"; readonly byteLength: number; readonly tracked: boolean }
  | { readonly type: "retract"; readonly age: number }
  | { readonly type: "retractFragmented" }
  | { readonly type: "peek" }
  | { readonly type: "take" }
  | { readonly type: "release" }
  | { readonly type: "hasData" }
  | { readonly type: "isEmpty" };

export interface RingPlace {
  readonly buffer: SharedArrayBuffer;
  readonly byteOffset: number;
  readonly capacityBytes: number;
  readonly startPosition: number;
}

interface ModelFrame {
  readonly content: Uint8Array;
  readonly tracked: boolean;
  position: number;
  state: "ready" | "taken" | "retracted" | "freed";
}

export class RingModel {
  /** Frames the reader has released, in order. */
  readonly received: number[] = [];

  readonly #writer: RingWriter;
  readonly #reader: RingReader;
  /** All frames ever published, oldest first. */
  readonly #frames: ModelFrame[] = [];
  #reservedBytes = -1;
  #reservedAt = -1;
  #unfinished: { readonly frame: ModelFrame; writtenBytes: number } | null = null;
  /** The frame the reader has peeked and not freed. */
  #atHand: ModelFrame | null = null;
  #nextSeed = 1;
  /** The reader has found the ring empty, and nothing was written since. */
  #isDrained = false;

  constructor(place: RingPlace) {
    resetRing(place.buffer, place.byteOffset, place.startPosition);
    this.#writer = new RingWriter(place.buffer, place.byteOffset, place.capacityBytes);
    this.#reader = new RingReader(place.buffer, place.byteOffset, place.capacityBytes);
  }

  get maxInPlaceBytes(): number {
    return this.#writer.maxInPlaceBytes;
  }

  step(step: RingStep): void {
    switch (step.type) {
      case "reserve":
        return this.#reserve(Math.min(step.maxBytes, this.#writer.maxInPlaceBytes));
      case "commit":
        return this.#commit(step.fill, step.tracked);
      case "fragments":
        return this.#writeFragments(step.byteLength, step.tracked);
      case "retract":
        return this.#retract(step.age);
      case "retractFragmented":
        return this.#retractFragmented();
      case "peek":
        return this.#peek();
      case "take":
        return this.#take();
      case "release":
        return this.#release();
      case "hasData":
        // Pads, pieces and retracted frames may also count as data: one direction only.
        if (this.#next() !== undefined) expect(this.#reader.hasData()).toBe(true);
        else this.#reader.hasData();
        return;
      case "isEmpty":
        if (this.#next() !== undefined) expect(this.#writer.isEmpty()).toBe(false);
        else this.#writer.isEmpty();
        return;
    }
  }

  /** Finishes what is begun and reads to the end; then the ring must have all its room again. */
  drain(): void {
    for (let turn = 0; turn < 10_000; turn += 1) {
      if (this.#unfinished !== null) this.#writeFragments(0, true);
      this.#readAll();
      if (this.#unfinished === null) break;
    }
    this.#readAll();
    expect(this.#unfinished).toBeNull();
    expect(this.#reader.hasData()).toBe(false);
    expect(this.#writer.isEmpty()).toBe(true);
    expect(this.#writer.reserve(this.#writer.maxInPlaceBytes)).toBeGreaterThanOrEqual(0);
    for (const frame of this.#frames) {
      expect(["freed", "retracted"]).toContain(frame.state);
      expect(this.#writer.retract(frame.position)).toBe(false);
    }
  }

  /** Reads until peek() says there is no more. */
  #readAll(): void {
    do {
      this.#peek();
      this.#take();
      this.#release();
    } while (this.#next() !== undefined);
    this.#peek();
  }

  #reserve(maxBytes: number): void {
    if (this.#unfinished !== null) return;
    this.#reservedAt = this.#writer.reserve(maxBytes);
    this.#reservedBytes = this.#reservedAt === -1 ? -1 : maxBytes;
    if (this.#isDrained) expect(this.#reservedAt).toBeGreaterThanOrEqual(0);
    if (this.#reservedAt === -1) return;
    // The codec may write anything into its reservation, also what looks like the state READY of
    // the frame that was there before.
    for (let at = 0; at < maxBytes; at += 1) {
      this.#writer.bytes[this.#reservedAt + at] = at % 4 === 0 ? STATE_READY : 0;
    }
    this.#expectContentAtHand();
  }

  #commit(fill: number, tracked: boolean): void {
    if (this.#reservedAt === -1) return;
    const frame = this.#newFrame(Math.floor(this.#reservedBytes * fill), tracked);
    this.#writer.bytes.set(frame.content, this.#reservedAt);
    frame.position = this.#writer.commit(frame.content.byteLength, tracked);
    this.#isDrained = false;
    expect(this.#writer.lastPosition).toBe(frame.position);
    this.#frames.push(frame);
    this.#reservedAt = -1;
  }

  #writeFragments(byteLength: number, tracked: boolean): void {
    this.#unfinished ??= { frame: this.#newFrame(byteLength, tracked), writtenBytes: 0 };
    const { frame, writtenBytes } = this.#unfinished;
    this.#reservedAt = -1;
    const written = this.#writer.writeFragments(frame.content, writtenBytes, frame.tracked);
    expect(written).toBeGreaterThanOrEqual(writtenBytes);
    if (this.#isDrained) expect(written).toBeGreaterThan(writtenBytes);
    this.#isDrained = false;
    this.#unfinished.writtenBytes = written;
    this.#expectContentAtHand();
    if (written < frame.content.byteLength) {
      if (written === 0) this.#unfinished = null;
      return;
    }
    frame.position = this.#writer.lastPosition;
    this.#frames.push(frame);
    this.#unfinished = null;
  }

  #retract(age: number): void {
    const frame = this.#frames.at(-1 - age);
    if (frame === undefined) return;
    const wins = frame.tracked && frame.state === "ready";
    expect(this.#writer.retract(frame.position)).toBe(wins);
    if (wins) frame.state = "retracted";
  }

  /** It is still to be written to its end, and never read. */
  #retractFragmented(): void {
    if (this.#unfinished === null) return;
    this.#writer.retractFragmented();
    this.#unfinished.frame.state = "retracted";
  }

  #peek(): void {
    if (this.#atHand?.state === "retracted") this.#atHand = null;
    const expected = this.#atHand ?? this.#next();
    expect(this.#reader.peek()).toBe(expected !== undefined);
    this.#isDrained = expected === undefined;
    if (expected === undefined) return;
    this.#atHand = expected;
    if (!expected.tracked && expected.state === "ready") expected.state = "taken";
    this.#expectContentAtHand();
  }

  #take(): void {
    if (this.#atHand === null) return;
    const wins = this.#atHand.state !== "retracted";
    expect(this.#reader.take()).toBe(wins);
    if (!wins) this.#atHand = null;
    else this.#atHand.state = "taken";
    this.#expectContentAtHand();
  }

  #release(): void {
    const frame = this.#atHand;
    if (frame?.state !== "taken") return;
    this.#expectContentAtHand();
    this.#reader.release();
    frame.state = "freed";
    this.#atHand = null;
    this.received.push(frame.position);
  }

  /** The frame the reader must see next. */
  #next(): ModelFrame | undefined {
    return this.#frames.find((frame) => frame.state === "ready" || frame.state === "taken");
  }

  #expectContentAtHand(): void {
    const frame = this.#atHand;
    if (frame === null || frame.state === "retracted") return;
    const { source, sourceView, start, byteLength } = this.#reader;
    expect(Buffer.from(source.subarray(start, start + byteLength)).equals(frame.content)).toBe(
      true,
    );
    if (byteLength > 0) expect(sourceView.getUint8(start)).toBe(frame.content[0]);
  }

  #newFrame(byteLength: number, tracked: boolean): ModelFrame {
    const seed = this.#nextSeed;
    this.#nextSeed += 1;
    const content = Uint8Array.from({ length: byteLength }, (_, index) => seed * 31 + index * 7);
    return { content, tracked, position: -1, state: "ready" };
  }
}
