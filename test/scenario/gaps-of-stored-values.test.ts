/**
 * Found by the determinism check of test/simulation/objects, seed 5029: the gaps between the body
 * and the buffers of a stored value held what had lain there before, and went to other nodes.
 */
import { expect, test } from "vitest";
import { ValueEncoder } from "#api/serialization/value-encoder.ts";

test("every byte of an encoded value is written", () => {
  const encoder = new ValueEncoder(() => false);
  encoder.encode({ a: new Uint8Array(100), b: new Uint8Array(200) }, "value");
  const [zeros, ones] = [0, 255].map((before) => {
    const target = new Uint8Array(encoder.byteLength).fill(before);
    encoder.writeTo(target, 0);
    return [...target];
  });
  expect(ones).toEqual(zeros);
});
