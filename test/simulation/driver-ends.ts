/**
 * A program whose process ends in the middle: whatever it has begun on all nodes ends with it, and
 * nothing of it is left.
 */
import { cancel, get, type ObjectRef, put, remote, wait } from "mobula";
import type { SimOptions, Simulation } from "mobula/sim";
import { type SimProgram, worldOf } from "./world.ts";
import { valueOf } from "./outcome.ts";

interface Box {
  readonly ref: ObjectRef<Uint8Array>;
}

const spread = { schedulingStrategy: "SPREAD" } as const;
const makeBytes = remote(spread, (size: number) => new Uint8Array(size).fill(size & 255));
const first = remote(spread, async (bytes: Uint8Array, ms: number) => {
  if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms));
  return bytes[0] ?? -1;
});
/** Waits for tasks of its own, which outlive it or not. */
const parent = remote(spread, async (depth: number): Promise<number> => {
  if (depth === 0) {
    // Nobody waits for it.
    first.remote(new Uint8Array(2), 20);
    return 1;
  }
  const children = [parent.remote(depth - 1), parent.remote(depth - 1)];
  const [ready] = await wait(children, { numReturns: 1, timeoutMs: 30 });
  return ready.length;
});
const Keeper = remote(
  spread,
  class Keeper {
    readonly #boxes: Box[] = [];

    keep(box: Box): number {
      this.#boxes.push(box);
      return this.#boxes.length;
    }

    async read(): Promise<number> {
      const all = await get(this.#boxes.map(({ ref }) => ref));
      return all.reduce((sum, bytes) => sum + bytes.length, 0);
    }
  },
);

async function driverEnds(sim: Simulation): Promise<void> {
  // When the nodes know of each other there is more to be left behind.
  if (Math.random() < 0.7) await sim.sleep(100);
  const keepers = [Keeper.remote(), Keeper.options({ name: "kept", getIfExists: true }).remote()];
  const ends = sim.sleep(Math.random() * 60).then(() => {
    if (Math.random() < 0.8) sim.crashDriver();
  });
  const made = [1, 2_000, 5_000].map((size) => makeBytes.remote(size));
  const own = put(new Uint8Array(4_000));
  const running = [...made, own].flatMap((ref) => [first.remote(ref, 0), first.remote(ref, 25)]);
  const parents = [parent.remote(2), parent.remote(1)];
  const calls = keepers.flatMap((keeper) => [
    ...made.map((ref) => keeper.keep.remote({ ref })),
    keeper.read.remote(),
  ]);
  await sim.sleep(Math.random() * 30);
  await valueOf(cancel(running[1] as ObjectRef<number>));
  await ends;
  await Promise.all([...running, ...parents, ...calls].map((ref) => valueOf(get(ref))));
}

function options(seed: number): Partial<SimOptions> {
  const systemConfig = { inlineBytesMax: [1_024, 64][seed % 2] as number };
  return { ...worldOf(seed), init: { numCpus: 1 + (seed % 3), systemConfig } };
}

export default { program: driverEnds, options } satisfies SimProgram;
