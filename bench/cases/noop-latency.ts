import { measureNoop, withPool, type BenchCase } from "../case.ts";

/** Empty tasks one at a time: what a single call costs from submission to answer. */
export const noopLatency: BenchCase = {
  name: "noop-latency",
  title: "no-op task, one at a time",
  calls: { full: 5_000, quick: 500 },
  figures: [
    { key: "oneThread", unit: "us/call", heading: "1 thread", compared: true },
    { key: "twoThreads", unit: "us/call", heading: "2 threads", compared: true },
  ],
  lanes(system) {
    if (system.startPool === undefined) return [];
    return [
      {
        row: system.name,
        async sample(calls) {
          const one = await withPool(system, 1, (pool) => measureNoop(pool, calls, 1));
          const two = await withPool(system, 2, (pool) => measureNoop(pool, calls, 1));
          return {
            values: { oneThread: one.usPerCall, twoThreads: two.usPerCall },
            wrong: one.wrong + two.wrong,
          };
        },
      },
    ];
  },
};
