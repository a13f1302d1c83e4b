/** What closures carry from process to process of one world, also to other nodes, under faults. */
import { expect, test } from "vitest";
import { get, put } from "#api/get.ts";
import type { ObjectRef } from "#api/object-ref.ts";
import { remote } from "#api/remote.ts";
import type { HandleOf } from "#api/types.ts";
import { simulate } from "#sim/simulate.ts";

class CounterActor {
  #count = 0;
  add(): number {
    return (this.#count += 1);
  }
}
const Counter = remote(CounterActor);
let counter: HandleOf<typeof Counter>;
let refs: ObjectRef<number>[] = [];

const square = remote((n: number) => n * n);
const sum = remote({ schedulingStrategy: "SPREAD" }, async () => {
  const values = (await get(refs as never)) as number[];
  return values.reduce((total, value) => total + value, 0);
});
const passOn = remote({ schedulingStrategy: "SPREAD" }, async () =>
  get(square.remote(refs[0] as never)),
);
const count = remote({ schedulingStrategy: "SPREAD" }, async () => get(counter.add.remote()));

test.each([false, true])(
  "refs and handles that a closure carries, with faults: %s",
  async (faulty) => {
    for (let seed = 1; seed <= 5; seed++) {
      const chaos = faulty && { kinds: ["hold", "slowLink", "pause", "collect"] as const };
      const report = await simulate({ seed, nodes: 3, chaos }, async () => {
        refs = [put(2), square.remote(3)] as never[];
        counter = Counter.remote();
        const sums = await get([1, 2, 3, 4, 5, 6].map(() => sum.remote()));
        const passed = await get([1, 2, 3].map(() => passOn.remote()));
        const counts = await get([1, 2, 3, 4, 5, 6].map(() => count.remote()));
        return { sums, passed, counts: counts.sort() };
      });
      expect(report.check()).toEqual({
        sums: [11, 11, 11, 11, 11, 11],
        passed: [4, 4, 4],
        counts: [1, 2, 3, 4, 5, 6],
      });
    }
  },
);
