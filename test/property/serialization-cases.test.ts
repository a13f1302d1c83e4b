/** The value codec case by case: what structuredClone does not take, and what neither does. */
import { createContext, runInContext } from "node:vm";
import { afterEach, describe, expect, test, vi } from "vitest";
import { SerializationError } from "#api/errors.ts";
import { inspectSerializability } from "#api/serialization/inspect-serializability.ts";
import { decodeValue } from "#api/serialization/value-decoder.ts";
import { ValueEncoder } from "#api/serialization/value-encoder.ts";
import { decodeFrom, refusal, roundTrip } from "./round-trip.ts";

afterEach(() => vi.restoreAllMocks());

describe("kinds of value", () => {
  test("__proto__ as an own key stays one", () => {
    const value: unknown = JSON.parse('{"__proto__": {"a": 1}, "b": 2}');
    const arrived = roundTrip(value) as object;
    expect(Object.keys(arrived)).toEqual(["__proto__", "b"]);
    expect(Object.getPrototypeOf(arrived)).toBe(Object.prototype);
    expect((arrived as { a?: number }).a).toBeUndefined();
  });

  test("holes stay holes, however long the list", () => {
    const huge: number[] = [];
    huge[4_000_000_000] = 7;
    const holes = [1];
    holes[2] = 3;
    holes.length = 4;
    const arrived = roundTrip({ holes, huge });
    expect(Object.keys(arrived.holes)).toEqual(["0", "2"]);
    expect(arrived.holes).toHaveLength(4);
    expect(arrived.huge).toHaveLength(4_000_000_001);
    expect(Object.keys(arrived.huge)).toEqual(["4000000000"]);
  });

  test("a RegExp match keeps its fields", () => {
    const arrived = roundTrip(/(?<x>b)/.exec("abc"));
    expect([arrived?.index, arrived?.input]).toEqual([1, "abc"]);
    expect(arrived?.groups).toEqual({ x: "b" });
  });

  test("fields of a long list are found, of a Proxy's too", () => {
    const list = Object.assign(
      Array.from({ length: 500 }, (_, i) => i),
      { unit: "ms" },
    );
    expect(roundTrip(list).unit).toBe("ms");
    const field = { value: "s", enumerable: true, configurable: true };
    const lazy = new Proxy(new Array<number>(500).fill(0), {
      ownKeys: (target) => [...Reflect.ownKeys(target), "unit"],
      getOwnPropertyDescriptor: (target, key) =>
        key === "unit" ? field : Reflect.getOwnPropertyDescriptor(target, key),
      get: (target, key) => (key === "unit" ? "s" : Reflect.get(target, key)),
    });
    expect(roundTrip(lazy)).toMatchObject({ unit: "s", length: 500 });
    const past = Object.assign([1], { 4294967295: "no index", 4294967296: "nor this" });
    expect(Object.entries(roundTrip(past))).toEqual(Object.entries(past));
  });

  test("many keys of one length are told apart", () => {
    const value = Object.fromEntries(Array.from({ length: 3000 }, (_, i) => [`k${1000 + i}`, i]));
    for (let i = 0; i < 2; i++) expect(roundTrip(value)).toEqual(value);
  });

  test("a byte order mark stays, in a long list too", () => {
    const marked = ["a", "ü", "中"].map((unit) => `\ufeff${unit.repeat(100)}`);
    expect(roundTrip(marked)).toEqual(marked);
    const list = [...new Array<number>(99).keys(), ...marked];
    expect(roundTrip(list)).toEqual(list);
  });

  test("a long text in a long list, in shared memory", () => {
    const list = [...new Array<number>(99).keys(), "ü中\u{1f600}".repeat(500), "a".repeat(9999)];
    expect(roundTrip(list, { shared: true })).toEqual(list);
  });

  test("a RegExp starts over, a Date may be invalid", () => {
    const pattern = /a/g;
    pattern.test("aa");
    expect(roundTrip(pattern)).toMatchObject({ source: "a", flags: "g", lastIndex: 0 });
    expect(roundTrip(new Date(NaN)).getTime()).toBeNaN();
  });

  test("URL and URLSearchParams", () => {
    const value = { url: new URL("https://x.y/ü?a=1#b"), query: new URLSearchParams("a=1&a=%20") };
    const arrived = roundTrip(value);
    expect(arrived.url).toBeInstanceOf(URL);
    expect(arrived.url.href).toBe(value.url.href);
    expect(arrived.query).toBeInstanceOf(URLSearchParams);
    expect(arrived.query.getAll("a")).toEqual(["1", " "]);
  });

  test("a Buffer arrives as its own bytes only, as Uint8Array", () => {
    const arrived: Uint8Array = roundTrip(Buffer.from("abc"));
    expect(Object.getPrototypeOf(arrived)).toBe(Uint8Array.prototype);
    expect(arrived).toEqual(new Uint8Array([97, 98, 99]));
    expect(arrived.buffer.byteLength).toBe(3);
  });

  test("views on shared memory are copied", () => {
    const value = new Int16Array(new SharedArrayBuffer(1000)).fill(-3);
    const arrived = roundTrip(value);
    expect(arrived).toEqual(new Int16Array(500).fill(-3));
    expect(arrived.buffer).toBeInstanceOf(ArrayBuffer);
  });

  test("a resizable ArrayBuffer stays resizable", () => {
    for (const byteLength of [8, 800]) {
      const buffer = new ArrayBuffer(byteLength, { maxByteLength: 1000 });
      const arrived = roundTrip([new Uint8Array(buffer), buffer] as const)[1];
      expect(arrived).toMatchObject({ byteLength, resizable: true, maxByteLength: 1000 });
    }
  });

  test("a SharedArrayBuffer arrives as one of its own, with the views on it", () => {
    for (const byteLength of [8, 800]) {
      const buffer = new SharedArrayBuffer(byteLength, { maxByteLength: 1000 });
      const view = new Uint8Array(buffer).fill(7);
      for (const zeroCopy of [false, true]) {
        const [arrivedView, arrived] = roundTrip([view, buffer] as const, { zeroCopy });
        expect(arrived).toBeInstanceOf(SharedArrayBuffer);
        expect(arrived).toMatchObject({ byteLength, growable: true, maxByteLength: 1000 });
        expect(arrivedView.buffer).toBe(arrived);
        expect(new Set(arrivedView)).toEqual(new Set([7]));
        view[0] = 8;
        expect(arrivedView[0]).toBe(7);
        view[0] = 7;
      }
    }
    const fixed = roundTrip(new SharedArrayBuffer(16));
    expect(fixed).toMatchObject({ byteLength: 16, growable: false });
  });

  test("an unregistered instance arrives as its own enumerable fields", () => {
    class Point {
      x = 1;
      #y = 2;
      get y(): number {
        return this.#y;
      }
    }
    const arrived = roundTrip(new Point());
    expect(Object.getPrototypeOf(arrived)).toBe(Object.prototype);
    expect(arrived).toEqual({ x: 1 });
  });

  test("symbol keys and hidden fields are left out", () => {
    const value = Object.defineProperty({ [Symbol("s")]: 1, a: 1 }, "hidden", { value: 1 });
    expect(Reflect.ownKeys(roundTrip(value))).toEqual(["a"]);
  });

  test("subclasses and other realms count by what they hold", () => {
    class Table extends Map<string, number> {}
    const foreign: unknown = runInContext(
      "({ m: new Map([[1, [2]]]), e: new TypeError('t') })",
      createContext(),
    );
    expect(roundTrip(new Table([["a", 1]]))).toEqual(new Map([["a", 1]]));
    const arrived = roundTrip(foreign) as { m: unknown; e: unknown };
    expect(arrived.m).toEqual(new Map([[1, [2]]]));
    expect(arrived.e).toBeInstanceOf(TypeError);
  });
});

