/**
 * More values than the stores hold at once: spilled, restored, served to other nodes from the disk,
 * lost where a disk spoils them; put where memory has no room, and written while the caller waits;
 * moved although others keep them, read them, and pass them on; written by who ends in the midst of
 * it. Whatever comes is what was made.
 */
import { type ActorHandle, get, kill, type ObjectRef, put, remote, wait } from "mobula";
import type { SimOptions, Simulation } from "mobula/sim";
import { Prng } from "#engine/common/prng.ts";
import { endsOfWriters, inRounds, type SimProgram, worldOf } from "./world.ts";
import { ifRoom, settle, settleAll, valueOf } from "./outcome.ts";

/** Of which a store of a mebibyte holds a third. */
const count = 40;
const length = 80_000;
/** … and half as many again lie beside it. */
const putCount = 12;

/** Text, of which nothing is a view: what nobody needs may go at once. */
const textOf = (n: number): string => `${n} `.repeat(length).slice(0, length);
const spread = { schedulingStrategy: "SPREAD" } as const;
const make = remote(spread, async (n: number, ms: number) => {
  if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms));
  return textOf(n);
});
/** As a rule in the store, where the raylet may move it. */
const makeHere = remote((n: number) => textOf(n));
const isOf = remote(spread, (text: string, n: number) => text === textOf(n));
const join = remote(spread, (...texts: string[]) => texts.map((text) => text.split(" ")[0]).join());
const areOf = remote(spread, async (refs: readonly ObjectRef<string>[], from: number) => {
  const texts = await get(refs);
  return texts.every((text, i) => text === textOf(from + i));
});
/** Where they lie is told with the call, and must stay true until they are read. */
const areOfLater = remote(async (refs: readonly ObjectRef<string>[], from: number, ms: number) => {
  await new Promise((resolve) => setTimeout(resolve, ms));
  const texts = await get(refs);
  return texts.every((text, i) => text === textOf(from + i));
});
/** As many as will not fit beside the store, without waiting for anything; some it keeps. */
const putMany = remote(spread, (from: number) => {
  const refs = Array.from({ length: putCount }, (_, n) => ifRoom(() => put(textOf(from + n))));
  for (const ref of refs.splice(2)) ref?.[Symbol.dispose]();
  return refs;
});

/** Of each it was told where it lies; some it reads in place. */
class Keeper {
  #refs: readonly ObjectRef<string>[] = [];
  #views: Uint8Array[] = [];

  async keep(refs: readonly ObjectRef<string>[]): Promise<void> {
    this.#refs = refs;
    for (const ref of refs) await get(ref);
  }

  view(bytes: Uint8Array): void {
    this.#views.push(bytes);
  }

  /** What is wrong with those that it has a view on. */
  wrongViews(): number {
    const isWrong = (view: Uint8Array): boolean => view.some((one) => one !== view[0]);
    return this.#views.splice(0).filter(isWrong).length;
  }

  async read(n: number, text: number): Promise<boolean> {
    const ref = this.#refs[n] as ObjectRef<string>;
    return (await get(ref)) === textOf(text);
  }

