/**
 * How fast objects are put, got, waited for and passed on, on threads. Prints one JSON, and to
 * stderr which goals are met; exits 1 when a value was wrong, never because of a figure.
 *
 * The large put is compared with a `TypedArray.set` of the same bytes into shared memory that was
 * touched before, in the same round. The figures that Ray publishes for its own machines are in
 * the names of the goals.
 *
 *   npm run build && npx tsx bench/objects.ts [--quick]
 */
import { performance } from "node:perf_hooks";
import { parseArgs } from "node:util";
import { get, init, type ObjectRef, put, remote, shutdown, wait } from "mobula";
import { collectGarbage } from "./collect-garbage.ts";
import { describeMachine, describeVersions } from "./machine.ts";
import { summarize, type Summary } from "./measure.ts";
import { judgeObjectGoals } from "./object-goals.ts";
import { renderGoals } from "./report.ts";

const { values: options } = parseArgs({ options: { quick: { type: "boolean", default: false } } });
const rounds = options.quick ? 3 : 7;
const largeBytes = 100_000_000;
const sizesOfGets = [1_000, 30_000, 1_000_000, largeBytes];
/** Objects of each size and round that another thread gets. */
const getsElsewhere = 9;

let wrong = 0;
function expect(isRight: boolean): void {
  if (!isRight) wrong += 1;
}

const echo = remote((n: number) => n);
const sumOf = remote((...numbers: number[]) => numbers.reduce((sum, n) => sum + n, 0));
const countUp = remote((count: number) => Array.from({ length: count }, (_, i) => i));
/** From the call to the view, of an object that this thread has not read yet. */
const timeGet = remote(async ({ ref, warmUp }: ToGet) => {
  if (warmUp !== null) await get(warmUp);
  const startMs = performance.now();
  const array = await get(ref);
  const us = (performance.now() - startMs) * 1_000;
  return { us, last: array[array.length - 1] };
});

interface ToGet {
  readonly ref: ObjectRef<Float64Array>;
  /** Another object to get before, or null. */
  readonly warmUp: ObjectRef<Float64Array> | null;
}

/** Several of a round count each. */
interface Measured {
  readonly [figure: string]: number | readonly number[];
}

async function measureLargePut(): Promise<Measured> {
  const source = new Float64Array(largeBytes / 8).fill(1.5);
  const target = new Float64Array(new SharedArrayBuffer(largeBytes));
  target.set(source);
  put(source)[Symbol.dispose]();
  const setMs: number[] = [];
  const putMs: number[] = [];
  for (let i = 0; i < 5; i++) {
    let startMs = performance.now();
    target.set(source);
    setMs.push(performance.now() - startMs);
    startMs = performance.now();
    const ref = put(source);
    putMs.push(performance.now() - startMs);
    ref[Symbol.dispose]();
  }
  const [set, own] = [summarize(setMs).median, summarize(putMs).median];
  return { largePutOfSet: set / own, largePutGbPerSecond: largeBytes / own / 1e6 };
}

/**
 * Each object is new to the thread that gets it. Warm: the task has got another object just before.
 * Cold: it is the first that the task does, so it also waits for the code of get itself, which
 * objects as large as the processor's caches have driven out of them.
 */
async function measureGetElsewhere(): Promise<Measured> {
  const figures: Record<string, number[]> = {};
  for (const bytes of sizesOfGets) {
    const [cold, warm]: [number[], number[]] = [[], []];
    for (let i = 0; i < getsElsewhere; i++) {
      cold.push(await getElsewhere(bytes, i, null));
      using warmUp = put(new Float64Array(12_500).fill(i));
      warm.push(await getElsewhere(bytes, i, warmUp));
    }
    figures[`getElsewhereUs${bytes}`] = warm;
    figures[`coldGetElsewhereUs${bytes}`] = cold;
  }
  return figures;
}

async function getElsewhere(bytes: number, n: number, warmUp: ToGet["warmUp"]): Promise<number> {
  using ref = put(new Float64Array(bytes / 8).fill(n));
  const got = await get(timeGet.remote({ ref, warmUp }));
  expect(got.last === n);
  return got.us;
}

