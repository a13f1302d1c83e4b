/** Classes that keep their prototype on the way: by their fields, or through a codec. */
import { describe, expect, test } from "vitest";
import { registerClass } from "#api/serialization/registered-classes.ts";
import { ValueEncoder } from "#api/serialization/value-encoder.ts";
import { decodeFrom, refusal, roundTrip } from "./round-trip.ts";

describe("registered classes", () => {
  class Vector {
    x: number;
    y: number;
    constructor(x: number, y: number) {
      if (x === undefined) throw new Error("called without arguments");
      this.x = x;
      this.y = y;
    }
    get length(): number {
      return Math.hypot(this.x, this.y);
    }
  }
  class Money {
    #cents: bigint;
    constructor(cents: bigint) {
      this.#cents = cents;
    }
    get cents(): bigint {
      return this.#cents;
    }
  }
  class Tree {
    parent: Tree | undefined;
    children: Tree[] = [];
  }
  class Loop {
    self: unknown;
  }
  registerClass(Vector);
  registerClass(Tree);
  registerClass(Money, {
    serialize: (money) => ({ cents: money.cents, note: [1] }),
    deserialize: ({ cents }) => new Money(cents),
  });
  registerClass(Loop, { serialize: (loop) => [loop], deserialize: () => new Loop() });

  test("one with private fields needs a codec, one class has one codec", () => {
    class Secret {
      #word = "";
      read(): string {
        return this.#word;
      }
    }
    expect(() => registerClass(Secret)).toThrow(/registerClass\(Secret\): its #word .* codec/);
    const codec = { serialize: () => 1, deserialize: () => new Secret() };
    registerClass(Secret, codec);
    registerClass(Secret, { ...codec });
    const another = { serialize: () => 2, deserialize: () => new Secret() };
    expect(() => registerClass(Secret, another)).toThrow(/registered already, with another codec/);
  });

  test("own fields and prototype, without the constructor", () => {
    const arrived = roundTrip([new Vector(3, 4)])[0];
    expect(arrived).toBeInstanceOf(Vector);
    expect(arrived?.length).toBe(5);
  });

  test("cycles through instances", () => {
    const tree = new Tree();
    tree.children.push(Object.assign(new Tree(), { parent: tree }));
    const arrived = roundTrip(tree);
    expect(arrived.children[0]).toBeInstanceOf(Tree);
    expect(arrived.children[0]?.parent).toBe(arrived);
  });

  test("a codec, its value shared, and what comes after it", () => {
    const money = new Money(5n);
    const after = { after: true };
    const arrived = roundTrip([money, after, money, after] as const);
    expect(arrived[0]).toBeInstanceOf(Money);
    expect(arrived[0].cents).toBe(5n);
    expect(arrived[2]).toBe(arrived[0]);
    expect(arrived[3]).toBe(arrived[1]);
  });

  test("a codec is given whole values at any depth", () => {
    class Wrapper {
      inner: unknown;
    }
    let seen = 0;
    registerClass(Wrapper, {
      serialize: (wrapper) => ({ a: { b: { c: wrapper.inner } } }),
      deserialize: (wire: { a: { b: { c: unknown } } }) => {
        seen += 1;
        return Object.assign(new Wrapper(), { inner: wire.a.b.c });
      },
    });
    let value: unknown = Object.assign(new Wrapper(), { inner: "end" });
    for (let i = 0; i < 198; i++) value = [value];
    let arrived: unknown = roundTrip(value);
    while (Array.isArray(arrived)) arrived = arrived[0];
    expect((arrived as Wrapper).inner).toBe("end");
    expect(seen).toBe(1);
    for (let i = 0; i < 1000; i++) value = Object.assign(new Wrapper(), { inner: value });
    expect(refusal(value).message).toMatch(/too deep/);
  });

  test("codecs that cannot work", () => {
    expect(refusal([new Loop()])).toMatchObject({ path: "args[0].serialize()[0]" });
    class Broken {}
    const failing = (): never => {
      throw new RangeError("broken");
    };
    registerClass(Broken, { serialize: failing, deserialize: failing });
    expect(refusal([new Broken()])).toMatchObject({ cause: expect.any(RangeError) });
    class Half {}
    registerClass(Half, { serialize: () => 1, deserialize: failing });
    expect(() => roundTrip(new Half())).toThrow(/codec of Half threw: broken/);
  });

  test("a class that is not known where it arrives", () => {
    class Stranger {}
    registerClass(Stranger);
    const encoder = new ValueEncoder(() => false);
    encoder.encode(new Stranger(), "value");
    const registry: unknown = Reflect.get(globalThis, Symbol.for("mobula.registered-classes"));
    (registry as { byName: Map<string, unknown> }).byName.delete("Stranger");
    expect(() => decodeFrom(encoder)).toThrow(/registerClass\(Stranger\)/);
  });

  test("the same module loaded twice", () => {
    const load = (): new () => object => class Twin {};
    const [first, second] = [load(), load()];
    registerClass(first);
    registerClass(second);
    expect(roundTrip(new first())).toBeInstanceOf(second);
    expect(roundTrip(new second())).toBeInstanceOf(second);
  });

  test("bad registrations", () => {
    const another = {
      Vector: class Vector {
        z = 0;
      },
    };
    expect(() => registerClass(another.Vector)).toThrow(/another class named Vector/);
    expect(() => registerClass(Vector)).not.toThrow();
    expect(() => registerClass(class {})).toThrow(TypeError);
    expect(() => registerClass((() => 1) as never)).toThrow(TypeError);
    expect(() => registerClass(class Table extends Map {})).toThrow(/give a codec/);
    expect(() => registerClass(class Odd {}, { serialize: 1 } as never)).toThrow(TypeError);
  });
});
