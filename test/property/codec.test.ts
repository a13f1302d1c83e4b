/** What goes into the wire comes out, within its bounds; nonsense is refused, unread beyond. */
import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AssertionError } from "#engine/common/assert.ts";
import type { Address, WorkerId } from "#engine/common/ids.ts";
import {
  FrameWriter,
  WireError,
  decodeMessage,
  encodeMessage,
  endpointsOf,
  frameBytesMax,
  messageNumbers,
} from "#engine/protocol/codec/codec.ts";
import type { Message } from "#engine/protocol/message.ts";
import type { Special } from "#engine/protocol/outcome.ts";
import { FrameBytes } from "#engine/protocol/arena.ts";
import { InlineValue, StoredValue, noSpecials } from "#engine/protocol/outcome.ts";
import { addresses, messageTypes, messages, messagesOf, strings } from "./message-arbitraries.ts";

const guard = 0xa5;
const guardBytes = 24;

/** The frame of a message between guards, in memory of its own. */
interface Frame {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly start: number;
  readonly length: number;
}

function encode(message: Message, endpoints = 0x21, shared = false): Frame {
  const maxBytes = frameBytesMax(message);
  const size = guardBytes + maxBytes + guardBytes;
  const bytes = new Uint8Array(shared ? new SharedArrayBuffer(size) : new ArrayBuffer(size));
  bytes.fill(guard);
  const writer = new FrameWriter(bytes);
  writer.at = guardBytes;
  encodeMessage(message, endpoints, writer);
  const length = writer.at - guardBytes;
  expect(length).toBeLessThanOrEqual(maxBytes);
  expect(bytes.subarray(0, guardBytes).every((byte) => byte === guard)).toBe(true);
  expect(bytes.subarray(guardBytes + maxBytes).every((byte) => byte === guard)).toBe(true);
  return { bytes, view: writer.view, start: guardBytes, length };
}

function decode(frame: Frame, from: Address): Message {
  return decodeMessage(frame.bytes, frame.view, frame.start, frame.length, from);
}

/** Encoded values as their bytes, wherever those lie. */
function comparable(value: unknown): unknown {
  if (value instanceof InlineValue) {
    const bytes = value.bytes.slice(value.start, value.start + value.length);
    return { inline: Array.from(bytes), specials: comparable(value.specials) };
  }
  if (value instanceof FrameBytes) {
    return { chunk: Array.from(value.bytes.slice(value.start, value.start + value.size)) };
  }
  if (Array.isArray(value)) return value.map(comparable);
  if (value instanceof Map) return [...value];
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).map(([key, field]) => [key, comparable(field)] as const);
  return { class: value.constructor.name, ...Object.fromEntries(entries) };
}

function expectSame(actual: unknown, expected: unknown): void {
  const [left, right] = [comparable(actual), comparable(expected)];
  if (!isDeepStrictEqual(left, right)) expect(left).toStrictEqual(right);
}

type Attempt = { readonly message: Message } | { readonly error: string };

/** Decodes a copy between guards of that byte; whatever is thrown must be a WireError. */
function attempt(content: Uint8Array, around: number, from: Address): Attempt {
  const bytes = new Uint8Array(content.length + 2 * guardBytes).fill(around);
  bytes.set(content, guardBytes);
  const view = new DataView(bytes.buffer);
  try {
    const message = decodeMessage(bytes, view, guardBytes, content.length, from);
    expectInside(message, bytes);
    return { message };
  } catch (error) {
    expect(error).toBeInstanceOf(WireError);
    return { error: (error as WireError).message };
  }
}

function expectInside(value: unknown, bytes: Uint8Array): void {
  if (value instanceof InlineValue && value.length > 0) {
    expect(value.bytes).toBe(bytes);
    expect(value.start).toBeGreaterThanOrEqual(guardBytes);
    expect(value.start + value.length).toBeLessThanOrEqual(bytes.length - guardBytes);
  }
  if (value instanceof FrameBytes && value.size > 0) {
    expect(value.bytes).toBe(bytes);
    expect(value.start).toBeGreaterThanOrEqual(guardBytes);
    expect(value.start + value.size).toBeLessThanOrEqual(bytes.length - guardBytes);
  }
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return;
  for (const field of Object.values(value)) expectInside(field, bytes);
}