describe("user code runs once, and on time", () => {
  test("getters, in objects, short lists and long lists", () => {
    const counts = [0, 0, 0];
    const counting = (i: number): PropertyDescriptor => ({
      get: () => (counts[i] = (counts[i] ?? 0) + 1),
      enumerable: true,
    });
    const short = Object.defineProperty([0], 0, counting(1));
    const long = Object.defineProperty([...new Array<number>(99).keys(), -0], 3, counting(2));
    const arrived = roundTrip([Object.defineProperty({}, "a", counting(0)), short, long]);
    expect(counts).toEqual([1, 1, 1]);
    expect(arrived).toEqual([
      { a: 1 },
      [1],
      [0, 1, 2, 1, ...[...new Array<number>(99).keys()].slice(4), -0],
    ]);
  });

  test("one that throws is named, with what it threw", () => {
    const cause = new RangeError("no");
    const bad = {
      get x(): never {
        throw cause;
      },
    };
    const error = refusal([0, { deep: new Map([["k", bad]]) }]);
    expect(error.path).toBe('args[1].deep.get("k").x');
    expect(error.cause).toBe(cause);
    const long = Object.defineProperty([...new Array<number>(99).keys()], 70, {
      get: () => {
        throw cause;
      },
    });
    expect(refusal([long]).path).toBe("args[0][70]");
  });

  test("one that encodes does not harm the value it is in", () => {
    const encoder = new ValueEncoder(() => false);
    const value = {
      before: [1],
      get nested(): string {
        expect(() => encoder.encode({ other: [] }, "other")).toThrow(/at work/);
        const another = new ValueEncoder(() => false);
        another.encode([2], "x");
        return String(decodeFrom(another));
      },
      after: [3],
    };
    encoder.encode(value, "value");
    expect(decodeFrom(encoder)).toEqual({ before: [1], nested: "2", after: [3] });
  });

  test("one that changes the Map it is in", () => {
    const map = new Map<string, unknown>();
    map
      .set("a", {
        get x() {
          map.clear();
          return 1;
        },
      })
      .set("b", 2);
    expect(roundTrip(map)).toEqual(
      new Map<string, unknown>([
        ["a", { x: 1 }],
        ["b", 2],
      ]),
    );
  });
});

