/**
 * Ray's test of spilling (test_spill_objects_automatically) on threads: 800 MB of objects through a
 * store of 75 MB, then 1,000 random gets. All must be equal; what is read back is compared with
 * what was consumed, and the longest turn of the event loop is told, the puts themselves aside.
 * Prints one JSON; exits 1 when a value was wrong.
 *
 * Bytes read back are those that this process has read from files meanwhile (`rchar` of
 * /proc/self/io): null where there is no such file.
 *
 *   npm run build && npx tsx bench/spill.ts
 */
import { readFileSync } from "node:fs";
import { performance } from "node:perf_hooks";
import { setImmediate as nextTurn } from "node:timers/promises";
import { get, init, type ObjectRef, put, shutdown } from "mobula";
import { Prng } from "../src/engine/common/prng.ts";
import { describeMachine, describeVersions } from "./machine.ts";

const storeBytes = 75_000_000;
const totalBytes = 800_000_000;
const getCount = 1_000;

function readBytes(): number | null {
  try {
    return Number(/rchar: (\d+)/.exec(readFileSync("/proc/self/io", "utf8"))?.[1] ?? Number.NaN);
  } catch {
    return null;
  }
}

/** Every turn must pass here. */
class Turns {
  longestMs = 0;
  #isOver = false;

  async watch(): Promise<void> {
    for (let startMs = performance.now(); !this.#isOver;) {
      await nextTurn();
      const nowMs = performance.now();
      this.longestMs = Math.max(this.longestMs, nowMs - startMs);
      startMs = nowMs;
    }
  }

  end(): void {
    this.#isOver = true;
  }
}

async function measure(objectBytes: number, seed: number) {
  await init({ numCpus: 1, objectStoreMemory: storeBytes });
  const count = totalBytes / objectBytes;
  const refs: ObjectRef<Float64Array>[] = [];
  const putStartMs = performance.now();
  for (let i = 0; i < count; i++) {
    refs.push(put(new Float64Array(objectBytes / 8).fill(i)));
    await nextTurn();
  }
  const putSeconds = (performance.now() - putStartMs) / 1_000;
  const random = new Prng(seed);
  const turns = new Turns();
  const watching = turns.watch();
  const before = readBytes();
  const getStartMs = performance.now();
  let wrong = 0;
  for (let n = 0; n < getCount; n++) {
    const i = random.below(count);
    const array = await get(refs[i] as ObjectRef<Float64Array>);
    if (array.length !== objectBytes / 8 || array[0] !== i || array.at(-1) !== i) wrong += 1;
  }
  const getSeconds = (performance.now() - getStartMs) / 1_000;
  const after = readBytes();
  turns.end();
  await watching;
  await shutdown();
  const consumedBytes = getCount * objectBytes;
  const restoredBytes = before === null || after === null ? null : after - before;
  return {
    objectBytes,
    count,
    wrong,
    putSeconds,
    getSeconds,
    restoredOfConsumed: restoredBytes === null ? null : restoredBytes / consumedBytes,
    longestTurnMs: turns.longestMs,
  };
}

const runs = [];
for (const objectBytes of [800_000, 8_000_000]) runs.push(await measure(objectBytes, objectBytes));
const about = { machine: describeMachine(), versions: describeVersions() };
process.stdout.write(`${JSON.stringify({ ...about, storeBytes, totalBytes, runs }, null, 2)}\n`);
process.exitCode = runs.some(({ wrong }) => wrong > 0) ? 1 : 0;