/** Reading beyond the frame would show: what lies there differs, and the answer must not. */
function expectBlindOutside(content: Uint8Array, from: Address): Attempt {
  const first = attempt(content, 0x00, from);
  expectSame(attempt(content, 0xff, from), first);
  return first;
}

const contentOf = (frame: Frame): Uint8Array =>
  frame.bytes.slice(frame.start, frame.start + frame.length);

describe("round trip", () => {
  it.each(messageTypes)("%s", (type) => {
    fc.assert(
      fc.property(messagesOf(type), fc.nat(255), fc.boolean(), (message, endpoints, shared) => {
        const frame = encode(message, endpoints, shared);
        expect(endpointsOf(frame.bytes, frame.start)).toBe(endpoints);
        expectSame(decode(frame, message.from), message);
      }),
      { numRuns: 40 },
    );
  });

  it("keeps every string", () => {
    fc.assert(
      fc.property(strings, addresses, (reason, from) => {
        const message: Message = {
          type: "leasePending",
          from,
          leaseId: 1,
          reason,
          infeasible: false,
        };
        expectSame(decode(encode(message), from), message);
      }),
      { numRuns: 500 },
    );
  });

  it("copies a chunk out of the arena of its sender", () => {
    const arena = Uint8Array.from({ length: 100 }, (_, i) => i);
    const writer = new FrameWriter(new Uint8Array(200));
    writer.arena = { bytes: () => arena };
    const from = "00112233445566778899aabbccddeeff" as Address;
    const bytes = { segment: 2, offset: 10, size: 80 };
    const message: Message = { type: "chunk", from, requestId: 1, bytes };
    encodeMessage(message, 0, writer);
    expect(writer.at).toBeLessThanOrEqual(frameBytesMax(message));
    const decoded = decodeMessage(writer.bytes, writer.view, 0, writer.at, from);
    const expected = new FrameBytes(arena, 10, 80);
    expectSame(decoded, { ...message, bytes: expected });
  });

  it("reserves enough for the barest task", () => {
    const from = "gcs" as Address;
    const numbers = { stream: 1, seq: 1, serial: 1, attempt: 0, depth: 0, functionNumber: 1 };
    const none = { definition: null, values: null, gpuIds: null, holds: null };
    const hasBuffers = false;
    const args = new StoredValue(0, 0, 0, noSpecials);
    encode({ type: "pushTask", from, ...numbers, ...none, args, hasBuffers });
    const reply = { type: "taskReply", from, stream: 1, seq: 1, durationMs: 0.1 } as const;
    for (const outcome of [0.5, 1, null]) {
      encode({ ...reply, outcome, outcomes: null, keptRefs: null, holds: null });
    }
  });

  it("takes one byte for the sender's own refs", () => {
    const owner = "0123456789abcdef".repeat(2).concat("00000001") as WorkerId;
    const ref: Special = { type: "ref", owner, serial: 1, index: 1, topLevel: true };
    const reply = (from: Address): Message => ({
      type: "objectState",
      from,
      object: { serial: 1, index: 0 },
      outcome: new InlineValue(new Uint8Array(3), 0, 3, [ref]),
      holds: null,
    });
    const other = "f".repeat(40) as WorkerId;
    expect(encode(reply(other)).length - encode(reply(owner)).length).toBe(20);
  });
});

