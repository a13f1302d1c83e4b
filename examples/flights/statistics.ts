/**
 * Life of a sample of delays: group by key → count every delay → exact percentiles → resample for
 * intervals.
 *
 * Delays are whole minutes, so a histogram holds a sample without loss: sums and ranks are
 * integers, and a result does not depend on who computed it or when. Every group draws from a
 * random stream of its own, named by its seed. Percentiles are by nearest rank: the smallest delay
 * that at least that share of the flights does not exceed.
 * Source: Efron, Bootstrap Methods, Annals of Statistics 7 (1979), percentile intervals; generator
 * sfc32 of Chris Doty-Humphrey's PractRand.
 */

/** `delays.subarray(starts[i], starts[i + 1])` belong to `keys[i]`, in row order; keys ascend. */
export interface GroupedDelays {
  readonly keys: Int16Array;
  readonly starts: Int32Array;
  readonly delays: Int16Array;
}

/** Minutes. */
export interface Measures {
  readonly mean: number;
  readonly median: number;
  readonly p90: number;
  readonly p99: number;
}

/** `low` to `high` is the 95 % interval. */
export interface Estimate {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

export type Estimates = { readonly [M in keyof Measures]: Estimate };

export interface BootstrapOptions {
  readonly replicateCount: number;
  /** Two numbers, so that a run's seed and a group's number never meet. */
  readonly seed: readonly [number, number];
}

/** `counts[i]` flights were `lowest + i` minutes late. */
interface Histogram {
  readonly lowest: number;
  readonly counts: Uint32Array;
}

const lowPercent = 2.5;
const highPercent = 97.5;
const uint32Count = 2 ** 32;

/** A counting sort; keys are not negative. */
export function groupDelays(keys: Int16Array, delays: Int16Array): GroupedDelays {
  let highest = -1;
  for (const key of keys) if (key > highest) highest = key;
  const next = new Int32Array(highest + 1);
  for (const key of keys) next[key] = (next[key] as number) + 1;

  const present: number[] = [];
  const starts: number[] = [];
  let start = 0;
  for (let key = 0; key <= highest; key++) {
    const count = at(next, key);
    next[key] = start;
    if (count === 0) continue;
    present.push(key);
    starts.push(start);
    start += count;
  }
  starts.push(start);

  const grouped = new Int16Array(delays.length);
  for (let row = 0; row < keys.length; row++) {
    const key = keys[row] as number;
    const place = next[key] as number;
    next[key] = place + 1;
    grouped[place] = delays[row] as number;
  }
  return { keys: Int16Array.from(present), starts: Int32Array.from(starts), delays: grouped };
}

/** The delays of one key, in the order of the pieces. */
export function delaysOf(key: number, pieces: readonly GroupedDelays[]): Int16Array {
  const parts: Int16Array[] = [];
  let length = 0;
  for (const { keys, starts, delays } of pieces) {
    const index = keys.indexOf(key);
    if (index < 0) continue;
    const part = delays.subarray(at(starts, index), at(starts, index + 1));
    parts.push(part);
    length += part.length;
  }
  const sample = new Int16Array(length);
  let offset = 0;
  for (const part of parts) {
    sample.set(part, offset);
    offset += part.length;
  }
  return sample;
}

/** Of one sample that lies in several arrays. */
export function measureDelays(samples: readonly Int16Array[]): Measures {
  return measure(histogramOf(samples));
}

/** The measures of a sample with their bootstrap intervals. */
export function estimateDelays(sample: Int16Array, options: BootstrapOptions): Estimates {
  const histogram = histogramOf([sample]);
  const { lowest, counts } = histogram;
  const bins = new Uint16Array(sample.length);
  for (let index = 0; index < bins.length; index++) {
    bins[index] = (sample[index] as number) - lowest;
  }

  const state = randomState(options.seed);
  const replicates: Measures[] = [];
  const drawn = new Uint32Array(counts.length);
  while (replicates.length < options.replicateCount) {
    drawn.fill(0);
    resample(bins, drawn, state);
    replicates.push(measure({ lowest, counts: drawn }));
  }
  const measured = measure(histogram);
  const estimateOf = (name: keyof Measures): Estimate =>
    estimate(
      measured[name],
      Float64Array.from(replicates, (replicate) => replicate[name]),
    );
  return {
    mean: estimateOf("mean"),
    median: estimateOf("median"),
    p90: estimateOf("p90"),
    p99: estimateOf("p99"),
  };
}

/** 1-based, of `count` sorted values. */
export function nearestRank(percent: number, count: number): number {
  return Math.max(1, Math.ceil((percent * count) / 100));
}

/** State of sfc32: two words of seed, a constant, a counter, stirred by a few draws. */
export function randomState([seed, stream]: readonly [number, number]): Uint32Array {
  const state = Uint32Array.of(seed, stream, 0x9e3779b9, 1);
  resample(new Uint16Array(16), new Uint32Array(1), state);
  return state;
}

/**
 * Draws as many values from `bins` as it has, with replacement, into `counts`. Most of the time of
 * the whole analysis is spent here, so the generator lies open in the loop, its state in locals.
 */
export function resample(bins: Uint16Array, counts: Uint32Array, state: Uint32Array): void {
  let a = at(state, 0) | 0;
  let b = at(state, 1) | 0;
  let c = at(state, 2) | 0;
  let counter = at(state, 3) | 0;
  const scale = bins.length / uint32Count;
  for (let draw = 0; draw < bins.length; draw++) {
    const random = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + random) | 0;
    const bin = bins[((random >>> 0) * scale) | 0] as number;
    counts[bin] = (counts[bin] as number) + 1;
  }
  state[0] = a;
  state[1] = b;
  state[2] = c;
  state[3] = counter;
}

function histogramOf(samples: readonly Int16Array[]): Histogram {
  let lowest = Infinity;
  let highest = -Infinity;
  for (const sample of samples) {
    for (const delay of sample) {
      if (delay < lowest) lowest = delay;
      if (delay > highest) highest = delay;
    }
  }
  if (lowest > highest) throw new RangeError("a sample without flights has no measures");
  const counts = new Uint32Array(highest - lowest + 1);
  for (const sample of samples) {
    for (const delay of sample) {
      counts[delay - lowest] = (counts[delay - lowest] as number) + 1;
    }
  }
  return { lowest, counts };
}

function measure({ lowest, counts }: Histogram): Measures {
  let flightCount = 0;
  let sum = 0;
  for (let index = 0; index < counts.length; index++) {
    const count = counts[index] as number;
    flightCount += count;
    sum += count * (lowest + index);
  }
  const percentile = (percent: number): number => {
    let left = nearestRank(percent, flightCount);
    let index = 0;
    while ((left -= counts[index] as number) > 0) index++;
    return lowest + index;
  };
  return {
    mean: sum / flightCount,
    median: percentile(50),
    p90: percentile(90),
    p99: percentile(99),
  };
}

function estimate(value: number, replicates: Float64Array): Estimate {
  replicates.sort();
  const low = at(replicates, nearestRank(lowPercent, replicates.length) - 1);
  const high = at(replicates, nearestRank(highPercent, replicates.length) - 1);
  return { value, low, high };
}

/** Inside the bounds by construction. Not for hot loops: one function for all arrays is slow. */
function at(values: { readonly [index: number]: number }, index: number): number {
  return values[index] as number;
}
