/** Objects whose state no field shows: refused by name, never emptied in silence. */
import { createECDH, createHash } from "node:crypto";
import { runInNewContext, Script } from "node:vm";
import { describe, expect, test } from "vitest";
import { refusal, roundTrip } from "./round-trip.ts";

interface WebAssemblyClasses {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Memory: new (of: { initial: number }) => object;
}
// @types/node knows them as types alone.
const { Module, Memory } = (globalThis as unknown as { WebAssembly: WebAssemblyClasses })
  .WebAssembly;
/** The header of a module and nothing else. */
const emptyModule = Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0);

describe("native objects", () => {
  test.each<[name: string, value: object, message: RegExp]>([
    ["a module", new Module(emptyModule), /WebAssembly\.Module\. .*registerClass/],
    ["memory", new Memory({ initial: 1 }), /WebAssembly\.Memory/],
    ["a hash", createHash("md5"), /Hash\. .*registerClass\(Hash, codec\)/],
    ["a key exchange", createECDH("secp256k1"), /ECDH/],
    ["a script", new Script("1"), /ContextifyScript/],
    ["a port", new MessageChannel().port1, /MessagePort|EventTarget/],
    ["a class of the user on one", new (class extends Memory {})({ initial: 1 }), /Memory/],
  ])("%s is refused", (_name, value, message) => {
    const error = refusal({ deep: [value] });
    expect(error.path).toBe("args.deep[0]");
    expect(error.message).toMatch(message);
  });

  test("not what only looks like one", () => {
    const own: unique symbol = Symbol("own");
    class Decorated {
      readonly kept = 1;
      readonly [own] = { list: new Map(), bytes: new Uint8Array(1), again: [1] };
    }
    Decorated.prototype.constructor = new Proxy(Decorated, {});
    const bound = Object.assign(Object.create({ constructor: roundTrip.bind(null) }), { kept: 1 });
    for (const value of [new Decorated(), bound]) expect(roundTrip(value)).toEqual({ kept: 1 });
  });

  test.each<[name: string, fake: object, real: object]>([
    ["a proxy of a map", new Proxy(new Map(), {}), new Map([[1, 2]])],
    ["a date that holds none", Object.create(Date.prototype) as object, new Date(5)],
    ["a view on nothing", Object.create(Int8Array.prototype) as object, Int8Array.of(5)],
  ])("%s does not stand for those that are real", (_name, fake, real) => {
    expect(refusal({ fake }).path).toBe("args.fake");
    expect(roundTrip({ real })).toEqual({ real });
  });

  test("not a plain object of another realm", () => {
    expect(roundTrip(runInNewContext("({ kept: { x: [1] } })"))).toEqual({ kept: { x: [1] } });
  });
});
