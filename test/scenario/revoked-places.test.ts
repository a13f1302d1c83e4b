/**
 * Values that others of the node were told the place of: a store that is too full moves them to the
 * disk as well, once nobody reads them in place any more, and not a moment sooner.
 */
import { describe, expect, test } from "vitest";
import { kill } from "#api/actors.ts";
import { get, wait } from "#api/get.ts";
import { remote } from "#api/remote.ts";
import type { ObjectRef } from "#api/types.ts";
import { simulate } from "#sim/simulate.ts";

const length = 100_000;
const textOf = (n: number): string => `${n} `.repeat(length).slice(0, length);
const make = remote((n: number) => textOf(n));
const isOf = remote((text: string, n: number) => text === textOf(n));
const makeArray = remote((n: number, size = length) => new Uint8Array(size).fill(n));
const init = { objectStoreMemory: 1 << 20, numCpus: 2 };
const seeds = [1, 2, 3, 4];
const shared = 8;

/** Reads what others own, and keeps the refs; of one value the view. */
class Keeper {
  readonly #refs: ObjectRef<string>[] = [];
  #view: Uint8Array | null = null;

  async keep(refs: readonly ObjectRef<string>[]): Promise<boolean> {
    this.#refs.push(...refs);
    return this.isWell();
  }

  async isWell(): Promise<boolean> {
    const texts = await get(this.#refs);
    return texts.every((text, n) => text === textOf(n));
  }

  /** One after another: together they need not fit. */
  async areWell(): Promise<boolean> {
    for (const [n, ref] of this.#refs.entries()) {
      if ((await get(ref)) !== textOf(n)) return false;
    }
    return true;
  }

  async isWellFor(ms: number): Promise<boolean> {
    const texts = get(this.#refs);
    await new Promise((resolve) => setTimeout(resolve, ms));
    return (await texts).length === this.#refs.length;
  }

  async view(ref: readonly ObjectRef<Uint8Array>[]): Promise<void> {
    this.#view = await get(ref[0] as ObjectRef<Uint8Array>);
  }

  viewed(): number {
    return this.#view?.every((one) => one === 7) === true ? 7 : 0;
  }

  /** Passes on what it was given itself. */
  async passOn(n: number): Promise<boolean> {
    return get(isOf.remote(this.#refs[n] as ObjectRef<string>, n));
  }
}
const RemoteKeeper = remote(Keeper);

async function fillStore(from: number, count: number): Promise<ObjectRef<string>[]> {
  const refs = Array.from({ length: count }, (_, n) => make.remote(from + n));
  await wait(refs, { numReturns: count });
  return refs;
}

async function areThere(refs: readonly ObjectRef<string>[], from: number): Promise<void> {
  for (const [n, ref] of refs.entries()) expect(await get(ref)).toBe(textOf(from + n));
}

describe.each(seeds)("a store of a mebibyte, seed %d", (seed) => {
  test("spills what an actor has read, and gives it back to both", async () => {
    const report = await simulate({ seed, nodes: 1, init }, async () => {
      const own = await fillStore(0, shared);
      const keeper = RemoteKeeper.remote();
      const first = await get(keeper.keep.remote(own));
      const more = await fillStore(100, 20);
      const passing = own.map((_, n) => get(keeper.passOn.remote(n)));
      const passed = await Promise.all(passing);
      const again = await get(keeper.areWell.remote());
      await areThere(own, 0);
      await areThere(more, 100);
      return [first, ...passed, again];
    });
    expect(report.check()).not.toContain(false);
    expect(report.reached).toContain("revokedSpilled");
  });

  test("leaves what an actor has a view on where it is, and moves the rest", async () => {
    const report = await simulate({ seed, nodes: 1, init }, async () => {
      const viewed = makeArray.remote(7);
      const own = await fillStore(0, shared - 1);
      const keeper = RemoteKeeper.remote();
      await get(keeper.view.remote([viewed]));
      await get(keeper.keep.remote(own));
      // What nobody was told of is not enough for it.
      await wait([makeArray.remote(9, 4 * length)]);
      const before = await get(keeper.viewed.remote());
      await get(keeper.areWell.remote());
      return [before, await get(keeper.viewed.remote()), (await get(viewed))[1]];
    });
    expect(report.check()).toEqual([7, 7, 7]);
    expect(report.reached).toContain("revokedSpilled");
  });

  test("does not wait for who was told of it and has died", async () => {
    const report = await simulate({ seed, nodes: 1, init }, async () => {
      const own = await fillStore(0, shared);
      const keeper = RemoteKeeper.remote();
      await get(keeper.keep.remote(own));
      const stuck = get(keeper.isWellFor.remote(5_000)).catch(() => null);
      const making = fillStore(100, 20);
      await kill(keeper);
      await stuck;
      await areThere(await making, 100);
      await areThere(own, 0);
    });
    report.check();
    expect(report.reached).toContain("revokedSpilled");
  });
});
