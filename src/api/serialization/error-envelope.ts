/**
 * How an error travels: the names of its prototype chain, then its fields. On the other side it is
 * an instance of the first class in the chain that is known there: registered, ours, or built in.
 */
import { mobulaErrorClass, mobulaErrorName } from "#api/error-brand.ts";
import { registeredByName } from "./registered-classes.ts";

type ErrorClass = abstract new (...args: never[]) => object;

export interface ErrorFields {
  /** Those that are not enumerable come first. */
  readonly keys: string[];
  readonly values: unknown[];
  readonly hiddenCount: number;
}

/** Of errors whose own class is not known here: under which names they came. */
const namesOfUnknown = new WeakMap<object, readonly string[]>();

const builtInErrors = new Map<string, ErrorClass>();
for (const name of [
  "Error",
  "EvalError",
  "RangeError",
  "ReferenceError",
  "SyntaxError",
  "TypeError",
  "URIError",
  "AggregateError",
  "SuppressedError",
]) {
  const cls = (globalThis as unknown as Record<string, ErrorClass | undefined>)[name];
  if (cls !== undefined) builtInErrors.set(name, cls);
}
/** A chain longer than this is nobody's class hierarchy. */
const chainLengthMax = 32;

export function errorClassNames(error: object): string[] {
  const names: string[] = [...(namesOfUnknown.get(error) ?? [])];
  if (names.length > 0) return names;
  let prototype: object | null = Object.getPrototypeOf(error);
  while (prototype !== null && prototype !== Object.prototype && names.length < chainLengthMax) {
    const name = mobulaErrorName(prototype) ?? ownConstructorName(prototype);
    if (name !== undefined) names.push(name);
    prototype = Object.getPrototypeOf(prototype);
  }
  return names;
}

function ownConstructorName(prototype: object): string | undefined {
  const constructor: unknown = Object.getOwnPropertyDescriptor(prototype, "constructor")?.value;
  return typeof constructor === "function" ? constructor.name : undefined;
}

/** What an error has under `key`, as `convert` makes it. */
export type ReadField = (key: string, convert: (value: unknown) => unknown) => unknown;

/** Reads every field once, by `read`. */
export function errorFields(error: object, read: ReadField): ErrorFields {
  const keys: string[] = [];
  const values: unknown[] = [];
  const visible = Object.keys(error);
  for (const key of ["name", "message", "stack"]) {
    if (visible.includes(key)) continue;
    const isOwnMessage = key === "message" && Object.hasOwn(error, key);
    const value = read(key, key === "stack" ? textOfStack : textOf(isOwnMessage));
    if (value === undefined) continue;
    keys.push(key);
    values.push(value);
  }
  for (const key of ["cause", "errors", "error", "suppressed"]) {
    if (!Object.hasOwn(error, key) || visible.includes(key)) continue;
    keys.push(key);
    values.push(read(key, asIs));
  }
  const hiddenCount = keys.length;
  for (const key of visible) {
    keys.push(key);
    values.push(read(key, asIs));
  }
  return { keys, values, hiddenCount };
}

function asIs(value: unknown): unknown {
  return value;
}

/** As structuredClone does: whatever a message is, String of it. What has none throws. */
function textOf(isWanted: boolean): (value: unknown) => string | undefined {
  return (value) => (value === undefined && !isWanted ? undefined : String(value));
}

/** It may be a list of call sites. Without text there is none, for structuredClone as well. */
function textOfStack(value: unknown): string | undefined {
  try {
    return value === undefined || value === null ? undefined : String(value);
  } catch {
    return undefined;
  }
}

/** An error without fields; its constructor is not called. */
export function reviveError(classNames: readonly string[]): Error {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 0;
  try {
    const cls = firstKnownClass(classNames);
    const error: Error = Reflect.construct(Error, [], cls);
    const [own] = classNames;
    if (own !== undefined && own !== cls.name) namesOfUnknown.set(error, classNames);
    return error;
  } finally {
    Error.stackTraceLimit = limit;
  }
}

function firstKnownClass(classNames: readonly string[]): ErrorClass {
  for (const name of classNames) {
    const registered = registeredByName(name);
    // A class with a codec may have state that fields do not give.
    if (registered?.codec === undefined && registered?.cls.prototype instanceof Error) {
      return registered.cls;
    }
    const cls = mobulaErrorClass(name) ?? builtInErrors.get(name);
    if (cls !== undefined) return cls;
  }
  return Error;
}

/** `isHidden`: as `message` of an Error, not listed by Object.keys. */
export function setErrorField(error: Error, key: string, value: unknown, isHidden: boolean): void {
  if (isHidden && key === "name" && error.name === value) return;
  Object.defineProperty(error, key, {
    value,
    writable: true,
    configurable: true,
    enumerable: !isHidden,
  });
}
