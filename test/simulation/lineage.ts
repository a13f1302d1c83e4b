/**
 * Chains of large values made on all nodes, whose links are let go of: what is lost with a node is
 * made anew from what it was made of, to any depth; with two returns, and with refs inside.
 */
import { get, type ObjectRef, put, remote, wait } from "mobula";
import type { SimOptions, Simulation } from "mobula/sim";
import { inRounds, type SimProgram, worldOf } from "./world.ts";
import { settle, settleAll, valueOf } from "./outcome.ts";

const size = 4_000;

interface Link {
  readonly bytes: Uint8Array;
  /** Owned by the task that made the link: lost with it. */
  readonly inside: ObjectRef<number>;
}

const spread = { schedulingStrategy: "SPREAD", maxRetries: 10 } as const;
const begin = remote(spread, (n: number): Link => linkOf(n));
/** Made of a buffer that it was given: on another node than its caller's it has a copy. */
const beginWith = remote(spread, (buffer: ArrayBuffer): Link => {
  const bytes = new Uint8Array(buffer);
  const n = bytes[0] as number;
  bytes.fill(0);
  return linkOf(n);
});
const next = remote(spread, (before: Link): Link => {
  const n = numberOf(before.bytes) + 1;
  using inside = before.inside;
  void inside;
  return linkOf(n);
});
const split = remote({ ...spread, numReturns: 2 }, (before: Link): [Uint8Array, Uint8Array] => {
  const n = numberOf(before.bytes);
  before.inside[Symbol.dispose]();
  return [bytesOf(n), bytesOf(n + 1)];
});
const read = remote(spread, async (link: Link, ms: number) => {
  if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms));
  using inside = link.inside;
  return numberOf(link.bytes) * 1_000 + (await get(inside));
});
const sum = remote(spread, (a: Uint8Array, b: Uint8Array) => numberOf(a) + numberOf(b));

function beginGiving(n: number): ObjectRef<Link> {
  const buffer = new ArrayBuffer(Math.random() < 0.5 ? 10 : 70_000);
  new Uint8Array(buffer)[0] = n;
  return beginWith.options({ transfer: [buffer] }).remote(buffer);
}

async function oneRound(sim: Simulation, node: number): Promise<void> {
  const ends = [1, 20, 40].map((n) => {
    let ref = Math.random() < 0.5 ? begin.remote(n) : beginGiving(n);
    for (let depth = 0; depth < n % 5; depth++) {
      const one = next.remote(ref);
      ref[Symbol.dispose]();
      ref = one;
    }
    return { ref, n: n + (n % 5) };
  });
  const pairs = ends.map(({ ref, n }) => ({ refs: split.remote(ref), n }));
  const all = [...ends.map(({ ref }) => ref), ...pairs.flatMap(({ refs }) => refs)];
  await valueOf(
    wait(all, { numReturns: Math.ceil(Math.random() * all.length), fetchLocal: false }),
  );
  // One return of a pair may have a second copy, the other none.
  await valueOf(get((pairs[0] as (typeof pairs)[0]).refs[0]));
  const early = ends.map(({ ref, n }) => settle(read.remote(ref, 5), n * 1_001));
  if (node <= 2 && Math.random() < 0.7) sim.crash(node);
  const late = ends.map(({ ref, n }) => settle(read.remote(ref, 0), n * 1_001));
  const sums = pairs.map(({ refs, n }) => settle(sum.remote(...refs), 2 * n + 1));
  await settleAll([...early, ...late, ...sums]);
  for (const { ref, n } of ends) {
    const link = await valueOf(get(ref));
    if (link !== null && numberOf(link.bytes) !== n) throw new Error(`${n} is something else`);
    if (link === null) continue;
    const inside = await valueOf(get(link.inside));
    if (inside !== null && inside !== n) throw new Error(`inside of ${n} is ${inside}`);
    link.inside[Symbol.dispose]();
  }
  for (const ref of all) ref[Symbol.dispose]();
}

function linkOf(n: number): Link {
  return { bytes: bytesOf(n), inside: put(n) };
}

function bytesOf(n: number): Uint8Array {
  return new Uint8Array(size).fill(n);
}

function numberOf(bytes: Uint8Array): number {
  const [first = -1] = bytes;
  if (bytes.length !== size || bytes.some((one) => one !== first)) throw new Error("torn bytes");
  return first;
}

function options(seed: number): Partial<SimOptions> {
  const world = worldOf(seed);
  const systemConfig = {
    inlineBytesMax: [1_024, 64][seed % 2] as number,
    pullChunkBytes: [5 << 20, 1_000][(seed >> 1) % 2] as number,
    copyLingerMs: [1_000, 5][(seed >> 2) % 2] as number,
    maxLineageBytes: [1 << 30, 20_000][(seed >> 3) % 2] as number,
  };
  return { nodes: 3 + (seed % 2), init: { ...world.init, systemConfig } };
}

async function lineage(sim: Simulation): Promise<void> {
  let node = 0;
  await inRounds(sim, () => oneRound(sim, (node += 1)));
}

export default { program: lineage, options } satisfies SimProgram;
