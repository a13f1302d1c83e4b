/** Numbers, texts, ids and lists as messages have them. */
import * as fc from "fast-check";
import {
  type ActorId,
  type Address,
  gcsAddress,
  type NodeId,
  type WorkerId,
} from "#engine/common/ids.ts";

export type Arb<T> = fc.Arbitrary<T>;
export type Shape<T> = { [K in keyof T]: Arb<T[K]> };

export const of = <T>(shape: Shape<T>): Arb<T> =>
  fc.record(shape, { noNullPrototype: true }) as Arb<T>;
export const orNull = <T>(value: Arb<T>): Arb<T | null> => fc.option(value, { nil: null });
export const few = <T>(value: Arb<T>): Arb<T[]> => fc.array(value, { maxLength: 4 });

export const u16 = fc.nat(0xffff);
export const u32 = fc.oneof(fc.nat(300), fc.nat(2 ** 32 - 1));
export const u48 = fc.oneof(
  fc.nat(300),
  fc.maxSafeNat().map((n) => n % 2 ** 48),
);
export const count = fc.oneof(fc.nat(300), fc.maxSafeNat());
export const anyNumber = fc.oneof(fc.integer(), fc.maxSafeInteger(), fc.double());

const unitsOf = (unitMax: number): Arb<string> =>
  fc
    .array(fc.nat(unitMax), { maxLength: 40 })
    .map((units) => units.map((unit) => String.fromCharCode(unit)).join(""));

/** Short and long, one byte and two bytes a unit, whole and broken surrogate pairs, mixtures. */
export const strings: Arb<string> = fc.oneof(
  fc.string({ maxLength: 12 }),
  unitsOf(0x7f),
  unitsOf(0xff),
  unitsOf(0xffff),
  fc.tuple(fc.nat(200), unitsOf(0xffff)).map(([length, tail]) => "a".repeat(length) + tail),
  fc.tuple(fc.nat(200), unitsOf(0xff)).map(([length, tail]) => "a".repeat(length) + tail),
  fc.constantFrom("", "\ud800", "\udc00\ud800", "x".repeat(300), "é".repeat(70), "😀", "__proto__"),
);

const idOf = (digits: number): Arb<string> =>
  fc.oneof(
    {
      weight: 4,
      arbitrary: fc
        .uint8Array({ minLength: digits / 2, maxLength: digits / 2 })
        .map((bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")),
    },
    {
      weight: 1,
      arbitrary: fc.oneof(strings, fc.constantFrom("gcs", "AB", "abc", "0g", "ab".repeat(129))),
    },
  );

export const nodeId = idOf(32) as Arb<NodeId>;
export const workerId = idOf(40) as Arb<WorkerId>;
export const actorId = idOf(52) as Arb<ActorId>;
export const addresses: Arb<Address> = fc.oneof(workerId, nodeId, fc.constant(gcsAddress));