describe("nonsense", () => {
  it("gives each message a number of its own", () => {
    const numbers = Object.values(messageNumbers);
    expect(new Set(numbers).size).toBe(numbers.length);
    expect(numbers.every((number) => number > 0 && number < 256)).toBe(true);
  });

  it("refuses every frame that was cut off or goes on", () => {
    fc.assert(
      fc.property(messages, (message) => {
        const content = contentOf(encode(message));
        const step = Math.max(1, Math.floor(content.length / 60));
        for (let length = 0; length < content.length; length += step) {
          expect(expectBlindOutside(content.subarray(0, length), message.from)).toHaveProperty(
            "error",
          );
        }
        const longer = new Uint8Array(content.length + 1);
        longer.set(content);
        expect(expectBlindOutside(longer, message.from)).toHaveProperty("error");
      }),
      { numRuns: 60 },
    );
  });

  it("answers a corrupted frame from its own bytes only", () => {
    const change = fc.tuple(fc.nat(), fc.oneof(fc.nat(255), fc.constantFrom(0, 127, 128, 255)));
    const changes = fc.array(change, { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(messages, changes, (message, edits) => {
        const content = contentOf(encode(message));
        for (const [place, byte] of edits) content[place % content.length] = byte;
        expectBlindOutside(content, message.from);
      }),
      { numRuns: 800 },
    );
  });

  it("answers random bytes from these only", () => {
    const number = fc.constantFrom(...Object.values(messageNumbers));
    fc.assert(
      fc.property(number, fc.uint8Array({ maxLength: 60 }), addresses, (first, rest, from) => {
        expectBlindOutside(Uint8Array.of(first, 0, ...rest), from);
      }),
      { numRuns: 800 },
    );
  });

  it("believes no count that the frame cannot hold", () => {
    const huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f];
    const head = [messageNumbers.releaseHolds, 0];
    const from = "gcs" as Address;
    expect(attempt(Uint8Array.of(...head, ...huge), 0, from)).toEqual({
      error: "a frame ends inside a list",
    });
    expect(attempt(Uint8Array.of(...head, ...huge.fill(0xff)), 0, from)).toEqual({
      error: "a count is larger than any",
    });
  });

  it("takes only an id for an id", () => {
    for (const mark of [129, 253, 254, 255]) {
      const granted = Uint8Array.of(messageNumbers.leaseGranted, 0, ...Array<number>(6).fill(0));
      const content = Uint8Array.of(...granted, mark, ...Array<number>(mark + 1).fill(0));
      expect(attempt(content, 0, "gcs" as Address)).toEqual({
        error: "an id is neither hex nor a string",
      });
    }
  });

  it("refuses memory that does not hold the frame", () => {
    const bytes = new Uint8Array(8);
    const view = new DataView(bytes.buffer);
    for (const [start, length] of [
      [-1, 4],
      [0, 1],
      [6, 3],
      [0, 9],
    ] as const) {
      expect(() => decodeMessage(bytes, view, start, length, "gcs" as Address)).toThrow(WireError);
    }
  });

  it("refuses values nested without end", () => {
    const levels = (count: number): Message => {
      let options = new InlineValue(new Uint8Array(1), 0, 1, noSpecials);
      const descriptor = {
        moduleUrl: "",
        ordinal: 0,
        name: "",
        kind: "function" as const,
        parameterCount: 0,
        sourceHash: 0,
        displayName: "",
      };
      for (let level = 0; level < count; level++) {
        const special: Special = { type: "function", descriptor, options };
        options = new InlineValue(new Uint8Array(1), 0, 1, [special]);
      }
      const object = { serial: 1, index: 0 };
      return { type: "objectState", from: "gcs" as Address, object, outcome: options, holds: null };
    };
    expectSame(decode(encode(levels(64)), "gcs" as Address), levels(64));
    expect(() => encode(levels(65))).toThrow(AssertionError);
    // One more level of the same bytes, by hand: [mark][length 1][byte][1 special][function…].
    const content = contentOf(encode(levels(64)));
    const outcomeAt = 2 + 8;
    const level = contentOf(encode(levels(1))).slice(outcomeAt + 1, -4);
    const deeper = Uint8Array.of(
      ...content.slice(0, outcomeAt + 1),
      ...level,
      ...content.slice(outcomeAt + 1),
    );
    expect(attempt(deeper, 0, "gcs" as Address)).toEqual({
      error: "functions are nested too deep",
    });
  });

  it("writes no number that its field cannot hold", () => {
    for (const leaseId of [-1, 2 ** 48, 1.5, NaN]) {
      const message: Message = { type: "releaseLease", from: "gcs" as Address, leaseId };
      expect(() => encode(message)).toThrow(AssertionError);
    }
  });
});