describe("what cannot travel", () => {
  const onClick = (): void => undefined;
  test.each<[string, unknown, string, RegExp]>([
    [
      "a function",
      [{ onClick }],
      "args[0].onClick",
      /args\[0\]\.onClick: function onClick\b.*remote/,
    ],
    ["a class", [class Dog {}], "args[0]", /function Dog/],
    ["a symbol", [Symbol("s")], "args[0]", /symbol/],
    ["a boxed symbol", [Object(Symbol("s"))], "args[0]", /symbol/],
    ["a promise", { "a b": Promise.resolve() }, 'args["a b"]', /promise\b.*[Aa]wait/],
    ["a WeakMap", [[new WeakMap()]], "args[0][0]", /WeakMap/],
    ["a WeakSet", new Map([["k", new WeakSet()]]), 'args.get("k")', /WeakSet/],
    ["a WeakRef", new Set([1, new WeakRef({})]), "args.values()[1]", /WeakRef/],
    ["a key", new Map([[onClick, 1]]), "args.keys()[0]", /function onClick/],
    ["a generator", [(function* () {})()], "args[0]", /generator/],
    ["an async generator", [(async function* () {})()], "args[0]", /generator/],
    ["an iterator", [[1].values()], "args[0]", /iterator/],
    ["an AbortSignal", [AbortSignal.abort()], "args[0]", /AbortSignal/],
    ["Headers", [new Headers()], "args[0]", /Headers/],
    ["a formatter", [new Intl.NumberFormat()], "args[0]", /Intl\.NumberFormat/],
    ["a field of a list", Object.assign([1], { onClick }), "args.onClick", /function/],
    ["a late item", [...new Array<number>(99).keys(), onClick], "args[99]", /function/],
    ["a cause", new Error("x", { cause: onClick }), "args.cause", /function/],
    ["a field of an error", Object.assign(new Error("x"), { onClick }), "args.onClick", /function/],
    [
      "an error in a group",
      new AggregateError([new Error("x", { cause: onClick })]),
      "args.errors[0].cause",
      /function/,
    ],
  ])("%s", (_name, value, path, message) => {
    const error = refusal(value);
    expect(error.path).toBe(path);
    expect(error.message).toMatch(message);
    expect(inspectSerializability(value)?.path).toBe(path.replace("args", "value"));
  });

  test("a detached buffer, alone and under a view", () => {
    const buffer = new ArrayBuffer(8);
    const view = new Uint8Array(buffer);
    structuredClone(buffer, { transfer: [buffer] });
    expect(refusal([buffer]).path).toBe("args[0]");
    expect(refusal([view]).path).toBe("args[0]");
  });

  test("inspectSerializability gives the reason alone", () => {
    expect(inspectSerializability({ a: [1n, undefined, new Map()] })).toBeUndefined();
    const problem = inspectSerializability({ a: onClick });
    expect(problem?.reason).toMatch(/^function onClick\./);
    expect(inspectSerializability([onClick], (value) => value === onClick)).toBeUndefined();
  });

  test("an encoder that refused works on", () => {
    const encoder = new ValueEncoder(() => false);
    const shared = { a: new Uint8Array(999) };
    expect(() => encoder.encode([shared, onClick], "args")).toThrow(SerializationError);
    encoder.encode([shared, shared], "args");
    const [one, other] = decodeFrom(encoder) as [unknown, unknown];
    expect(one).toBe(other);
    expect(one).toEqual(shared);
  });
});

