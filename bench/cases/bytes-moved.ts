/** Buffers that are given away with the call: the memory goes to the thread, nothing is copied. */
import { type Calls, runCalls } from "../calls.ts";
import { measureRate, withPool, type BenchCase } from "../case.ts";
import { sampleBytes } from "../workers/tasks.mjs";

type Move = (bytes: Uint8Array) => Promise<number>;

/** A buffer that moved is gone, so each call has one of its own, with a few of its bytes set. */
function fresh(sizeBytes: number, index: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(sizeBytes);
  for (let at = 0; at < sizeBytes; at += stride(sizeBytes)) bytes[at] = (index + at) & 255;
  return bytes;
}

/** That of `sampleBytes`, so that it sees them all. */
function stride(sizeBytes: number): number {
  return Math.max(1, Math.floor((sizeBytes - 1) / 15));
}

function moving(move: Move, sizeBytes: number): Pick<Calls, "call" | "expected"> {
  const expected = (index: number): number => sampleBytes(fresh(sizeBytes, index & 255));
  const answers = Array.from({ length: 4 }, (_, index) => expected(index));
  return {
    call: (index) => move(fresh(sizeBytes, index % 4)),
    expected: (index) => answers[index % 4] as number,
  };
}

export const bytesMoved: BenchCase = {
  name: "bytes-moved",
  title: "1 MB ArrayBuffer transferred, 32 in flight, 2 threads",
  calls: { full: 2_000, quick: 300 },
  figures: [{ key: "rate", unit: "calls/s", heading: "rate", compared: true }],
  lanes(system) {
    if (system.startPool === undefined || system.movesBytes !== true) return [];
    return [
      {
        row: system.name,
        sample: (calls) =>
          withPool(system, 2, async ({ moveBytes }) => {
            const move = moveBytes as Move;
            const rate = await measureRate({ count: calls, inFlight: 32, ...moving(move, 1e6) });
            return { values: { rate: rate.perSecond }, wrong: rate.wrong };
          }),
      },
    ];
  },
};

export const largeMoved: BenchCase = {
  name: "large-moved",
  title: "100 MB ArrayBuffer transferred, one at a time",
  calls: { full: 40, quick: 10 },
  figures: [{ key: "latency", unit: "ms", heading: "latency", compared: true }],
  lanes(system) {
    if (system.startPool === undefined || system.movesBytes !== true) return [];
    return [
      {
        row: system.name,
        sample: (calls) =>
          withPool(system, 1, async ({ moveBytes }) => {
            const part = { inFlight: 1, ...moving(moveBytes as Move, 1e8) };
            const warmUp = await runCalls({ count: 4, ...part });
            const { elapsedMs, wrong } = await runCalls({ count: calls, ...part });
            return { values: { latency: elapsedMs / calls }, wrong: wrong + warmUp.wrong };
          }),
      },
    ];
  },
};
