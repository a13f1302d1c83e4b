/**
 * The remote functions of the example: what a worker imports. Each wraps a plain function, so that
 * the same work can run without workers; arguments given as refs arrive as views on shared memory.
 */
import { remote } from "mobula";
import * as decode from "./decode.ts";
import * as statistics from "./statistics.ts";
import type { BootstrapOptions, Estimates, GroupedDelays, Measures } from "./statistics.ts";

export const decodeColumn = remote(decode.decodeColumn);

export const groupDelays = remote(statistics.groupDelays);

export const measureDelays = remote((...columns: Int16Array[]): Measures =>
  statistics.measureDelays(columns),
);

export const estimateGroup = remote(
  (key: number, options: BootstrapOptions, ...pieces: GroupedDelays[]): Estimates =>
    statistics.estimateDelays(statistics.delaysOf(key, pieces), options),
);

export const warmUp = remote(rehearse);

/** A small part of the real work: everyone has compiled it before the clock starts. */
export async function rehearse(path: string, range: decode.RowRange): Promise<number> {
  const delays = await decode.decodeColumn(path, "delay", range);
  let flightCount = 0;
  for (const column of ["hour", "origin"] as const) {
    const piece = statistics.groupDelays(await decode.decodeColumn(path, column, range), delays);
    for (const key of piece.keys.subarray(0, 24)) {
      const sample = statistics.delaysOf(key, [piece]);
      statistics.estimateDelays(sample, { replicateCount: 20, seed: [key, 0] });
      flightCount += sample.length;
    }
  }
  return flightCount;
}
