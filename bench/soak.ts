/**
 * A million tasks on threads whose refs are dropped, at an even pace: what stays behind? After a
 * forced collection and five seconds of quiet every table must be as it was, and the heap within
 * 5 MB of a warm baseline. Prints one JSON; exits 1 when something leaked or a value was wrong.
 *
 *   npm run build && npx tsx bench/soak.ts [--tasks N] [--seconds S]
 */
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { get, init, type ObjectRef, put, remote, shutdown } from "mobula";
import { list, summarize } from "mobula/state";
import { collectGarbage } from "./collect-garbage.ts";
import { describeMachine, describeVersions } from "./machine.ts";

const { values } = parseArgs({
  options: {
    tasks: { type: "string", default: "1000000" },
    seconds: { type: "string", default: "60" },
  },
});
const [taskCount, seconds] = [Number(values.tasks), Number(values.seconds)];
const waveCount = 200;
const quietMs = 5_000;
const heapGrowthMaxBytes = 5_000_000;

const add = remote((a: number, b: number) => a + b);
const nest = remote((inner: { ref: ObjectRef<number> }) => inner);
const large = remote((n: number) => new Float64Array(10_000).fill(n));
/** Long enough that each worker gets one. */
const collectThere = remote(async () => {
  collectGarbage();
  await sleep(quietMs / 10);
  collectGarbage();
});

/** Of a thousand tasks most are plain; some have refs inside, results in the store, failures. */
async function wave(size: number): Promise<number> {
  let wrong = 0;
  const shared = put(7);
  const refs: ObjectRef<number>[] = [];
  for (let i = 0; i < size; i++) {
    if (i % 100 === 0) nest.remote({ ref: put(i) });
    else if (i % 100 === 1) large.remote(i);
    else if (i % 10 === 2) refs.push(add.remote(i, shared));
    else add.remote(i, 1);
  }
  for (const [i, value] of (await get(refs)).entries()) if (value !== i * 10 + 2 + 7) wrong += 1;
  return wrong;
}

interface Left {
  readonly heapBytes: number;
  readonly objects: number;
  readonly tasks: number;
}

const live = [
  ["state", "!=", "FINISHED"],
  ["state", "!=", "FAILED"],
] as const;

async function whatIsLeft(): Promise<Left> {
  for (let i = 0; i < 2; i++) {
    collectGarbage();
    await get([collectThere.remote(), collectThere.remote()]);
  }
  await sleep(quietMs);
  collectGarbage();
  const { heapUsed } = process.memoryUsage();
  const { total } = await summarize("objects");
  const tasks = await list("tasks", { filters: live });
  return { heapBytes: heapUsed, objects: total, tasks: tasks.length };
}

await init({ numCpus: 2 });
const perWave = Math.ceil(taskCount / waveCount);
let wrong = 0;
for (let i = 0; i < waveCount / 10; i++) wrong += await wave(perWave);
const before = await whatIsLeft();
const startMs = performance.now();
for (let i = 0; i < waveCount; i++) {
  wrong += await wave(perWave);
  const aheadMs = startMs + ((i + 1) * seconds * 1_000) / waveCount - performance.now();
  if (aheadMs > 0) await sleep(aheadMs);
}
const elapsedSeconds = (performance.now() - startMs) / 1_000;
const after = await whatIsLeft();
const heapGrowthBytes = after.heapBytes - before.heapBytes;
const hasLeaked =
  heapGrowthBytes > heapGrowthMaxBytes ||
  after.objects > before.objects ||
  after.tasks > before.tasks;
const machine = describeMachine();
const versions = describeVersions();
const figures = { tasks: perWave * waveCount, elapsedSeconds, heapGrowthBytes, before, after };
console.log(JSON.stringify({ machine, versions, ...figures, wrong, hasLeaked }, null, 2));
process.exitCode = hasLeaked || wrong > 0 ? 1 : 0;
await shutdown();
