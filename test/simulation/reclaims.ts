/**
 * Values of processes that end while others on their node read them where they lie: views stay what
 * they were, and the room of all else is used again at once, so that a small store never fills up.
 */
import { get, kill, type ObjectRef, put, remote } from "mobula";
import type { SimOptions, Simulation } from "mobula/sim";
import { settle, settleAll, valueOf, sumOf } from "./outcome.ts";
import { inRounds, type SimProgram, worldOf } from "./world.ts";

const make = remote((n: number, size: number) => new Uint8Array(size).fill(n));
/** Its own copy would not change with the memory: it looks again at what it was given. */
const look = remote({ maxRetries: 0 }, async (bytes: Uint8Array, ms: number) => {
  const before = sumOf(bytes);
  await new Promise((resolve) => setTimeout(resolve, ms));
  return before === sumOf(bytes) ? before : -1;
});

const Holder = remote(
  class Holder {
    readonly #own: ObjectRef<Uint8Array>[] = [];
    readonly #views: Uint8Array[] = [];
    #sum = 0;

    /** Something of its own, and results of tasks that another process has written. */
    async make(n: number, size: number): Promise<ObjectRef<Uint8Array>[]> {
      const made = [put(new Uint8Array(size).fill(n)), make.remote(n, size)];
      this.#own.push(...made);
      await get(made);
      return made;
    }

    keep(bytes: Uint8Array): number {
      this.#views.push(bytes);
      this.#sum += sumOf(bytes);
      return this.#sum;
    }

    isIntact(): boolean {
      return this.#views.reduce((sum, bytes) => sum + sumOf(bytes), 0) === this.#sum;
    }
  },
);
type Handle = ReturnType<typeof Holder.remote>;

async function oneRound(sim: Simulation, keeper: Handle, views: [Uint8Array, number][]) {
  const holder = Holder.remote();
  const n = 1 + Math.floor(Math.random() * 200);
  const size = 2_000 + Math.floor(Math.random() * 60_000);
  const refs = (await valueOf(get(holder.make.remote(n, size)))) ?? [];
  const calls = refs.flatMap((ref) => [0, 300].map((ms) => look.remote(ref, ms)));
  for (const ref of refs) {
    if (Math.random() < 0.5) keeper.keep.remote(ref)[Symbol.dispose]();
    const view = Math.random() < 0.5 ? await valueOf(get(ref)) : null;
    if (view !== null) views.push([view, n * size]);
  }
  if (Math.random() < 0.5) await sim.sleep(Math.random() * 100);
  if (Math.random() < 0.7) await kill(holder);
  const late = refs.map((ref) => look.remote(ref, 0));
  const again = Array.from({ length: 4 }, (_, i) => ({ ref: make.remote(i, size), sum: i * size }));
  await settleAll([...calls, ...late].map((call) => settle(call, n * size)));
  await settleAll(again.map(async ({ ref, sum }) => settle(look.remote(ref, 0), sum)));
  for (const [bytes, sum] of views) {
    if (sumOf(bytes) !== sum) throw new Error(`a view of ${sum} has become ${sumOf(bytes)}`);
  }
  if (views.length > 3) views.shift();
}

async function reclaims(sim: Simulation): Promise<void> {
  const keeper = Holder.remote();
  const views: [Uint8Array, number][] = [];
  for (let i = 0; i < 2; i++) await oneRound(sim, keeper, views);
  await inRounds(sim, () => oneRound(sim, keeper, views));
  const isIntact = await valueOf(get(keeper.isIntact.remote()));
  if (isIntact === false) throw new Error("what an actor keeps has changed under it");
}

function options(seed: number): Partial<SimOptions> {
  const world = worldOf(seed);
  const systemConfig = {
    inlineBytesMax: 1_024,
    arenaChunkBytes: [4_096, 65_536][seed % 2] as number,
  };
  const numCpus = 4 + (seed % 3);
  return {
    nodes: 1 + (seed % 3),
    chaos: true,
    init: { ...world.init, numCpus, systemConfig, objectStoreMemory: 4 << 20 },
  };
}

export default { program: reclaims, options } satisfies SimProgram;
