/** Refs as users give them, alone or in lists, and the objects that they stand for. */
import type { ObjectEntry } from "#engine/core-worker/object-entry.ts";
import { refIn } from "./captured-refs.ts";
import { ObjectRef } from "./object-ref.ts";
import { describe } from "./option-checks.ts";
import type { Caller } from "./runtime.ts";

type AnyObjectRef = ObjectRef<unknown>;

export function entriesOf(refs: readonly unknown[], caller: Caller, verb: string): ObjectEntry[] {
  const entries = new Array<ObjectEntry>(refs.length);
  // Unlike map() it does not pass over holes.
  for (let i = 0; i < refs.length; i++) entries[i] = itemOf(refs[i], i, caller, verb);
  return entries;
}

/** In one pass as a rule: of what was called in turn the refs rise, so none is there twice. */
export function distinctEntriesOf(
  refs: readonly unknown[],
  caller: Caller,
  verb: string,
): ObjectEntry[] {
  const entries = new Array<ObjectEntry>(refs.length);
  let isRising = true;
  let last: ObjectEntry | undefined;
  for (let i = 0; i < refs.length; i++) {
    const entry = itemOf(refs[i], i, caller, verb);
    isRising &&= last === undefined || isBehind(entry, last);
    entries[i] = entry;
    last = entry;
  }
  if (isRising || new Set(entries).size === entries.length) return entries;
  const i = entries.findIndex((entry, at) => entries.indexOf(entry) !== at);
  throw new TypeError(`${verb}() takes each ref once; item ${i} of the list is there already`);
}

/** By the order in which their owner has made them. */
function isBehind({ owner, serial, index }: ObjectEntry, other: ObjectEntry): boolean {
  if (owner !== other.owner || serial < other.serial) return false;
  return serial > other.serial || index > other.index;
}

// oxlint-disable-next-line max-params -- for each item of long lists.
function itemOf(ref: unknown, i: number, caller: Caller, verb: string): ObjectEntry {
  const entry = ObjectRef.entryIn(ref, caller.client);
  if (entry !== undefined) return entry;
  if (!ObjectRef.is(ref)) throw notARef(`${verb}: item ${i} of the list`, ref);
  return entryOf(ref, caller, verb);
}

export function entryOf(ref: AnyObjectRef, { client }: Caller, verb: string): ObjectEntry {
  return ObjectRef.entryOf(refIn(client, ref, verb));
}

export function notARef(where: string, value: unknown): TypeError {
  const hint = isThenable(value) ? ": await it first, get() is for refs" : "";
  return new TypeError(
    `${where}: expected a ref (what .remote() or put() gave), got ${describe(value)}${hint}`,
  );
}

export function isThenable(value: unknown): boolean {
  return (
    typeof value === "object" &&
    value !== null &&
    typeof (value as { then?: unknown }).then === "function"
  );
}
