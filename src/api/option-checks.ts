/**
 * The one check of what a verb is given: every options object of the api passes `checkOptions`.
 *
 * Wrong kind or unknown name: TypeError. Out of bounds: RangeError. Both at the call.
 */
import { fixedPointScale } from "#engine/common/resources.ts";

export type Options = Readonly<Record<string, unknown>>;

/**
 * The options as they are now, lists and plain objects in them too: what is checked here is what
 * will be used, whatever their giver does to them.
 */
export function copyOptions(options: Options): Options {
  return Object.fromEntries(Object.entries(options).map(([name, value]) => [name, copy(value)]));
}

function copy(value: unknown): unknown {
  if (Array.isArray(value)) return [...value];
  if (typeof value !== "object" || value === null) return value;
  const prototype: unknown = Object.getPrototypeOf(value);
  const isPlain = prototype === Object.prototype || prototype === null;
  return isPlain ? copyOptions(value as Options) : value;
}

/** `of`: whose options they are, as the message begins: "get", "a remote function". */
export function checkOptions(of: string, options: unknown, known: readonly string[]): Options {
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    throw new TypeError(`options of ${of} must be an object, got ${describe(options)}`);
  }
  const unknown = Object.keys(options).find((name) => !known.includes(name));
  if (unknown === undefined) return options as Options;
  throw new TypeError(
    `${of} has no option ${JSON.stringify(unknown)}; it has: ${known.join(", ")}`,
  );
}

export function checkBoolean(name: string, value: unknown): void {
  if (value !== undefined && typeof value !== "boolean") throw kindError(name, "a boolean", value);
}

export function checkString(name: string, value: unknown): asserts value is string | undefined {
  if (value !== undefined && typeof value !== "string") throw kindError(name, "a string", value);
}

/** A namespace: any string but the empty one. */
export function checkNamespace(name: string, value: unknown): asserts value is string | undefined {
  checkString(name, value);
  if (value === "") throw new RangeError(`${name} must not be empty`);
}

/** Of a resource. */
export function checkAmount(name: string, value: unknown): asserts value is number {
  if (typeof value !== "number") throw kindError(name, "a number", value);
  if (!Number.isFinite(value) || value < 0) {
    throw new RangeError(`${name} must be a finite number of at least 0, got ${value}`);
  }
  if (value > 0 && value < 1 / fixedPointScale) {
    throw new RangeError(`${name} must be 0 or at least ${1 / fixedPointScale}, got ${value}`);
  }
}

export function checkInteger(name: string, value: unknown, min: number, max: number): void {
  if (typeof value !== "number") throw kindError(name, "an integer", value);
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new RangeError(`${name} must be an integer from ${min} to ${max}, got ${value}`);
  }
}

/** Milliseconds to wait; Infinity is as good as none. */
export function checkDuration(name: string, value: unknown): asserts value is number | undefined {
  if (value === undefined) return;
  if (typeof value !== "number") throw kindError(name, "a number", value);
  if (!(value >= 0)) throw new RangeError(`${name} must be at least 0, got ${value}`);
}

export function recordOf(name: string, value: unknown): [string, unknown][] {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw kindError(name, "an object", value);
  }
  return Object.entries(value);
}

export function kindError(name: string, wanted: string, value: unknown): TypeError {
  return new TypeError(`${name} must be ${wanted}, got ${describe(value)}`);
}

/** What a value is, for a message; a value that cannot be looked at is one too. */
export function describe(value: unknown): string {
  try {
    if (value === null) return "null";
    if (Array.isArray(value)) return "a list";
    if (typeof value === "string") return JSON.stringify(value);
    if (typeof value === "function") return `the function ${value.name || "anonymous"}`;
    if (typeof value === "object") return `an object of ${classNameOf(value)}`;
    return String(value);
  } catch {
    return "what cannot be looked at";
  }
}

/** Not by `value.constructor`: an actor's handle has a method of every name. */
function classNameOf(value: object): string {
  const prototype = Object.getPrototypeOf(value) as { constructor?: { name?: unknown } } | null;
  const name = prototype?.constructor?.name;
  return typeof name === "string" && name !== "" ? name : "no class";
}
