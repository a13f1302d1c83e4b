/** Properties of the value codec: what structuredClone takes arrives as it would have made it. */
import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ValueEncoder } from "#api/serialization/value-encoder.ts";
import { decodeValue } from "#api/serialization/value-decoder.ts";
import { decodeFrom, graphOf, roundTrip } from "./round-trip.ts";

/** `isDeepStrictEqual` tells −0 from 0, a hole from undefined, and one prototype from another. */
function expectClone(actual: unknown, original: unknown): void {
  const expected = structuredClone(original);
  if (!isDeepStrictEqual(actual, expected)) expect(actual).toEqual(expected);
  expect(isDeepStrictEqual(actual, expected)).toBe(true);
}

const looseString = fc.oneof(
  fc.string({ unit: "grapheme" }),
  fc.string({ unit: "binary", maxLength: 80 }),
  fc.constantFrom("\ud800", "a\udc00b", "\u00ff", "\u0100", "__proto__", "constructor", "toJSON"),
  fc.constantFrom("\ufeff", `\ufeff${"a".repeat(70)}`, "中".repeat(30_000)),
  fc.string({ unit: fc.constantFrom("a", "é", "\u00ff", "中"), minLength: 20, maxLength: 200 }),
);
const anything = fc.anything({
  key: looseString,
  maxDepth: 4,
  values: [
    fc.boolean(),
    fc.integer(),
    fc.integer({ min: -300, max: 300 }),
    fc.double(),
    fc.maxSafeInteger(),
    looseString,
    fc.bigInt(),
    fc.bigInt({ min: -(2n ** 64n), max: 2n ** 64n }),
    fc.constantFrom<unknown>(null, undefined, -0, NaN, Infinity, 2 ** 31, -(2 ** 31), 2 ** 32),
    fc.constantFrom(2n ** 63n, 2n ** 63n - 1n, -(2n ** 63n), -(2n ** 63n) - 1n),
    // isDeepStrictEqual takes no two invalid dates for equal: they have a test of their own.
    fc.date({ noInvalidDate: true }),
    fc.constantFrom(/a+/giu, /\//, /[^\u0100]/sy),
    fc.uint8Array({ maxLength: 400 }).map((bytes) => bytes.buffer),
    fc.uint8Array({ maxLength: 64 }).map((bytes) => new DataView(bytes.buffer)),
  ],
  withBoxedValues: true,
  withMap: true,
  withSet: true,
  withNullPrototype: true,
  withObjectString: true,
  withSparseArray: true,
  withTypedArray: true,
});

describe("a value arrives as structuredClone makes it", () => {
  test("any tree of values", () => {
    fc.assert(
      fc.property(anything, fc.boolean(), fc.boolean(), (value, shared, zeroCopy) => {
        expectClone(roundTrip(value, { shared, zeroCopy }), value);
      }),
      { numRuns: 1500 },
    );
  });

  test("any number, at any offset", () => {
    fc.assert(
      fc.property(fc.double(), fc.nat(70), (value, offset) => {
        expect(roundTrip(value, { offset })).toBe(value);
        expect(Object.is(roundTrip([value], { offset })[0], value)).toBe(true);
      }),
    );
  });

  test("any string of UTF-16 code units, as value, key and member of a long list", () => {
    const units = fc.array(fc.nat(0xffff), { maxLength: 100 });
    const strings = units.map((codes) => String.fromCharCode(...codes));
    fc.assert(
      fc.property(strings, fc.nat(8), (text, shift) => {
        expect(roundTrip(text, { offset: shift, shared: shift % 2 === 0 })).toBe(text);
        expect(Object.keys(roundTrip({ [text]: 1 }))).toEqual([text]);
        const list = [...new Array<number>(80).keys(), text];
        expect(roundTrip(list)).toEqual(list);
      }),
    );
  });

  test("long lists of primitives, one of them odd or none", () => {
    const plainItem = fc.oneof(
      fc.integer(),
      fc.double(),
      fc.maxSafeInteger(),
      fc.constantFrom(2 ** 31, 2 ** 32, 2 ** 32 + 1, -(2 ** 31) - 1, NaN, -Infinity),
      fc.boolean(),
      looseString,
    );
    const item = fc.oneof(
      { weight: 20, arbitrary: plainItem },
      { weight: 1, arbitrary: fc.constantFrom<unknown>(-0, undefined, null, 1n, {}, "\udfff") },
    );
    fc.assert(
      fc.property(
        fc.array(item, { minLength: 60, maxLength: 300 }),
        fc.boolean(),
        (list, shared) => {
          expectClone(roundTrip(list, { shared }), list);
        },
      ),
    );
  });

  test("lists with holes and fields of their own", () => {
    const entries = fc.dictionary(fc.oneof(fc.nat(3000).map(String), looseString), fc.integer());
    fc.assert(
      fc.property(entries, fc.nat(4000), (fields, length) => {
        const list: unknown[] = [];
        for (const [key, value] of Object.entries(fields)) {
          if (key === "length") continue;
          Object.defineProperty(list, key, { value, enumerable: true, configurable: true });
        }
        if (list.length < length) list.length = length;
        expectClone(roundTrip(list), list);
      }),
    );
  });
});

describe("identity", () => {
  interface Node {
    readonly kind: "array" | "map" | "mapKey" | "object" | "set";
    readonly edges: readonly number[];
  }
  const kinds = fc.constantFrom<Node["kind"]>("array", "map", "mapKey", "object", "set");
  const graphs = fc.integer({ min: 1, max: 40 }).chain((count) =>
    fc.array(fc.record({ kind: kinds, edges: fc.array(fc.nat(count - 1), { maxLength: 5 }) }), {
      minLength: count,
      maxLength: count,
    }),
  );

  function build(nodes: readonly Node[]): object {
    const make = { array: () => [], map: () => new Map(), mapKey: () => new Map() };
    const objects: object[] = nodes.map(({ kind }) =>
      kind === "object" ? {} : kind === "set" ? new Set() : make[kind](),
    );
    for (const [from, { edges }] of nodes.entries()) {
      for (const [i, to] of edges.entries()) connect(objects[from], i, objects[to]);
    }
    function connect(from: unknown, i: number, to: unknown): void {
      if (Array.isArray(from)) from.push(to);
      else if (from instanceof Set) from.add(to);
      else if (!(from instanceof Map)) (from as Record<string, unknown>)[`k${i}`] = to;
      else if (i % 2 === 0) from.set(`k${i}`, to);
      else from.set(to, i);
    }
    return objects[0] as object;
  }

  test("shared references and cycles stay as they are", () => {
    fc.assert(
      fc.property(graphs, (nodes) => {
        const value = build(nodes);
        const arrived = roundTrip(value);
        expect(graphOf(arrived)).toBe(graphOf(value));
        expect(graphOf(arrived)).toBe(graphOf(structuredClone(value)));
      }),
      { numRuns: 500 },
    );
  });

  test("views on one buffer share memory again where they overlap", () => {
    const slices = fc.array(fc.tuple(fc.nat(90), fc.nat(60), fc.boolean()), {
      minLength: 1,
      maxLength: 8,
    });
    fc.assert(
      fc.property(slices, fc.nat(2), fc.boolean(), (places, scale, shared) => {
        const unit = [1, 8, 64][scale] as number;
        const buffer = new ArrayBuffer(160 * unit);
        const bytes = new Uint8Array(buffer).map((_, i) => i * 7);
        new Uint8Array(buffer).set(bytes);
        const views = places.map(([start, length, wide]) =>
          wide
            ? new Float64Array(buffer, Math.floor((start * unit) / 8) * 8, length * (unit >> 3))
            : new Uint8Array(buffer, start * unit, length * unit),
        );
        const expected = structuredClone(views);
        const arrived = roundTrip(views, { zeroCopy: true, shared });
        expect(isDeepStrictEqual(arrived, expected)).toBe(true);
        for (const side of [expected, arrived]) {
          for (const [i, view] of side.entries()) if (i % 2 === 0) view.fill(i + 1);
        }
        expect(isDeepStrictEqual(arrived, expected)).toBe(true);
      }),
    );
  });

  test("whole buffers beside views on them", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), fc.boolean(), (bytes, bufferFirst) => {
        const { buffer } = bytes;
        const value = bufferFirst ? [buffer, bytes] : [bytes, buffer];
        const [one, other] = roundTrip(value, { zeroCopy: true });
        const view = (bufferFirst ? other : one) as Uint8Array;
        expect(view.buffer).toBe(bufferFirst ? one : other);
        expect(isDeepStrictEqual(view, bytes)).toBe(true);
      }),
    );
  });
});

