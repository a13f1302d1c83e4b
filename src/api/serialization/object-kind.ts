/** What an object is, by what it holds inside rather than by what it says about itself. */
import { types } from "node:util";
import { registeredByPrototype, type RegisteredClass } from "./registered-classes.ts";

export type ObjectKind =
  | "plain"
  | "array"
  | "map"
  | "set"
  | "date"
  | "regExp"
  | "view"
  | "arrayBuffer"
  | "sharedArrayBuffer"
  | "boxed"
  | "error"
  | "domException"
  | "url"
  | "urlSearchParams"
  | Refusal
  | RegisteredClass;

/** Why it cannot travel and what to do about it. */
export class Refusal {
  readonly what: string;
  readonly advice: string;

  constructor(what: string, advice: string) {
    this.what = what;
    this.advice = advice;
  }
}

export const functionAdvice =
  "Functions do not travel: pass data, a remote function or an actor handle instead.";
export const symbolAdvice = "Symbols do not travel: pass a string instead.";

const iteratorPrototype: object = Object.getPrototypeOf(
  Object.getPrototypeOf([][Symbol.iterator]()),
);

/** In this order: a generator is an iterator too, a DOMException an Error. */
const checks: readonly (readonly [(value: object) => boolean, ObjectKind])[] = [
  // From Node 22 on it is a native error too.
  [(value) => value instanceof DOMException, "domException"],
  [types.isNativeError, "error"],
  [types.isMap, "map"],
  [types.isSet, "set"],
  [types.isDate, "date"],
  [types.isRegExp, "regExp"],
  [ArrayBuffer.isView, "view"],
  [types.isArrayBuffer, "arrayBuffer"],
  [types.isBoxedPrimitive, "boxed"],
  [types.isSharedArrayBuffer, "sharedArrayBuffer"],
  [types.isPromise, new Refusal("promise", "Await it first, or pass the ref of a task.")],
  [types.isWeakMap, new Refusal("WeakMap", "Its entries cannot be listed: pass a Map.")],
  [types.isWeakSet, new Refusal("WeakSet", "Its members cannot be listed: pass a Set.")],
  [
    types.isGeneratorObject,
    new Refusal("generator", "Collect it into an array, or stream from a generator task."),
  ],
  [isIterator, new Refusal("iterator", "Collect it into an array.")],
  [types.isKeyObject, new Refusal("KeyObject", "Export the key and pass its bytes.")],
  [types.isExternal, new Refusal("native pointer", "It means nothing in another thread.")],
  [(value) => value instanceof Error, "error"],
  [(value) => value instanceof URL, "url"],
  [(value) => value instanceof URLSearchParams, "urlSearchParams"],
];

/**
 * By prototype, once it has been worked out for one instance. Refusals are not kept: one that only
 * looks like a Map (a Proxy of it) says nothing of those that are.
 */
const kinds = new WeakMap<object, ObjectKind>();

export function objectKind(value: object): ObjectKind {
  if (Array.isArray(value)) return registeredKind(value) ?? "array";
  const prototype: object | null = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null) return "plain";
  const registered = registeredByPrototype(prototype);
  if (registered !== undefined) return registered;
  let kind = kinds.get(prototype);
  if (kind === undefined) {
    kind = inspect(value);
    if (!(kind instanceof Refusal)) kinds.set(prototype, kind);
  }
  return kind;
}

function registeredKind(array: object): RegisteredClass | undefined {
  const prototype: object | null = Object.getPrototypeOf(array);
  if (prototype === Array.prototype || prototype === null) return undefined;
  return registeredByPrototype(prototype);
}

function inspect(value: object): ObjectKind {
  for (const [holds, kind] of checks) if (holds(value)) return kind;
  const platform = platformClass(value) ?? nativeClass(value) ?? wrapperClass(value);
  if (platform === undefined) return "plain";
  return new Refusal(
    platform,
    `Its state is out of reach: pass the data in it, or registerClass(${platform}, codec).`,
  );
}

function isIterator(value: object): boolean {
  return Object.prototype.isPrototypeOf.call(iteratorPrototype, value);
}

/** Name of the class of the platform (Blob, Headers, WeakRef …) that the value is of. */
function platformClass(value: object): string | undefined {
  const tag = nativeTag(value);
  if (tag === undefined) return undefined;
  if (tag.startsWith("Intl.")) return tag;
  const constructor: unknown = (globalThis as Record<string, unknown>)[tag];
  return typeof constructor === "function" && value instanceof constructor ? tag : undefined;
}

/**
 * Name of the first class in the chain that no JavaScript has written (WebAssembly.Module, a file
 * handle): its instances hold what no field shows. The root of a chain says nothing: it is the
 * Object of some realm.
 */
function nativeClass(value: object): string | undefined {
  let prototype: object | null = Object.getPrototypeOf(value);
  while (prototype !== null) {
    const parent: object | null = Object.getPrototypeOf(prototype);
    if (parent === null) return undefined;
    const constructor = ownConstructor(prototype);
    if (constructor?.prototype === prototype && isNative(constructor)) {
      return nativeTag(value) ?? (constructor.name || "native object");
    }
    prototype = parent;
  }
  return undefined;
}

/** Name of a class that keeps native state under a symbol, as those of node:crypto do. */
function wrapperClass(value: object): string | undefined {
  for (const symbol of Object.getOwnPropertySymbols(value)) {
    const held: unknown = Object.getOwnPropertyDescriptor(value, symbol)?.value;
    if (typeof held !== "object" || held === null) continue;
    if (checks.some(([holds]) => holds(held)) || Array.isArray(held)) continue;
    if (nativeClass(held) !== undefined) return ownConstructor(Object.getPrototypeOf(value))?.name;
  }
  return undefined;
}

function ownConstructor(prototype: object): (Function & { prototype?: unknown }) | undefined {
  const constructor: unknown = Object.getOwnPropertyDescriptor(prototype, "constructor")?.value;
  return typeof constructor === "function" ? constructor : undefined;
}

/** A Proxy on a class of the user reads like one. */
function isNative(constructor: Function): boolean {
  const source = Function.prototype.toString.call(constructor);
  return source.endsWith("{ [native code] }") && !types.isProxy(constructor);
}

function nativeTag(value: object): string | undefined {
  const tag: unknown = (value as { [Symbol.toStringTag]?: unknown })[Symbol.toStringTag];
  return typeof tag === "string" ? tag : undefined;
}
