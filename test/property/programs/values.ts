/** Values of programs: a number alone, or one with refs and bytes; and how they are let go of. */
import { handleInternals } from "#api/actor-handle.ts";
import { requireClient } from "#api/runtime.ts";
import type { ObjectRef } from "#api/types.ts";
import { Prng } from "#engine/common/prng.ts";
import { SimReclaimer } from "#sim/cluster/reclaimer.ts";

export interface Rich {
  readonly n: number;
  readonly refs: readonly Ref[];
  readonly pad: Uint8Array;
}
export type Value = number | Rich;
export type Ref = ObjectRef<Value>;

/** A number alone where that says it all. */
export function valueOf(n: number, refs: readonly Ref[], bytes: number): Value {
  if (refs.length === 0 && bytes === 0) return n;
  return { n, refs, pad: new Uint8Array(bytes).fill(n) };
}

export function numberIn(value: Value): number {
  return typeof value === "number" ? value : value.n;
}

export function refsIn(value: Value): readonly Ref[] {
  return typeof value === "number" ? [] : value.refs;
}

/** -1 when they are not what they were. */
export function bytesIn({ n, pad }: Rich): number {
  return pad.every((byte) => byte === (n & 255)) ? pad.length : -1;
}

/** Its bytes are not looked at any more: a simulated collector takes them now, or with others. */
export function letGo(value: Value): void {
  if (typeof value === "number") return;
  const reclaimer = requireClient("get")?.client.reclaimer;
  if (!(reclaimer instanceof SimReclaimer)) return;
  reclaimer.drop(value.pad.buffer);
  if (Math.random() < 0.75) reclaimer.collect("oldest", new Prng(0));
}

/** Nobody here calls them any more: a simulated collector takes them now. */
export function letGoOf(handles: readonly object[]): void {
  const reclaimer = requireClient("get")?.client.reclaimer;
  if (!(reclaimer instanceof SimReclaimer)) return;
  for (const handle of handles) {
    const inside = handleInternals(handle);
    if (inside !== undefined) reclaimer.drop(inside);
  }
  reclaimer.collect("oldest", new Prng(0));
}

export function dispose(refs: readonly ObjectRef<unknown>[]): void {
  for (const ref of refs) ref[Symbol.dispose]();
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, ms));
}