async function measureSmall(): Promise<Measured> {
  const count = 50_000;
  const refs: ObjectRef<number>[] = [];
  let startMs = performance.now();
  for (let i = 0; i < count; i++) refs.push(put(i));
  const putPerSecond = (count / (performance.now() - startMs)) * 1_000;
  let sum = 0;
  startMs = performance.now();
  for (const ref of refs) sum += await get(ref);
  const getPerSecond = (count / (performance.now() - startMs)) * 1_000;
  expect(sum === (count * (count - 1)) / 2);
  for (const ref of refs) ref[Symbol.dispose]();
  const objects: ObjectRef<{ i: number; name: string }>[] = [];
  startMs = performance.now();
  for (let i = 0; i < count; i++) objects.push(put({ i, name: "x" }));
  const putObjectPerSecond = (count / (performance.now() - startMs)) * 1_000;
  let last = 0;
  startMs = performance.now();
  for (const ref of objects) last = (await get(ref)).i;
  const getObjectPerSecond = (count / (performance.now() - startMs)) * 1_000;
  expect(last === count - 1);
  for (const ref of objects) ref[Symbol.dispose]();
  return { putPerSecond, getPerSecond, putObjectPerSecond, getObjectPerSecond };
}

/** Ray's "get containing 10k refs". */
async function measureRefsInside(): Promise<Measured> {
  const refCount = 10_000;
  const inside = Array.from({ length: refCount }, (_, i) => put(i));
  using outer = put(inside);
  const gets = 10;
  await get(outer);
  const startMs = performance.now();
  for (let i = 0; i < gets; i++) expect((await get(outer)).length === refCount);
  const perSecond = (gets / (performance.now() - startMs)) * 1_000;
  for (const ref of inside) ref[Symbol.dispose]();
  return { tenThousandRefsPerSecond: perSecond };
}

/** Ray's "wait 1k refs": submit them, then wait for one at a time until none is left. */
async function measureWait(): Promise<Measured> {
  const loops = 10;
  const startMs = performance.now();
  for (let loop = 0; loop < loops; loop++) {
    let pending: ObjectRef<number>[] = Array.from({ length: 1_000 }, (_, i) => echo.remote(i));
    let ready = 0;
    while (pending.length > 0) {
      const [ended, notYet] = await wait(pending);
      ready += ended.length;
      pending = notYet;
    }
    expect(ready === 1_000);
  }
  return { waitLoopsPerSecond: (loops / (performance.now() - startMs)) * 1_000 };
}

async function measureMany(): Promise<Measured> {
  const argCount = 10_000;
  const resultCount: number = 3_000;
  let startMs = performance.now();
  const args = Array.from({ length: argCount }, (_, i) => put(i));
  expect((await get(sumOf.remote(...args))) === (argCount * (argCount - 1)) / 2);
  const argumentsSeconds = (performance.now() - startMs) / 1_000;
  for (const ref of args) ref[Symbol.dispose]();
  startMs = performance.now();
  const got: number[] = await get(
    countUp.options({ numReturns: resultCount }).remote(resultCount) as ObjectRef<number>[],
  );
  expect(got.length === resultCount && got.every((n, i) => n === i));
  const resultsSeconds = (performance.now() - startMs) / 1_000;
  return { argumentsSeconds, resultsSeconds };
}

const cases = [
  measureLargePut,
  measureGetElsewhere,
  measureSmall,
  measureRefsInside,
  measureWait,
  measureMany,
];

await init({ numCpus: 2, objectStoreMemory: 600_000_000 });
const samples = new Map<string, number[]>();
// The first round runs cold code: it is not counted.
for (let round = 0; round <= rounds; round++) {
  for (const measure of cases) {
    collectGarbage();
    const measured = await measure();
    if (round === 0) continue;
    for (const [figure, value] of Object.entries(measured)) {
      samples.set(figure, (samples.get(figure) ?? []).concat(value));
    }
  }
}
await shutdown();

const figures: Record<string, Summary> = {};
for (const [figure, taken] of samples) figures[figure] = summarize(taken);
const goals = judgeObjectGoals(figures);
process.stderr.write(renderGoals(goals));
const about = { machine: describeMachine(), versions: describeVersions() };
process.stdout.write(`${JSON.stringify({ ...about, rounds, wrong, goals, figures }, null, 2)}\n`);
process.exitCode = wrong > 0 ? 1 : 0;
