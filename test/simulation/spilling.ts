/**
 * More values than the stores hold at once: spilled, restored, served to other nodes from the disk,
 * lost where a disk spoils them. Whatever comes is what was made.
 */
import { get, type ObjectRef, put, remote, wait } from "mobula";
import type { SimOptions, Simulation } from "mobula/sim";
import { inRounds, type SimProgram, worldOf } from "./world.ts";
import { settle, settleAll, valueOf } from "./outcome.ts";

/** Of which a store of a mebibyte holds a third. */
const count = 40;
const length = 80_000;

/** Text, of which nothing is a view: what nobody needs may go at once. */
const textOf = (n: number): string => `${n} `.repeat(length).slice(0, length);
const spread = { schedulingStrategy: "SPREAD" } as const;
const make = remote(spread, async (n: number, ms: number) => {
  if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms));
  return textOf(n);
});
const isOf = remote(spread, (text: string, n: number) => text === textOf(n));
const join = remote(spread, (...texts: string[]) => texts.map((text) => text.split(" ")[0]).join());
const areOf = remote(spread, async (refs: readonly ObjectRef<string>[], from: number) => {
  const texts = await get(refs);
  return texts.every((text, i) => text === textOf(from + i));
});

async function oneRound(): Promise<void> {
  const made = Array.from({ length: count }, (_, n) => make.remote(n, n % 3));
  const own = [put(textOf(900)), put(textOf(901))];
  await valueOf(wait(made, { numReturns: count / 2, timeoutMs: 2_000 }));
  const some = Array.from({ length: 12 }, () => Math.floor(Math.random() * (count - 3)));
  const refAt = (n: number) => made[n] as ObjectRef<string>;
  const checks = some.flatMap((n) => [
    settle(isOf.remote(refAt(n), n), true),
    settle(join.remote(refAt(n), refAt(n + 1), refAt(n + 2)), `${n},${n + 1},${n + 2}`),
  ]);
  checks.push(settle(areOf.remote([refAt(3), refAt(4)], 3), true));
  checks.push(settle(areOf.remote(own, 900), true));
  await settleAll(checks);
  for (const n of some) await settleAll([settle(refAt(n), textOf(n))]);
  await settleAll(own.map((ref, i) => settle(ref, textOf(900 + i))));
  for (const ref of [...made, ...own]) ref[Symbol.dispose]();
}

async function spilling(sim: Simulation): Promise<void> {
  await inRounds(sim, oneRound);
}

/** Of one node more often than not: there nothing else makes room. */
function options(seed: number): Partial<SimOptions> {
  const world = worldOf(seed);
  const init = { ...world.init, objectStoreMemory: 1 << 20 };
  return { nodes: [1, 1, 2, 3][seed % 4] as number, init };
}

export default { program: spilling, options } satisfies SimProgram;
