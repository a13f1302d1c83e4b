/**
 * Three nodes with bad disks and hardly any room: another process has most of each store from the
 * start. Values are made here and there, also many by one task and put by tasks and by the driver;
 * maps are reduced, what lies elsewhere is read, and machines come and go, some with their disks;
 * processes end as they write. Whatever comes is what was made.
 */
import { get, type ObjectRef, put, remote, wait } from "mobula";
import type { Fault, SimOptions, Simulation } from "mobula/sim";
import { Prng } from "#engine/common/prng.ts";
import { ifRoom, settle, settleAll, valueOf } from "./outcome.ts";
import { endsOfWriters, inRounds, type SimProgram } from "./world.ts";

const nodeCount = 3;
const storeBytes = 1 << 20;
/** Of which a store has room for a few. */
const lengths = [3_000, 12_000, 30_000] as const;
const partsOfMap = 3;

/** On the head at times, which is always there; others may stay away. */
const anyNode = () => {
  const isOnHead = Math.random() < 0.2;
  return isOnHead ? { resources: { head: 0.01 } } : ({ schedulingStrategy: "SPREAD" } as const);
};
/** Text, of which nothing is a view: what nobody needs may go at once. */
const textOf = (n: number): string => {
  const length = lengths[n % lengths.length] as number;
  return `${n} `.repeat(length).slice(0, length);
};
const numberOf = (text: string): string => text.slice(0, text.indexOf(" "));

const make = remote(async (n: number, ms: number) => {
  if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms));
  return textOf(n);
});
const map = remote({ numReturns: partsOfMap }, (n: number): [string, string, string] => {
  return [textOf(n), textOf(n + 1), textOf(n + 2)];
});
const isOf = remote((text: string, n: number) => text === textOf(n));
const reduce = remote((...texts: string[]) => {
  const isWhole = texts.every((text) => text === textOf(Number(numberOf(text))));
  return isWhole ? texts.map(numberOf).join() : "something else";
});
const areOf = remote(async (refs: readonly ObjectRef<string>[], numbers: readonly number[]) => {
  const texts = await get(refs);
  return texts.every((text, i) => text === textOf(numbers[i] as number));
});
/** More than lies beside the store: the rest is written while the task waits. */
const putMany = remote((from: number, count: number) => {
  return Array.from({ length: count }, (_, i) => ifRoom(() => put(textOf(from + i))));
});

interface Kept {
  readonly n: number;
  readonly ref: ObjectRef<string>;
}

function numbered(refs: readonly (ObjectRef<string> | null)[], from: number): Kept[] {
  return refs.flatMap((ref, i) => (ref === null ? [] : [{ n: from + i, ref }]));
}

async function makeSome(from: number): Promise<Kept[]> {
  const kept: Kept[] = [];
  const some = (count: number): number => Math.floor(Math.random() * (count + 1));
  for (let i = some(8); i > 0; i--) {
    const n = from + kept.length;
    kept.push({ n, ref: make.options(anyNode()).remote(n, some(3)) });
  }
  for (let i = some(3); i > 0; i--) {
    const n = from + kept.length;
    const refs = map.options(anyNode()).remote(n);
    kept.push(...numbered(refs, n));
  }
  kept.push(
    ...numbered(
      Array.from({ length: some(6) }, (_, i) => ifRoom(() => put(textOf(from + 100 + i)))),
      from + 100,
    ),
  );
  const putThere = await valueOf(get(putMany.options(anyNode()).remote(from + 200, some(6))));
  kept.push(...numbered(putThere ?? [], from + 200));
  return kept;
}

/** Reads of a part of them, in several ways at once. */
function readSome(kept: readonly Kept[]): Promise<string | null>[] {
  const checks: Promise<string | null>[] = [];
  const some = (share: number): Kept[] => kept.filter(() => Math.random() < share);
  for (const { n, ref } of some(0.3)) {
    checks.push(settle(isOf.options(anyNode()).remote(ref, n), true));
  }
  for (let i = 0; i < 4; i++) {
    const args = some(0.3).slice(0, 8);
    if (args.length === 0) continue;
    const call = reduce.options(anyNode()).remote(...(args.map(({ ref }) => ref) as never[]));
    checks.push(settle(call, args.map(({ n }) => n).join()));
  }
  const inside = some(0.2);
  const refs = inside.map(({ ref }) => ref);
  checks.push(
    settle(
      areOf.options(anyNode()).remote(
        refs,
        inside.map(({ n }) => n),
      ),
      true,
    ),
  );
  for (const { n, ref } of some(0.2)) checks.push(settle(ref, textOf(n)));
  // Who is told why it is not here is told the truth.
  for (const { n, ref } of some(0.2)) {
    checks.push(settle(ref, textOf(n), { timeoutMs: Math.ceil(Math.random() * 40) }));
  }
  return checks;
}

