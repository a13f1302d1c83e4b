/** 1 MB arguments, 32 calls in flight, 2 threads: carried by copy, and read where they lie. */
import { runCalls, type CallsOutcome } from "../calls.ts";
import { measureRate, withPool, type BenchCase, type Sample } from "../case.ts";
import { sampleBytes } from "../workers/tasks.mjs";

const sizeBytes = 1_000_000;
const inFlight = 32;

/** Different buffers in turn, so that an answer shows which one arrived. */
function differentBuffers(): readonly Uint8Array[] {
  return [1, 2, 3, 5].map((factor) => {
    return Uint8Array.from({ length: sizeBytes }, (_, at) => (at * factor + (at >> 8)) & 255);
  });
}

function inTurn<T>(items: readonly T[], index: number): T {
  const item = items[index % items.length];
  if (item === undefined) throw new Error("nothing to take in turn");
  return item;
}

const buffers = differentBuffers();
const answers = buffers.map((bytes) => sampleBytes(bytes));

export const bytesCopied: BenchCase = {
  name: "bytes-copied",
  title: "1 MB Uint8Array argument, copied, 32 in flight, 2 threads",
  calls: { full: 1_000, quick: 200 },
  figures: [{ key: "rate", unit: "calls/s", heading: "rate", compared: true }],
  lanes(system) {
    if (system.startPool === undefined) return [];
    return [
      {
        row: system.name,
        sample: (calls) =>
          withPool(system, 2, async (pool) => {
            const rate = await measureRate({
              count: calls,
              inFlight,
              call: (index) => pool.sampleBytes(inTurn(buffers, index)),
              expected: (index) => inTurn(answers, index),
            });
            return { values: { rate: rate.perSecond }, wrong: rate.wrong };
          }),
      },
    ];
  },
};

/** Beside it, in the same pool, empty tasks with as many in flight: the call without the bytes. */
export const bytesByRef: BenchCase = {
  name: "bytes-by-ref",
  title: "1 MB Uint8Array argument, by reference to shared memory, 32 in flight, 2 threads",
  calls: { full: 6_000, quick: 2_000 },
  figures: [
    { key: "rate", unit: "calls/s", heading: "by ref", compared: true },
    { key: "empty", unit: "calls/s", heading: "empty task" },
    { key: "ofEmpty", unit: "x", heading: "by ref ÷ empty" },
  ],
  lanes(system) {
    if (system.startPool === undefined) return [];
    return [
      {
        row: system.name,
        sample: (calls) =>
          withPool(system, 2, async (pool) => {
            const shared = buffers.map((bytes) => pool.shareBytes(bytes));
            const part = { count: Math.ceil(calls / 2), inFlight };
            const runEmpty = () =>
              runCalls({
                ...part,
                call: (index) => pool.noop(index),
                expected: (index) => index + 1,
              });
            const runByRef = () =>
              runCalls({
                ...part,
                call: (index) => inTurn(shared, index)(),
                expected: (index) => inTurn(answers, index),
              });
            return compareRates(2 * part.count, runEmpty, runByRef);
          }),
      },
    ];
  },
};

type Run = () => Promise<CallsOutcome>;

/** Both warm, then A B B A: whatever goes on warming up does not favour the one measured later. */
async function compareRates(calls: number, runEmpty: Run, runByRef: Run): Promise<Sample> {
  const warmUps = [await runEmpty(), await runByRef()];
  const firstEmpty = await runEmpty();
  const byRefs = [await runByRef(), await runByRef()];
  const empties = [firstEmpty, await runEmpty()];
  const perSecond = (runs: readonly CallsOutcome[]): number => {
    return (calls / runs.reduce((sum, run) => sum + run.elapsedMs, 0)) * 1000;
  };
  const [rate, empty] = [perSecond(byRefs), perSecond(empties)];
  const wrong = [...warmUps, ...byRefs, ...empties].reduce((sum, run) => sum + run.wrong, 0);
  return { values: { rate, empty, ofEmpty: rate / empty }, wrong };
}
