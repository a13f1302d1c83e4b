/**
 * 100,000 no-op tasks queued at once on two workers: do all end, what does a pending one weigh, how
 * long does the engine hold the event loop. Prints one JSON; exits 1 when an answer is missing.
 *
 * Weight: two tasks hold the workers, so that every no-op is pending in its final form when the
 * heap is read, between full collections; refs are held, nothing is waited for. Engine turn: the
 * longest turn of the event loop from the moment the submitting loop and `get` have returned, seen
 * by a chain of `setImmediate`, which every turn must pass.
 */
import { performance } from "node:perf_hooks";
import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";
import { collectGarbage } from "./collect-garbage.ts";
import { describeMachine, describeVersions } from "./machine.ts";
import { summarize } from "./measure.ts";
import { importMobulaTasks, mobulaMissing } from "./systems/mobula.ts";

type Mobula = Awaited<ReturnType<typeof importMobulaTasks>>;
type NoopRef = ReturnType<Mobula["noop"]["remote"]>;

const taskCount = 100_000;
const threads = 2;
const rounds = 3;
const holdMs = 4_000;
/** Turns for the submissions to reach their resting place. */
const settleTurns = 200;

interface Weight {
  readonly ended: number;
  /** False if reading came too late: the workers had begun on the tasks. */
  readonly heldThroughout: boolean;
  readonly heapBytesPerTask: number;
  /** Growth of ArrayBuffers per task: outside the heap, given beside it so that nothing hides. */
  readonly offHeapBytesPerTask: number;
}

interface Turns {
  readonly ended: number;
  readonly elapsedMs: number;
  readonly submitMs: number;
  readonly longestTurnMs: number;
}

function submitAll(mobula: Mobula, refs: (NoopRef | undefined)[]): void {
  for (let index = 0; index < taskCount; index += 1) refs[index] = mobula.noop.remote(index);
}

async function countEnded(mobula: Mobula, refs: (NoopRef | undefined)[]): Promise<number> {
  const submitted = refs.filter((ref) => ref !== undefined);
  const answers: readonly number[] = await mobula.get(submitted);
  return answers.filter((answer, index) => answer === index + 1).length;
}

function usedBytes(): { readonly heap: number; readonly offHeap: number } {
  collectGarbage();
  collectGarbage();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return { heap: heapUsed, offHeap: arrayBuffers };
}

/** What earlier rounds left goes in several steps: collected, finalized, released, collected. */
async function settleHeap(): Promise<void> {
  for (let pass = 0; pass < 5; pass += 1) {
    collectGarbage();
    await sleep(20);
  }
}

async function weighPending(mobula: Mobula): Promise<Weight> {
  const refs = new Array<NoopRef | undefined>(taskCount).fill(undefined);
  await settleHeap();
  const startMs = performance.now();
  const holds = Array.from({ length: threads }, () => mobula.holdWorker.remote(holdMs));
  const before = usedBytes();
  submitAll(mobula, refs);
  for (let turn = 0; turn < settleTurns; turn += 1) await nextTurn();
  const after = usedBytes();
  const heldThroughout = performance.now() - startMs < holdMs;
  await mobula.get(holds);
  return {
    ended: await countEnded(mobula, refs),
    heldThroughout,
    heapBytesPerTask: (after.heap - before.heap) / taskCount,
    offHeapBytesPerTask: (after.offHeap - before.offHeap) / taskCount,
  };
}

async function timeTurns(mobula: Mobula): Promise<Turns> {
  const refs = new Array<NoopRef | undefined>(taskCount).fill(undefined);
  collectGarbage();
  const startMs = performance.now();
  submitAll(mobula, refs);
  const submitMs = performance.now() - startMs;
  const counting = countEnded(mobula, refs);

  let allEnded = false;
  void counting.finally(() => (allEnded = true)).catch(() => undefined); // awaited below
  let longestTurnMs = 0;
  for (let turnStartMs = performance.now(); !allEnded;) {
    await nextTurn();
    const nowMs = performance.now();
    longestTurnMs = Math.max(longestTurnMs, nowMs - turnStartMs);
    turnStartMs = nowMs;
  }
  const ended = await counting;
  const elapsedMs = performance.now() - startMs;
  return { ended, elapsedMs, submitMs, longestTurnMs };
}

async function warmUp(mobula: Mobula): Promise<void> {
  const refs = Array.from({ length: 20_000 }, (_, index) => mobula.noop.remote(index));
  await mobula.get(refs);
  await mobula.get(Array.from({ length: threads }, () => mobula.holdWorker.remote(1)));
}

async function main(): Promise<void> {
  const missing = mobulaMissing();
  if (missing !== undefined) {
    process.stderr.write(`mobula is skipped: ${missing}\n`);
    return;
  }
  const mobula = await importMobulaTasks();
  await mobula.init({ numCpus: threads });
  await warmUp(mobula);
  const weights: Weight[] = [];
  const turns: Turns[] = [];
  for (let round = 0; round < rounds; round += 1) {
    weights.push(await weighPending(mobula));
    turns.push(await timeTurns(mobula));
  }
  await mobula.shutdown();

  const weighed = weights.filter((weight) => weight.heldThroughout);
  const pendingTaskBytes = summarize(weighed.map((weight) => weight.heapBytesPerTask)).median;
  const allEnded = [...weights, ...turns].every(({ ended }) => ended === taskCount);
  const result = {
    machine: describeMachine(),
    versions: describeVersions(),
    taskCount,
    threads,
    allEnded,
    pendingTaskBytes: weighed.length === 0 ? null : pendingTaskBytes,
    longestEngineTurnMs: Math.max(...turns.map((turn) => turn.longestTurnMs)),
    weights,
    turns,
  };
  process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
  process.exitCode = allEnded ? 0 : 1;
}

await main();