  async passOn(n: number, text: number): Promise<boolean> {
    return get(isOf.remote(this.#refs[n] as ObjectRef<string>, text));
  }
}
const RemoteKeeper = remote(Keeper);
const makeBytes = remote(spread, (n: number) => new Uint8Array(length).fill(n));

/** It is told of those refs, and reads them again and again while others come and go. */
async function useKept(
  keeper: ActorHandle<Keeper>,
  refs: readonly ObjectRef<string>[],
): Promise<void> {
  const bytes = [1, 2, 3].map((n) => makeBytes.remote(n));
  for (const one of bytes) void keeper.view.remote(one);
  await valueOf(get(keeper.keep.remote(refs)));
  const checks = refs.flatMap((_, n) => [
    settle(keeper.read.remote(n, n), true),
    settle(keeper.passOn.remote(n, n), true),
  ]);
  checks.push(settle(keeper.wrongViews.remote(), 0));
  await settleAll(checks);
  for (const ref of bytes) ref[Symbol.dispose]();
  // Nobody collects its views here: with those of a few rounds the store would be full for good.
  await valueOf(kill(keeper));
}

/** What is wrong with them, or null. */
async function readPut(from: number): Promise<string | null> {
  const refs = (await valueOf(get(putMany.remote(from)))) ?? [];
  for (const [i, ref] of refs.entries()) {
    if (ref === null) continue;
    const settling = [settle(isOf.remote(ref, from + i), true), settle(ref, textOf(from + i))];
    const wrong = (await Promise.all(settling)).find((one) => one !== null);
    if (wrong !== undefined) return wrong;
    ref[Symbol.dispose]();
  }
  return null;
}

async function oneRound(): Promise<void> {
  const early = [950, 951].map((n) => makeHere.remote(n));
  await valueOf(wait(early, { numReturns: early.length, timeoutMs: 2_000 }));
  const later = areOfLater.remote(early, 950, 300);
  // It has begun when the store fills up.
  await new Promise((resolve) => setTimeout(resolve, 10));
  const more = Array.from({ length: putCount }, (_, n) => ifRoom(() => put(textOf(700 + n))));
  const made = Array.from({ length: count }, (_, n) => make.remote(n, n % 3));
  const own = [900, 901].map((n) => ifRoom(() => put(textOf(n)))).filter((ref) => ref !== null);
  await valueOf(wait(made, { numReturns: count / 2, timeoutMs: 2_000 }));
  const some = Array.from({ length: 12 }, () => Math.floor(Math.random() * (count - 3)));
  const refAt = (n: number) => made[n] as ObjectRef<string>;
  const checks = some.flatMap((n) => [
    settle(isOf.remote(refAt(n), n), true),
    settle(join.remote(refAt(n), refAt(n + 1), refAt(n + 2)), `${n},${n + 1},${n + 2}`),
  ]);
  checks.push(settle(later, true));
  checks.push(settle(areOf.remote([refAt(3), refAt(4)], 3), true));
  if (own.length === 2) checks.push(settle(areOf.remote(own, 900), true));
  for (const [n, ref] of more.entries()) {
    if (ref !== null && n % 3 === 0) checks.push(settle(isOf.remote(ref, 700 + n), true));
  }
  checks.push(readPut(800));
  for (let n = 1_000; n < 1_000 + putCount; n++) {
    // It brings a large value along.
    const called = ifRoom(() => settle(isOf.remote(textOf(n), n), true));
    if (called !== null) checks.push(called);
  }
  for (const n of some) checks.push(settle(refAt(n), textOf(n), { timeoutMs: 1 + n }));
  const keeping = useKept(RemoteKeeper.remote(), made.slice(0, 6));
  await settleAll(checks);
  for (const n of some) await settleAll([settle(refAt(n), textOf(n))]);
  await keeping;
  if (own.length === 2) await settleAll(own.map((ref, i) => settle(ref, textOf(900 + i))));
  for (const [n, ref] of more.entries()) {
    if (ref !== null) await settleAll([settle(ref, textOf(700 + n))]);
  }
  for (const ref of [...early, ...made, ...own, ...more]) ref?.[Symbol.dispose]();
}

async function spilling(sim: Simulation): Promise<void> {
  await inRounds(sim, oneRound);
}

/** Of one node more often than not: there nothing else makes room. */
function options(seed: number): Partial<SimOptions> {
  const world = worldOf(seed);
  const init = { ...world.init, objectStoreMemory: 1 << 20 };
  const faults = endsOfWriters(new Prng(seed));
  return { nodes: [1, 1, 2, 3][seed % 4] as number, faults, init };
}

export default { program: spilling, options } satisfies SimProgram;
