/** Actors with state: calls of one handle run in the order of sending, at most once. */
import { get, kill, remote } from "mobula";
import type { Simulation } from "mobula/sim";
import { inRounds, type SimProgram, worldOf } from "./world.ts";
import { settle, settleAll, valueOf } from "./outcome.ts";

const Counter = remote(
  class Counter {
    #count: number;

    constructor(from: number) {
      this.#count = from;
    }

    async increment(ms: number): Promise<number> {
      this.#count += 1;
      const count = this.#count;
      if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms));
      return count;
    }
  },
);
const fail = remote((): number => {
  throw new RangeError("on purpose");
});
const through = remote(async (ref: number) => ref * 2);

async function oneRound(): Promise<void> {
  const counters = [0, 100, 1_000].map((from) => ({ from, counter: Counter.remote(from) }));
  // What its constructor needs cannot be had: it never is, and so its calls fail.
  const unmade = Counter.remote(fail.remote());
  if ((await valueOf(get(unmade.increment.remote(0)))) !== null) throw new Error("it was made");
  for (const { from, counter } of counters) {
    const calls = Array.from({ length: 5 }, (_, i) => counter.increment.remote(i % 2));
    const doubled = calls.map((call) => through.remote(call));
    const seen = await Promise.all(calls.map((call) => valueOf(get(call))));
    // A crash ends the actor: what came before is whole, what comes after has no value.
    for (const [i, value] of seen.entries()) {
      if (value === null || value === from + i + 1) continue;
      throw new Error(`call ${i} of the counter from ${from} gave ${value}`);
    }
    const expected = (i: number): number => (from + i + 1) * 2;
    await settleAll(doubled.map((ref, i) => settle(ref, expected(i))));
  }
  for (const { counter } of counters) await valueOf(kill(counter));
}

async function actors(sim: Simulation): Promise<void> {
  await inRounds(sim, oneRound);
}

export default { program: actors, options: worldOf } satisfies SimProgram;