describe("an encoder", () => {
  test("keeps nothing from one value to the next", () => {
    const encoder = new ValueEncoder(() => false);
    fc.assert(
      fc.property(fc.array(anything, { minLength: 1, maxLength: 5 }), (values) => {
        for (const value of values) {
          encoder.encode(value, "value");
          expectClone(decodeFrom(encoder), value);
        }
      }),
      { numRuns: 200 },
    );
  });

  test("encodeArguments means what encode means", () => {
    const encoder = new ValueEncoder(() => false);
    fc.assert(
      fc.property(fc.array(anything, { maxLength: 5 }), (args) => {
        encoder.encodeArguments(args);
        expectClone(decodeFrom(encoder), [...args]);
      }),
      { numRuns: 300 },
    );
  });

  test("never hangs or returns on bytes that end too early", () => {
    const encoder = new ValueEncoder(() => false);
    fc.assert(
      fc.property(anything, fc.nat(), (value, at) => {
        encoder.encode(value, "value");
        const bytes = new Uint8Array(encoder.byteLength);
        encoder.writeTo(bytes, 0);
        const length = at % bytes.length;
        const options = { specials: [], zeroCopy: false };
        expect(() => decodeValue(bytes, 0, length, options)).toThrow();
      }),
      { numRuns: 300 },
    );
  });
});
