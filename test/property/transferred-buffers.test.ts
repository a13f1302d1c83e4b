/** Buffers of which the value codec writes no bytes: they come beside it. */
import { describe, expect, test } from "vitest";
import { SerializationError } from "#api/errors.ts";
import { ValueEncoder } from "#api/serialization/value-encoder.ts";
import { decodeFrom } from "./round-trip.ts";

const onClick = (): void => {};

describe("transferred buffers", () => {
  const large = new ArrayBuffer(100_000, { maxByteLength: 200_000 });
  const small = new ArrayBuffer(16);
  const copied = Uint8Array.of(1, 2, 3);

  function decoded(moved: readonly ArrayBuffer[], zeroCopy: boolean): unknown[] {
    const encoder = new ValueEncoder(() => false);
    const args = [
      new Uint8Array(large, 5, 9),
      copied,
      { small },
      new Float64Array(small, 8),
      large,
    ];
    encoder.encodeArguments(args, [small, large]);
    expect(encoder.moved).toEqual([large, small]);
    expect(encoder.byteLength).toBeLessThan(100);
    return decodeFrom(encoder, { moved, zeroCopy }) as unknown[];
  }

  test.each([true, false])("are what the decoder was given, under every view (%s)", (zeroCopy) => {
    const [first, second] = [new ArrayBuffer(100_000), new ArrayBuffer(16)];
    const [bytes, other, holder, floats, whole] = decoded([first, second], zeroCopy);
    const { buffer, byteOffset, length } = bytes as Uint8Array;
    expect([buffer, byteOffset, length, whole]).toEqual([first, 5, 9, first]);
    expect(buffer).toBe(first);
    expect(whole).toBe(first);
    expect((holder as { small: unknown }).small).toBe(second);
    expect((floats as Float64Array).buffer).toBe(second);
    expect((floats as Float64Array).byteOffset).toBe(8);
    expect(other).toEqual(copied);
  });

  test("that did not come are missed", () => {
    expect(() => decoded([new ArrayBuffer(1)], false)).toThrow("buffer 1 is missing");
  });

  test("are let go of when the value is refused, and with the next", () => {
    const encoder = new ValueEncoder(() => false);
    const buffer = new ArrayBuffer(8);
    const refused = (): void => encoder.encodeArguments([buffer, onClick], [buffer]);
    expect(refused).toThrow(SerializationError);
    expect(encoder.moved).toEqual([]);
    encoder.encodeArguments([buffer]);
    expect(encoder.moved).toEqual([]);
  });

  test("the bytes: a change here needs a new version of the protocol", () => {
    const encoder = new ValueEncoder(() => false);
    const moved = new ArrayBuffer(300);
    encoder.encodeArguments([new Uint8Array(moved, 2, 3), moved], [moved]);
    expect(encoder.scratch.toString("hex", 0, encoder.length)).toBe(
      "010a000000d004e502e602010002030000ac0210",
    );
  });
});
