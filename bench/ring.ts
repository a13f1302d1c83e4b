/** Life of a ring bench: warm up → rounds in one thread → rounds between two threads → one JSON. */

import { availableParallelism, cpus, totalmem } from "node:os";
import { Worker } from "node:worker_threads";
import { ringByteLength } from "../src/transports/threads/ring-layout.ts";
import { RingReader } from "../src/transports/threads/ring-reader.ts";
import { RingWriter } from "../src/transports/threads/ring-writer.ts";

const CAPACITY_BYTES = 64 * 1024;
const ROUNDS = 9;
const LOCAL_FRAMES = 1_000_000;
const PIPELINED_FRAMES = 4_000_000;

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

const round = (value: number): number => Number(value.toPrecision(4));

/** Nanoseconds for a frame that this thread writes, `burst` of them, then reads until empty. */
const localRound = (frameBytes: number, burst: number, tracked: boolean): number => {
  const buffer = new SharedArrayBuffer(ringByteLength(CAPACITY_BYTES));
  const writer = new RingWriter(buffer, 0, CAPACITY_BYTES);
  const reader = new RingReader(buffer, 0, CAPACITY_BYTES);
  let sum = 0;
  const begin = process.hrtime.bigint();
  for (let sent = 0; sent < LOCAL_FRAMES; sent += burst) {
    for (let i = 0; i < burst; i += 1) {
      const start = writer.reserve(frameBytes);
      for (let at = 0; at < frameBytes; at += 4) writer.view.setInt32(start + at, sent + i, true);
      writer.commit(frameBytes, tracked);
    }
    while (reader.peek()) {
      if (!reader.take()) throw new Error("a frame was lost");
      sum += reader.sourceView.getInt32(reader.start + frameBytes - 4, true);
      reader.release();
    }
  }
  const elapsedNs = Number(process.hrtime.bigint() - begin);
  if (sum !== (LOCAL_FRAMES * (LOCAL_FRAMES - 1)) / 2) throw new Error("a frame was changed");
  return elapsedNs / LOCAL_FRAMES;
};

/** Frames a second from this thread to a worker, as fast as both can. */
const pipelinedRound = async (worker: Worker, frameBytes: number): Promise<number> => {
  const buffer = new SharedArrayBuffer(ringByteLength(CAPACITY_BYTES));
  const writer = new RingWriter(buffer, 0, CAPACITY_BYTES);
  const ready = new Promise((resolve) => worker.once("message", resolve));
  worker.postMessage({ buffer, capacityBytes: CAPACITY_BYTES, frameCount: PIPELINED_FRAMES });
  await ready;
  const done = new Promise<number>((resolve) => worker.once("message", resolve));
  const begin = process.hrtime.bigint();
  for (let sent = 0; sent < PIPELINED_FRAMES;) {
    const start = writer.reserve(frameBytes);
    if (start === -1) continue;
    for (let at = 0; at < frameBytes; at += 4) writer.view.setInt32(start + at, sent, true);
    writer.commit(frameBytes);
    sent += 1;
  }
  while (!writer.isEmpty());
  const elapsedNs = Number(process.hrtime.bigint() - begin);
  if ((await done) !== (PIPELINED_FRAMES * (PIPELINED_FRAMES - 1)) / 2) {
    throw new Error("a frame was changed");
  }
  return (PIPELINED_FRAMES / elapsedNs) * 1e9;
};

const measure = async (one: () => number | Promise<number>) => {
  await one();
  const values: number[] = [];
  for (let i = 0; i < ROUNDS; i += 1) values.push(await one());
  return {
    median: round(median(values)),
    min: round(Math.min(...values)),
    max: round(Math.max(...values)),
  };
};

const worker = new Worker(new URL("./ring-reader.mjs", import.meta.url));
const results = {
  local32BytesNs: await measure(() => localRound(32, 1, true)),
  local32BytesBurst100Ns: await measure(() => localRound(32, 100, true)),
  local32BytesUntrackedNs: await measure(() => localRound(32, 1, false)),
  local1024BytesNs: await measure(() => localRound(1024, 1, true)),
  pipelined32BytesPerSecond: await measure(() => pipelinedRound(worker, 32)),
};
await worker.terminate();

const pick = (field: "median" | "min" | "max") =>
  Object.fromEntries(Object.entries(results).map(([name, figures]) => [name, figures[field]]));

const machine = {
  cpu: cpus()[0]?.model ?? "unknown",
  cores: availableParallelism(),
  memoryBytes: totalmem(),
  platform: `${process.platform} ${process.arch}`,
};
process.stdout.write(
  `${JSON.stringify(
    {
      machine,
      node: process.version,
      capacityBytes: CAPACITY_BYTES,
      rounds: ROUNDS,
      medians: pick("median"),
      min: pick("min"),
      max: pick("max"),
    },
    null,
    2,
  )}\n`,
);