async function disks(sim: Simulation): Promise<void> {
  // When the nodes know of each other.
  await sim.sleep(100);
  let kept: Kept[] = [];
  let from = 0;
  await inRounds(sim, async () => {
    const made = await makeSome((from += 1_000));
    kept.push(...made);
    if (kept.length > 0 && Math.random() < 0.5) {
      const refs = kept.map(({ ref }) => ref);
      await valueOf(wait(refs, { numReturns: refs.length, timeoutMs: 500, fetchLocal: false }));
    }
    await settleAll(readSome(kept));
    for (const { n, ref } of kept.filter(() => Math.random() < 0.1)) {
      await settleAll([settle(ref, textOf(n))]);
    }
    const gone = kept.filter(() => Math.random() < 0.4);
    for (const { ref } of gone) ref[Symbol.dispose]();
    kept = kept.filter((one) => !gone.includes(one));
  });
  await settleAll(kept.map(({ n, ref }) => settle(ref, textOf(n))));
  for (const { ref } of kept) ref[Symbol.dispose]();
}

const withinMs = 2_000;
/** What must meet a read to show comes more often. */
const diskFaults = [
  ...(["full", "ioError", "lostFsync", "tornWrite", "bitRot", "slow"] as const),
  ...(["ioError", "ioError", "ioError", "bitRot", "bitRot"] as const),
];

/** Another process has most of each store, and all of it now and then; disks fail in turn. */
function faultsOf(random: Prng): Fault[] {
  const faults: Fault[] = [];
  const oneOf = <T>(items: readonly T[]): T => items[random.below(items.length)] as T;
  for (let node = 0; node < nodeCount; node++) {
    const bytes = storeBytes - oneOf([60_000, 150_000, 400_000]);
    faults.push({ at: 50, kind: "memoryPressure", node, bytes, forMs: 60_000 });
  }
  for (let i = random.below(10); i > 0; i--) {
    const [node, what] = [random.below(nodeCount), oneOf(diskFaults)];
    const forMs = 1 + random.below(oneOf([20, 500, 500, 8_000]));
    faults.push({ at: random.below(withinMs), kind: "disk", node, what, forMs });
  }
  for (let i = random.below(3); i > 0; i--) {
    const crash = { at: random.below(withinMs), kind: "crash", node: 1 + random.below(2) } as const;
    const restartAfterMs = random.below(oneOf([100, 5_000]));
    const again = { ...crash, restartAfterMs, keepDisk: random.below(4) > 0 };
    faults.push(random.below(8) === 0 ? crash : again);
  }
  return [...faults, ...endsOfWriters(random)];
}

const kinds = [
  ...(["memoryPressure", "crashWorker", "crashAfter", "collect"] as const),
  ...(["slowLink", "pause", "hold", "drop"] as const),
];

function options(seed: number): Partial<SimOptions> {
  const random = new Prng(seed).split("disks");
  const systemConfig = {
    inlineBytesMax: 1_024,
    arenaChunkBytes: 4_096,
    copyLingerMs: [5, 50][random.below(2)] as number,
    pullRoomTimeoutMs: [500, 3_000][random.below(2)] as number,
    pullChunkBytes: [5 << 20, 5_000][random.below(2)] as number,
  };
  const nodes = Array.from({ length: nodeCount }, (_, node) => {
    return { numCpus: 1 + random.below(3), resources: node === 0 ? { head: 1 } : {} };
  });
  const init = { objectStoreMemory: storeBytes, systemConfig };
  return { nodes, faults: faultsOf(random), chaos: { kinds }, init };
}

export default { program: disks, options } satisfies SimProgram;
