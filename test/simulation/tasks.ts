/** Nested tasks, values put and passed on, errors: every outcome is right, or tells a fault. */
import { get, type ObjectRef, put, remote } from "mobula";
import type { Simulation } from "mobula/sim";
import { inRounds, type SimProgram, worldOf } from "./world.ts";
import { settle, settleAll } from "./outcome.ts";

const add = remote((a: number, b: number) => a + b);
const sum = remote((values: readonly number[]) =>
  values.reduce((total, value) => total + value, 0),
);
const fail = remote((text: string): number => {
  throw new RangeError(text);
});
const fib = remote(async (n: number): Promise<number> => {
  if (n < 2) return n;
  const [a, b] = await get([fib.remote(n - 1), fib.remote(n - 2)]);
  return a + b;
});
const slow = remote(async (ms: number) => {
  await new Promise((resolve) => setTimeout(resolve, ms));
  return Math.floor(ms);
});

async function oneRound(sim: Simulation): Promise<void> {
  const one = put(1);
  const list = put(Array.from({ length: 100 }, (_, i) => i));
  let chain: ObjectRef<number> = add.remote(0, one);
  for (let i = 0; i < 5; i++) chain = add.remote(chain, one);
  const pauseMs = Math.random() * 20;
  const slept = slow.remote(pauseMs);
  await sim.sleep(Math.random() * 10);
  await settleAll([
    settle(chain, 6),
    settle(sum.remote(list), 4_950),
    settle(slept, Math.floor(pauseMs)),
    settle(fib.remote(4), 3),
    settle(add.remote(fail.remote("on purpose"), 1), new RangeError("on purpose")),
  ]);
}

async function tasks(sim: Simulation): Promise<void> {
  await inRounds(sim, () => oneRound(sim));
}

export default { program: tasks, options: worldOf } satisfies SimProgram;