describe("depth", () => {
  interface Link {
    next: Link | null;
    at: number;
  }
  function chain(length: number): Link {
    let link: Link = { next: null, at: length - 1 };
    for (let at = length - 2; at >= 0; at--) link = { next: link, at };
    return link;
  }

  test("a linked list of 100,000 arrives, keys in order, and may close a cycle", () => {
    const first = chain(100_000);
    let last = first;
    while (last.next !== null) last = last.next;
    last.next = first;
    let link = roundTrip(first);
    const arrivedFirst = link;
    for (let at = 0; at < 100_000; at++) {
      if (link.at !== at || Object.keys(link)[0] !== "next") throw new Error(`wrong at ${at}`);
      link = link.next as Link;
    }
    expect(link).toBe(arrivedFirst);
  });

  test("lists, maps, sets, instances and causes, one in the other", () => {
    let value: unknown = "end";
    for (let i = 0; i < 3000; i++) {
      const inner: unknown = value;
      const wraps = [
        () => [1, inner, 2],
        () => new Map([[inner, inner]]),
        () => new Set([inner]),
        () => ({ inner }),
        () => new Error("e", { cause: inner }),
        () => [...new Array<number>(99).keys(), inner],
      ];
      value = wraps[i % wraps.length]?.();
    }
    let arrived: unknown = roundTrip(value);
    for (let i = 2999; i >= 0; i--) {
      if (arrived instanceof Map) arrived = [...arrived.keys()][0];
      else if (arrived instanceof Set) arrived = [...arrived][0];
      else if (arrived instanceof Error) arrived = arrived.cause;
      else if (!Array.isArray(arrived)) arrived = (arrived as { inner: unknown }).inner;
      else arrived = arrived.length === 3 ? arrived[1] : arrived[99];
    }
    expect(arrived).toBe("end");
  });

  test("the path of something deep is told by its ends", () => {
    const first = chain(5000);
    let last = first;
    while (last.next !== null) last = last.next;
    (last as { at: unknown }).at = () => 1;
    const error = refusal(first);
    expect(error.path).toBe(`args${".next".repeat(4999)}.at`);
    expect(error.message.length).toBeLessThan(1300);
  });
});

describe("specials", () => {
  const ref = { id: 1 };
  const remoteFunction = Object.assign(() => 1, { id: 2 });
  const isSpecial = (value: object): boolean => value === ref || value === remoteFunction;

  test("only their index travels; one mentioned twice is one", () => {
    const encoder = new ValueEncoder(isSpecial);
    encoder.encode([ref, { remoteFunction }, new Map([[ref, remoteFunction]])], "args");
    expect(encoder.specials).toEqual([ref, remoteFunction]);
    encoder.encode([remoteFunction], "args");
    expect(encoder.specials).toEqual([remoteFunction]);
    encoder.encode([ref, { remoteFunction }, new Map([[ref, remoteFunction]])], "args");
    const arrived = decodeFrom(encoder, { specials: ["R", "F"] });
    expect(arrived).toEqual(["R", { remoteFunction: "F" }, new Map([["R", "F"]])]);
  });

  test("one that is missing is an error", () => {
    expect(() => roundTrip(ref, { isSpecial, specials: [] })).toThrow(/special/);
  });
});

