/** The statistics of examples/flights against naive references: sorting, filtering, counting. */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { airportCode, airportName } from "../../examples/flights/decode.ts";
import {
  delaysOf,
  estimateDelays,
  groupDelays,
  measureDelays,
  nearestRank,
  randomState,
  resample,
  type GroupedDelays,
} from "../../examples/flights/statistics.ts";

const delay = fc.oneof(fc.integer({ min: -1_200, max: 1_700 }), fc.integer({ min: -5, max: 5 }));
const sample = fc.array(delay, { minLength: 1, maxLength: 300 });
const rows = fc.array(fc.tuple(fc.integer({ min: 0, max: 40 }), delay), { maxLength: 200 });
const seed = fc.tuple(fc.nat(), fc.nat());

describe("flights statistics", () => {
  it("measures what sorting measures, however the sample is cut", () => {
    fc.assert(
      fc.property(sample, fc.nat(), (delays, cut) => {
        const middle = cut % (delays.length + 1);
        const parts = [delays.slice(0, middle), delays.slice(middle)];
        const measured = measureDelays(parts.map((part) => Int16Array.from(part)));
        expect(measured).toEqual(naiveMeasures(delays));
      }),
    );
  });

  it("takes the smallest value that the asked share does not exceed", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 99 }), fc.integer({ min: 1, max: 10_000 }), (p, n) => {
        const rank = nearestRank(p, n);
        expect(rank * 100).toBeGreaterThanOrEqual(p * n);
        expect((rank - 1) * 100).toBeLessThan(p * n);
      }),
    );
  });

  it("groups as filtering does, and finds a key again in all pieces", () => {
    fc.assert(
      fc.property(fc.array(rows, { maxLength: 4 }), fc.integer({ min: 0, max: 41 }), (all, key) => {
        const pieces = all.map(grouped);
        const expected = all.flat().filter((row) => row[0] === key);
        expect([...delaysOf(key, pieces)]).toEqual(expected.map((row) => row[1]));
        for (const [index, piece] of pieces.entries()) {
          const keys = new Set(all[index]?.map((row) => row[0]));
          expect([...piece.keys]).toEqual([...keys].sort((one, other) => one - other));
        }
      }),
    );
  });

  it("draws with replacement from the sample, as often as it is long", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(20), { minLength: 1 }), seed, (values, streamSeed) => {
        const counts = new Uint32Array(21);
        resample(Uint16Array.from(values), counts, randomState(streamSeed));
        expect(counts.reduce((sum, count) => sum + count, 0)).toBe(values.length);
        for (const [value, count] of counts.entries()) {
          if (count > 0) expect(values).toContain(value);
        }
      }),
    );
  });

  it("estimates what a naive bootstrap with the same draws estimates", () => {
    fc.assert(
      fc.property(sample, seed, fc.integer({ min: 1, max: 50 }), (delays, streamSeed, count) => {
        const options = { replicateCount: count, seed: streamSeed };
        const estimates = estimateDelays(Int16Array.from(delays), options);
        const replicates = naiveReplicates(delays, streamSeed, count);
        for (const name of ["mean", "median", "p90", "p99"] as const) {
          const sorted = replicates.map((one) => one[name]).sort((one, other) => one - other);
          expect(estimates[name]).toEqual({
            value: naiveMeasures(delays)[name],
            low: sorted[Math.max(1, Math.ceil(0.025 * count)) - 1],
            high: sorted[Math.ceil(0.975 * count) - 1],
          });
        }
      }),
      { numRuns: 50 },
    );
  });

  it("gives the mean an interval as wide as the theory says", () => {
    const uniform = Int16Array.from({ length: 10_000 }, (_, index) => index % 101);
    const { mean } = estimateDelays(uniform, { replicateCount: 1_000, seed: [7, 7] });
    const standardError = Math.sqrt((101 ** 2 - 1) / 12 / uniform.length);
    expect((mean.high - mean.low) / (2 * 1.96 * standardError)).toBeCloseTo(1, 0.9);
    expect(mean.low).toBeLessThan(mean.value);
    expect(mean.high).toBeGreaterThan(mean.value);
  });

  it("draws evenly and from a stream of its own for every seed", () => {
    const bins = Uint16Array.from({ length: 100_000 }, (_, index) => index % 100);
    const [one, other] = [1, 2].map((stream) => {
      const counts = new Uint32Array(100);
      resample(bins, counts, randomState([2001, stream]));
      return counts;
    });
    const chiSquare = one?.reduce((sum, count) => sum + (count - 1_000) ** 2 / 1_000, 0);
    expect(chiSquare).toBeGreaterThan(50);
    expect(chiSquare).toBeLessThan(150);
    expect(other).not.toEqual(one);
  });

  it("rejects a sample without flights", () => {
    expect(() => measureDelays([])).toThrow(RangeError);
  });

  it("writes an airport as a number and back", () => {
    const letter = fc.constantFrom(..."ABCDEFGHIJKLMNOPQRSTUVWXYZ");
    fc.assert(
      fc.property(fc.string({ unit: letter, minLength: 3, maxLength: 3 }), (name) => {
        expect(airportName(airportCode(new TextEncoder().encode(name)))).toBe(name);
      }),
    );
    expect(() => airportCode(new TextEncoder().encode("SF1"))).toThrow(RangeError);
  });
});

function naiveMeasures(delays: readonly number[]) {
  const sorted = [...delays].sort((one, other) => one - other);
  const percentile = (percent: number) =>
    sorted.find((_, index) => (index + 1) * 100 >= percent * sorted.length);
  const mean = delays.reduce((sum, one) => sum + one, 0) / delays.length;
  const [median, p90, p99] = [50, 90, 99].map((percent) => percentile(percent) ?? Number.NaN);
  return { mean, median, p90, p99 } as Record<"mean" | "median" | "p90" | "p99", number>;
}

/** Lets `resample` draw positions instead of delays, then looks the delays up. */
function naiveReplicates(delays: readonly number[], streamSeed: [number, number], count: number) {
  const state = randomState(streamSeed);
  const positions = Uint16Array.from(delays.keys());
  return Array.from({ length: count }, () => {
    const counts = new Uint32Array(delays.length);
    resample(positions, counts, state);
    return naiveMeasures(
      delays.flatMap((one, index) => new Array<number>(counts[index] ?? 0).fill(one)),
    );
  });
}

function grouped(all: readonly (readonly [number, number])[]): GroupedDelays {
  const keys = Int16Array.from(all, (row) => row[0]);
  return groupDelays(
    keys,
    Int16Array.from(all, (row) => row[1]),
  );
}
