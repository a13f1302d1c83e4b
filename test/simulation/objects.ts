/**
 * Large values made on every node and needed on others: pulled, spread, evicted, lost with their
 * nodes. Whatever comes is what was made, byte for byte.
 */
import { get, type ObjectRef, put, remote, wait } from "mobula";
import type { SimOptions, Simulation } from "mobula/sim";
import { inRounds, type SimProgram, worldOf } from "./world.ts";
import { ifRoom, settle, settleAll, valueOf } from "./outcome.ts";

const bytesMax = 60_000;

const spread = { schedulingStrategy: "SPREAD" } as const;
const makeBytes = remote(spread, (seed: number, size: number) => bytesOf(seed, size));
/** Lost for good with its node, unless there is another copy. */
const makeOnce = makeBytes.options({ maxRetries: 0 });
const digest = remote(spread, async (bytes: Uint8Array, ms: number) => {
  const before = digestOf(bytes);
  if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms));
  return before === digestOf(bytes) ? before : -1;
});
const digestInside = remote(spread, async (refs: readonly ObjectRef<Uint8Array>[]) => {
  const all = await get(refs);
  return all.reduce((sum, bytes) => sum + digestOf(bytes), 0);
});
const relay = remote(spread, (bytes: Uint8Array) => ({ ref: put(bytes.slice()), n: bytes.length }));
const Keeper = remote(
  class Keeper {
    readonly #kept: Uint8Array[] = [];

    constructor(first: Uint8Array) {
      this.#kept.push(first);
    }

    keep(bytes: Uint8Array): number {
      this.#kept.push(bytes);
      return this.#kept.length;
    }

    digests(): number {
      return this.#kept.reduce((sum, bytes) => sum + digestOf(bytes), 0);
    }
  },
);

interface Kept {
  readonly ref: ObjectRef<Uint8Array>;
  readonly expected: number;
}

async function oneRound(sim: Simulation, kept: Kept[]): Promise<void> {
  const older = kept.flatMap(({ ref, expected }) => {
    return [0, 40, 200].map((ms) => settle(digest.remote(ref, ms), expected));
  });
  await settleAll(older);
  const seeds = [1, 2, 3].map(() => Math.floor(Math.random() * 200));
  const sizes = seeds.map(() => Math.floor(Math.random() * bytesMax));
  const expected = seeds.map((seed, i) => digestOf(bytesOf(seed, sizes[i] ?? 0)));
  const total = expected.reduce((a, b) => a + b, 0);
  const own = ifRoom(() => put(bytesOf(7, bytesMax)));
  if (own === null) return;
  const made = seeds.map((seed, i) => makeBytes.remote(seed, sizes[i] ?? 0));
  const ownDigest = digestOf(bytesOf(7, bytesMax));
  const wide = Array.from({ length: 5 }, (_, i) => digest.remote(own, i * 3));
  const twice = made.map((ref) => [digest.remote(ref, 1), digest.remote(ref, 5)]);
  const inside = digestInside.remote(made);
  const relayed = relay.remote(made[0] as ObjectRef<Uint8Array>);
  const keeper = Keeper.options(spread).remote(made[1] as ObjectRef<Uint8Array>);
  const second = keeper.keep.remote(own);
  await valueOf(wait(made, { numReturns: 2, timeoutMs: Math.random() * 20 }));
  await sim.sleep(Math.random() * 30);
  await valueOf(get(made, { timeoutMs: Math.random() * 5 }).catch(onlyTimeOuts));
  const values = await Promise.all(made.map((ref) => valueOf(get(ref))));
  for (const [i, value] of values.entries()) {
    if (value === null || digestOf(value) === expected[i]) continue;
    throw new Error(`value ${i} of ${sizes[i]} bytes is not what was made`);
  }
  // Made on other nodes, and for some of them only there.
  for (let i = 0; i < 3; i++) {
    const ref = (i === 0 ? makeOnce : makeBytes).remote(i, bytesMax);
    await valueOf(wait([ref], { fetchLocal: false }));
    kept.push({ ref, expected: digestOf(bytesOf(i, bytesMax)) });
  }
  const hasSecond = (await valueOf(get(second))) !== null;
  const told = await valueOf(get(relayed));
  if (told !== null) {
    const again = await valueOf(get(told.ref));
    if (again !== null && digestOf(again) !== expected[0]) throw new Error("the relay lied");
  }
  await settleAll([
    ...wide.map((ref) => settle(ref, ownDigest)),
    ...twice.flatMap((refs, i) => refs.map((ref) => settle(ref, expected[i] as number))),
    settle(inside, total),
    settle(keeper.digests.remote(), (expected[1] as number) + (hasSecond ? ownDigest : 0)),
  ]);
}

function bytesOf(seed: number, size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  for (let i = 0; i < size; i += 1 + (i >> 4)) bytes[i] = (seed * 31 + i * 7) & 255;
  return bytes;
}

function digestOf(bytes: Uint8Array): number {
  let sum = bytes.length;
  for (let i = 0; i < bytes.length; i += 1 + (i >> 4)) sum = (sum * 33 + (bytes[i] ?? 0)) % 65_521;
  return sum;
}

function onlyTimeOuts(error: unknown): null {
  if ((error as Error).name === "GetTimeoutError") return null;
  throw error;
}

/** Stores from roomy to so small that copies are evicted; chunks from large to tiny. */
function options(seed: number): Partial<SimOptions> {
  const world = worldOf(seed);
  const systemConfig = {
    inlineBytesMax: [65_536, 1_024, 64][seed % 3] as number,
    pullChunkBytes: [5 << 20, 10_000, 1_000][(seed >> 2) % 3] as number,
    pullBytesInFlightMax: [64 << 20, 20_000][(seed >> 4) % 2] as number,
    copyLingerMs: [1_000, 20][(seed >> 5) % 2] as number,
  };
  const objectStoreMemory = [16 << 20, 1 << 20][(seed >> 1) % 2] as number;
  return { nodes: 2 + (seed % 3), init: { ...world.init, systemConfig, objectStoreMemory } };
}

async function objects(sim: Simulation): Promise<void> {
  const kept: Kept[] = [];
  await inRounds(sim, () => oneRound(sim, kept));
  await loseNode(sim, kept);
}

/** A node dies while its values are wanted: they come from other copies, or are lost for all. */
async function loseNode(sim: Simulation, kept: readonly Kept[]): Promise<void> {
  const wanted = kept.flatMap(({ ref, expected }) => {
    return [1, 1, 1].map((ms) => settle(digest.remote(ref, ms), expected));
  });
  await sim.sleep(Math.random() * 10);
  sim.crash(1);
  await settleAll(wanted);
  await settleAll(kept.map(({ ref, expected }) => settle(digest.remote(ref, 0), expected)));
}

export default { program: objects, options } satisfies SimProgram;
