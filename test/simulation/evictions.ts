/**
 * More values than the stores of the nodes have room for copies of: what is brought to a node is
 * given up there, and brought again. Whatever is looked at is what was made.
 */
import { get, type ObjectRef, remote, wait } from "mobula";
import type { SimOptions, Simulation } from "mobula/sim";
import { inRounds, type SimProgram, worldOf } from "./world.ts";
import { settle, settleAll, valueOf, sumOf } from "./outcome.ts";

const make = remote((n: number, size: number) => new Uint8Array(size).fill(n));
/** Has copies brought to its node, and looks at none. */
const bring = remote(async (refs: readonly ObjectRef<Uint8Array>[]): Promise<number> => {
  const [ready] = await wait(refs, { numReturns: refs.length, timeoutMs: 200 });
  for (const ref of refs) ref[Symbol.dispose]();
  return ready.length;
});
const sum = remote((bytes: Uint8Array) => sumOf(bytes));

interface Kept {
  readonly ref: ObjectRef<Uint8Array>;
  readonly expected: number;
}

/** Every node has something of its own: none that has it may stay away. */
const kinds = [
  ...(["pause", "slowLink", "hold", "partition", "drop", "rpc"] as const),
  ...(["crashWorker", "memoryPressure", "collect"] as const),
];
const on = (node: number) => ({ resources: { [`node ${node}`]: 0.01 } });

async function oneRound(kept: readonly Kept[], nodes: number): Promise<void> {
  const node = Math.floor(Math.random() * nodes);
  const chosen = kept.filter(() => Math.random() < 0.6);
  const bringing = chosen.map(({ ref }) => bring.options(on(node)).remote([ref]));
  if (Math.random() < 0.5) await Promise.all(bringing.map((call) => valueOf(get(call))));
  const late = kept.filter(() => Math.random() < 0.4);
  const sums = late.map(({ ref, expected }) => ({
    call: sum.options(on(Math.floor(Math.random() * nodes))).remote(ref),
    expected,
  }));
  await settleAll(sums.map(({ call, expected }) => settle(call, expected)));
  await Promise.all(bringing.map((call) => valueOf(get(call))));
  for (const call of [...bringing, ...sums.map((one) => one.call)]) call[Symbol.dispose]();
}

async function evictions(sim: Simulation): Promise<void> {
  const nodes = 3;
  await sim.sleep(100);
  const kept = Array.from({ length: 18 }, (_, n): Kept => {
    const size = 50_000 + Math.floor(Math.random() * 50_000);
    const ref = make.options(on(n % nodes)).remote(n + 1, size);
    return { ref, expected: (n + 1) * size };
  });
  const refs = kept.map(({ ref }) => ref);
  const away = { numReturns: kept.length, timeoutMs: 2_000, fetchLocal: false };
  await valueOf(wait(refs, away));
  for (let i = 0; i < 2; i++) await oneRound(kept, nodes);
  await inRounds(sim, () => oneRound(kept, nodes));
  for (const ref of refs) ref[Symbol.dispose]();
}

function options(seed: number): Partial<SimOptions> {
  const world = worldOf(seed);
  const systemConfig = {
    inlineBytesMax: 1_024,
    arenaChunkBytes: 4_096,
    pullChunkBytes: [5 << 20, 20_000][seed % 2] as number,
    pullRoomTimeoutMs: 500,
    copyLingerMs: [5, 50][(seed >> 1) % 2] as number,
  };
  const objectStoreMemory = 1 << 20;
  const nodes = [0, 1, 2].map((node) => ({ resources: { [`node ${node}`]: 1 } }));
  return { nodes, chaos: { kinds }, init: { ...world.init, systemConfig, objectStoreMemory } };
}

export default { program: evictions, options } satisfies SimProgram;
