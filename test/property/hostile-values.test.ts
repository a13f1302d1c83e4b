/** Values that throw when they are read: the place is told, and nothing else breaks. */
import { describe, expect, test } from "vitest";
import { SerializationError } from "#api/errors.ts";
import { ValueEncoder } from "#api/serialization/value-encoder.ts";

describe("values that throw", () => {
  const hostile = {
    enumerable: true,
    get: () => {
      throw new RangeError("not now");
    },
  };
  const hidden = { ...hostile, enumerable: false };
  const hiddenMessage = Object.defineProperty(new Error("x"), "message", hidden);
  const unlisted = new Proxy({}, { ownKeys: hostile.get });
  const before = { a: Object.defineProperty({}, "b", hostile) };
  test.each<[name: string, value: unknown, path: string]>([
    ["a field", { list: [before] }, "args.list[0].a.b"],
    ["a field of an error", { e: Object.defineProperty(new Error("x"), "q", hostile) }, "args.e.q"],
    ["a message", { e: hiddenMessage }, "args.e.message"],
    ["a cause", { e: Object.defineProperty(new Error("x"), "cause", hostile) }, "args.e.cause"],
    ["an item", Object.defineProperty([1, 2], 1, hostile), "args[1]"],
    ["a late item", Object.defineProperty(new Array(99).fill(0), 80, hostile), "args[80]"],
    ["keys", unlisted, "args"],
    ["keys below another field", { ok: 1, deep: unlisted }, "args.deep"],
    ["keys of a member", new Set([1, unlisted]), "args.values()[1]"],
    ["keys of a key", new Map([[unlisted, 1]]), "args.keys()[0]"],
    ["keys of a value of a Map", new Map([["k", unlisted]]), 'args.get("k")'],
    ["a class", { c: new Proxy({}, { getPrototypeOf: hostile.get }) }, "args.c"],
  ])("reading %s throws: the place is told, whatever was refused before", (_name, value, path) => {
    const encoder = new ValueEncoder(() => false);
    for (const given of [[{ x: [before] }], value]) {
      try {
        encoder.encode(given, "args");
        expect.unreachable();
      } catch (error) {
        if (given !== value) continue;
        expect(error).toBeInstanceOf(SerializationError);
        expect((error as SerializationError).path).toBe(path);
        expect((error as SerializationError).message).toMatch(/reading it threw: not now/);
      }
    }
  });
});