describe("layout", () => {
  const big = new Float64Array(1000).map((_, i) => i / 3);

  test("large buffers lie at multiples of 64 and are not copied before writeTo", () => {
    const encoder = new ValueEncoder(() => false);
    encoder.encode([big, big.subarray(1, 5), new Uint8Array(300)], "args");
    expect(encoder.buffers.map((bytes) => bytes.length)).toEqual([8000, 300]);
    expect(encoder.buffers[0]?.buffer).toBe(big.buffer);
    const target = new Uint8Array(encoder.byteLength + 128);
    encoder.writeTo(target, 128);
    const options = { specials: [], zeroCopy: true };
    const arrived = decodeValue(target, 128, encoder.byteLength, options) as Float64Array[];
    expect(arrived[0]?.buffer).toBe(target.buffer);
    for (const view of [arrived[0], arrived[2]]) expect((view?.byteOffset ?? 1) % 64).toBe(0);
    expect(arrived[0]).toEqual(big);
    expect(arrived[1]?.byteOffset).toBe((arrived[0]?.byteOffset ?? 0) + 8);
  });

  test("without zeroCopy, or where it is not aligned, views are copies", () => {
    for (const [zeroCopy, offset] of [
      [false, 64],
      [true, 65],
      [true, 68],
    ] as const) {
      const arrived = roundTrip(big, { zeroCopy, offset });
      expect(arrived).toEqual(big);
      expect(arrived.buffer.byteLength).toBe(8000);
    }
  });

  test("a bare ArrayBuffer is a copy always", () => {
    const arrived = roundTrip({ buffer: big.buffer, big }, { zeroCopy: true });
    expect(arrived.buffer.byteLength).toBe(8000);
    expect(arrived.big.buffer).toBe(arrived.buffer);
  });

  test("small values have no buffers beside the body", () => {
    const encoder = new ValueEncoder(() => false);
    encoder.encode([new Uint8Array(12), new Uint8Array(255), 1], "args");
    expect(encoder.buffers).toEqual([]);
    expect(encoder.byteLength).toBe(encoder.length);
  });

  test("bytes after the value are an error", () => {
    const bytes = new Uint8Array([0, 1, 2]);
    const options = { specials: [], zeroCopy: false };
    expect(decodeValue(bytes, 0, 2, options)).toBe(1);
    expect(() => decodeValue(bytes, 0, 3, options)).toThrow(/left over/);
    expect(() => decodeValue(new Uint8Array([0, 0xff]), 0, 2, options)).toThrow(/unknown tag 255/);
  });

  test("the bytes of every kind: a change here needs a new version of the protocol", () => {
    const encoder = new ValueEncoder((value) => value === encoder);
    const shared = { a: -1, b: "é" };
    const hex = (...values: unknown[]): string[] | null => {
      encoder.encodeArguments(values);
      return encoder.scratch.toString("hex", 0, encoder.length).match(/.{1,64}/g);
    };
    expect(hex(1, 300, -0, 0.5, true, null, undefined)).toMatchInlineSnapshot(`
      [
        "00d00e01c4d804c50000000000000080c5000000000000e03fc3c1c0",
      ]
    `);
    expect(hex("", "ab", "中", "x".repeat(65))).toMatchInlineSnapshot(`
      [
        "00d00880826162c7012d4ec64178787878787878787878787878787878787878",
        "7878787878787878787878787878787878787878787878787878787878787878",
        "7878787878787878787878787878",
      ]
    `);
    expect(hex(5n, 2n ** 64n, shared, shared, { a: 1, b: 2 })).toMatchInlineSnapshot(`
      [
        "02d00ac80500000000000000c9913130303030303030303030303030303030d2",
        "000281618162c40181e9cb01d2010102",
      ]
    `);
    expect(hex(new Map([[1, 2]]), new Set([3]), new Date(0), /a/g)).toMatchInlineSnapshot(`
      [
        "00d008d3010102d40103e00000000000000000e181618167",
      ]
    `);
    expect(hex(new URL("a:b"), new URLSearchParams("a=b"), Object("s"))).toMatchInlineSnapshot(`
      [
        "00d006e283613a62e383613d62e48173",
      ]
    `);
    expect(hex(encoder, [1].concat(new Array(2)), new Array(64).fill(7))).toMatchInlineSnapshot(`
      [
        "00d006cc00d00601ca02d843dc00400707070707070707070707070707070707",
        "0707070707070707070707070707070707070707070707070707070707070707",
        "070707070707070707070707070707",
      ]
    `);
    expect(hex(new Uint8Array([1, 2]), new Float32Array(1), new ArrayBuffer(1)))
      .toMatchInlineSnapshot(`
        [
          "010c000000d006e502e508e60303000002010004020001418101230102000000",
          "0000",
        ]
      `);
    const error = Object.assign(new RangeError("m"), { stack: "s", code: 1 });
    expect(hex(error)).toMatchInlineSnapshot(`
      [
        "00d002d6028a52616e67654572726f72854572726f72030004846e616d65876d",
        "65737361676585737461636b84636f64658a52616e67654572726f72816d8173",
        "01",
      ]
    `);
  });

  test("scratch memory shrinks again after a large value", () => {
    const encoder = new ValueEncoder(() => false);
    encoder.encode("x".repeat(3_000_000), "value");
    encoder.encode(1, "value");
    expect(encoder.scratch.length).toBeLessThan(100_000);
  });
});
