/**
 * Classes whose instances keep their prototype on the way. A class is known by its name, so the
 * module that registers it must be loaded on both sides. The registry hangs on globalThis: two
 * copies of this package in one thread share it.
 */
import { types } from "node:util";
import { checkOptions } from "#api/option-checks.ts";

export type AnyClass = abstract new (...args: never[]) => object;

export interface ClassCodec {
  serialize(value: object): unknown;
  deserialize(wire: unknown): object;
}

export interface RegisteredClass {
  readonly cls: AnyClass;
  readonly name: string;
  readonly codec: ClassCodec | undefined;
}

interface Registry {
  readonly byName: Map<string, RegisteredClass>;
  readonly byPrototype: WeakMap<object, RegisteredClass>;
}

const registryKey = Symbol.for("mobula.registered-classes");
const registry: Registry = ((globalThis as { [registryKey]?: Registry })[registryKey] ??= {
  byName: new Map(),
  byPrototype: new WeakMap(),
});

/** Own fields would leave out what these hold. Errors are not here: their state is known. */
const needCodec: readonly AnyClass[] = [
  Array,
  ArrayBuffer,
  DataView,
  Date,
  Map,
  Promise,
  RegExp,
  Set,
  SharedArrayBuffer,
  URL,
  URLSearchParams,
  Object.getPrototypeOf(Uint8Array),
];

/**
 * Without a codec the own enumerable fields travel, and the instance is made without calling the
 * constructor. TypeError when it cannot work or when another class has the name.
 */
export function registerClass<C extends abstract new (...args: any[]) => any, W = unknown>(
  cls: C,
  codec?: { serialize(value: InstanceType<C>): W; deserialize(wire: W): InstanceType<C> },
): void {
  if (typeof cls !== "function" || typeof cls.prototype !== "object" || cls.prototype === null) {
    throw new TypeError("registerClass() takes a class");
  }
  const name = cls.name;
  if (name === "") throw new TypeError("registerClass() needs a class with a name");
  if (codec !== undefined) checkCodec(name, codec);
  else checkOwnFields(cls);
  const known = registry.byName.get(name);
  if (known?.cls === cls && !isSameCodec(known.codec, codec)) {
    throw new TypeError(`registerClass(${name}): it is registered already, with another codec`);
  }
  if (known !== undefined && known.cls !== cls && sourceOf(known.cls) !== sourceOf(cls)) {
    throw new TypeError(
      `registerClass(): another class named ${name} is registered; rename one of them`,
    );
  }
  const registered = { cls, name, codec: codec as ClassCodec | undefined };
  registry.byName.set(name, registered);
  registry.byPrototype.set(cls.prototype, registered);
}

/** The class of exactly this prototype; a subclass has to be registered itself. */
export function registeredByPrototype(prototype: object): RegisteredClass | undefined {
  return registry.byPrototype.get(prototype);
}

export function registeredByName(name: string): RegisteredClass | undefined {
  return registry.byName.get(name);
}

function checkCodec(name: string, codec: object): void {
  const names = ["serialize", "deserialize"];
  checkOptions(`registerClass(${name}): the codec`, codec, names);
  const { serialize, deserialize } = codec as Partial<ClassCodec>;
  if (typeof serialize === "function" && typeof deserialize === "function") return;
  throw new TypeError(`registerClass(${name}): a codec has serialize() and deserialize()`);
}

function checkOwnFields(cls: AnyClass): void {
  const base = needCodec.find((builtIn) => cls === builtIn || cls.prototype instanceof builtIn);
  const privateField = privateFieldOf(cls);
  if (base !== undefined || types.isProxy(cls)) {
    throw new TypeError(
      `registerClass(${cls.name}): ${base?.name ?? "a Proxy"} holds more than fields; give a codec`,
    );
  }
  if (privateField === undefined) return;
  throw new TypeError(
    `registerClass(${cls.name}): its ${privateField} cannot be read from outside; give a codec`,
  );
}

/** By the source of the class: `#name` cannot be seen in any other way. */
function privateFieldOf(cls: AnyClass): string | undefined {
  for (let at: unknown = cls; typeof at === "function"; at = Object.getPrototypeOf(at)) {
    const name = /\bthis\.(#[\w$]+)/.exec(sourceOf(at as AnyClass))?.[1];
    if (name !== undefined) return name;
  }
  return undefined;
}

/** Of a module that was evaluated twice the functions are others, and say the same. */
function isSameCodec(known: ClassCodec | undefined, codec: object | undefined): boolean {
  if (known === undefined || codec === undefined) return known === codec;
  const { serialize, deserialize } = codec as ClassCodec;
  const pairs = [
    [known.serialize, serialize],
    [known.deserialize, deserialize],
  ] as const;
  return pairs.every(([a, b]) => a === b || String(a) === String(b));
}

function sourceOf(cls: AnyClass): string {
  return Function.prototype.toString.call(cls);
}
