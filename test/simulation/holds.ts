/**
 * Refs that travel further: made by one actor, borrowed by the driver, sent on by tasks and by
 * forwarders that may end on the way, kept by others. Whoever has one gets its value, or hears that
 * its owner has died; never that it was freed.
 */
import { get, kill, ObjectLostError, put, remote, type HandleOf, type ObjectRef } from "mobula";
import type { Simulation } from "mobula/sim";
import { inRounds, type SimProgram, worldOf } from "./world.ts";
import { valueOf } from "./outcome.ts";

interface Box {
  readonly refs: readonly ObjectRef<number>[];
}

const Maker = remote(
  class Maker {
    make(from: number, count: number): Box {
      const refs = Array.from({ length: count }, (_, i) => put(from + i));
      // Once the result is encoded it names the refs itself.
      setTimeout(() => dispose(refs), 1);
      return { refs };
    }
  },
);

class KeeperActor {
  readonly #boxes: Box[] = [];

  constructor(first: Box) {
    this.#boxes.push(first);
  }

  keep(box: Box): number {
    this.#boxes.push(box);
    return this.#boxes.length;
  }

  async read(): Promise<number[]> {
    const values: number[] = [];
    for (const { refs } of this.#boxes) values.push(...(await get([...refs])));
    return values;
  }

  give(): Box {
    return this.#boxes.at(-1) ?? { refs: [] };
  }

  clear(): void {
    for (const { refs } of this.#boxes.splice(0)) dispose(refs);
  }
}
const Keeper = remote(KeeperActor);
type KeeperHandle = HandleOf<typeof Keeper>;

const Forwarder = remote(
  class Forwarder {
    async forward(box: Box, to: { keepers: readonly KeeperHandle[] }): Promise<Box> {
      for (const keeper of to.keepers) {
        keeper.keep.remote(box);
        await new Promise((resolve) => setTimeout(resolve, Math.random() * 2));
      }
      return box;
    }
  },
);

const forwardInTask = remote(async (box: Box, to: { keeper: KeeperHandle }): Promise<Box> => {
  await valueOf(get(to.keeper.keep.remote(box)));
  return box;
});

function dispose(refs: readonly ObjectRef<unknown>[]): void {
  for (const ref of refs) ref[Symbol.dispose]();
}

/** Null when a fault took it. */
async function unlessLost<T>(ref: ObjectRef<T>): Promise<T | null> {
  try {
    return await valueOf(get(ref));
  } finally {
    dispose([ref]);
  }
}

async function read(keeper: KeeperHandle, expected: ReadonlySet<number>): Promise<void> {
  const reading = keeper.read.remote();
  const failure = await get(reading).then(
    (values) => values.find((value) => !expected.has(value)),
    (error: unknown) => (causes(error).some(isLost) ? String(error) : undefined),
  );
  dispose([reading]);
  if (failure !== undefined) throw new Error(`a keeper got ${failure}`);
}

function isLost(error: unknown): boolean {
  return error instanceof ObjectLostError && error.name === "ObjectLostError";
}

function causes(error: unknown): unknown[] {
  const chain: unknown[] = [];
  for (let cause = error; cause instanceof Error; cause = cause.cause) chain.push(cause);
  return chain;
}

async function oneRound(): Promise<void> {
  const maker = Maker.remote();
  const made = await unlessLost(maker.make.remote(100, 4));
  if (made === null) return;
  const keepers = [Keeper.remote(made), Keeper.remote(made)];
  const forwarders = [Forwarder.remote(), Forwarder.remote(), Forwarder.remote()];
  const forwarding = forwarders.map((forwarder) => forwarder.forward.remote(made, { keepers }));
  const passing = keepers.map((keeper) => forwardInTask.remote(made, { keeper }));
  dispose(made.refs);
  // The forwarders end somewhere on their way.
  await new Promise((resolve) => setTimeout(resolve, Math.random() * 12));
  const killing = forwarders.map((forwarder) => valueOf(kill(forwarder)));
  for (const ref of [...forwarding, ...passing]) dispose((await unlessLost(ref))?.refs ?? []);
  await Promise.all(killing);
  const expected = new Set([100, 101, 102, 103]);
  for (const keeper of keepers) await read(keeper, expected);
  dispose((await unlessLost((keepers[0] as KeeperHandle).give.remote()))?.refs ?? []);
  for (const keeper of keepers) await unlessLost(keeper.clear.remote());
  for (const actor of [maker, ...keepers]) await valueOf(kill(actor));
}

async function holds(sim: Simulation): Promise<void> {
  await inRounds(sim, oneRound);
}

export default { program: holds, options: worldOf } satisfies SimProgram;
