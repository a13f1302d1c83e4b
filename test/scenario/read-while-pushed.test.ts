/**
 * Found by programs on bad disks: the reply that ends a `get` also makes a task ready, one of whose
 * arguments is managed. The value was offered with the task's push, before the caller had read it.
 */
import { expect, test } from "vitest";
import { get, wait } from "#api/get.ts";
import { remote } from "#api/remote.ts";
import { simulate } from "#sim/simulate.ts";

const textOf = (n: number): string => `${n} `.repeat(50_000);
const make = remote((n: number) => textOf(n));
const makeTwo = remote({ numReturns: 2 }, (n: number): [string, string] => [
  textOf(n),
  textOf(n + 1),
]);
const areSame = remote((a: string, b: string, c: string) => {
  return a === textOf(0) && b === textOf(20) && c === textOf(21);
});
const init = { numCpus: 2, objectStoreMemory: 1 << 20 };

test("what a get has just come to is read before it may move", async () => {
  for (let seed = 0; seed < 10; seed++) {
    const report = await simulate({ seed, nodes: 1, init }, async () => {
      // More than the store holds: the first is on the disk.
      const refs = Array.from({ length: 20 }, (_, n) => make.remote(n));
      await wait(refs, { numReturns: refs.length });
      // From then on its worker idles.
      await get(areSame.remote("", "", ""));
      const [one, two] = makeTwo.remote(20);
      const reading = get(one);
      const [first = one] = refs;
      return [await get(areSame.remote(first, one, two)), (await reading) === textOf(20)];
    });
    expect(report.check()).toEqual([true, true]);
  }
});
