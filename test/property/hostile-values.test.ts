/** Values that throw when they are read: the place is told, and nothing else breaks. */
import { describe, expect, test } from "vitest";
import { SerializationError } from "#api/errors.ts";
import { inspectSerializability } from "#api/serialization/inspect-serializability.ts";
import { portableError } from "#api/serialization/portable-error.ts";
import { ValueEncoder } from "#api/serialization/value-encoder.ts";
import { roundTrip } from "./round-trip.ts";

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

describe("an error that throws when it is read keeps all that can be read", () => {
  const hostile = (): never => {
    throw new RangeError("not now");
  };
  const portable = (error: Error): Error & { code?: string } =>
    roundTrip(portableError(error, (value) => inspectSerializability(value)?.reason));

  test.each(["field", "cause", "stack", "message", "name"])("%s", (key) => {
    for (const enumerable of [true, false]) {
      const error = Object.assign(new TypeError("the message"), { code: "E" });
      const { stack } = error;
      Object.defineProperty(error, key, { enumerable, configurable: true, get: hostile });
      const arrived = portable(error);
      expect(arrived).toBeInstanceOf(TypeError);
      expect(arrived.code).toBe("E");
      if (key !== "message") expect(arrived.message).toBe("the message");
      if (key === "field" || key === "cause") expect(arrived.stack).toBe(stack);
      const field = (arrived as unknown as Record<string, unknown>)[key];
      if (enumerable) expect(field).toMatch(/not serializable: reading it threw: not now/);
    }
  });

  test("a symbol for a name or a message", () => {
    for (const key of ["name", "message"]) {
      const error = Object.assign(new RangeError("the message"), { [key]: Symbol("s"), code: "E" });
      const arrived = portable(error);
      expect(arrived).toBeInstanceOf(RangeError);
      expect(arrived.code).toBe("E");
    }
  });

  test("one that refuses to be asked at all", () => {
    const { proxy, revoke } = Proxy.revocable(new TypeError("x"), {});
    revoke();
    expect(portable(proxy)).toBeInstanceOf(Error);
  });
});
