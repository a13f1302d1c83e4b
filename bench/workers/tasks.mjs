/** The bodies every system runs: one definition, so that none is asked for less than another. */

/** An empty task that still proves which call it answers. */
export function noop(x) {
  return x + 1;
}

export function fib(n) {
  return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

/**
 * Looks at 16 places over the whole argument: enough to see a wrong or half-copied buffer, cheap
 * enough that the figure is the carrying of the bytes and not a sum over them.
 */
export function sampleBytes(bytes) {
  let sum = bytes.length;
  const stride = Math.max(1, Math.floor((bytes.length - 1) / 15));
  for (let at = 0; at < bytes.length; at += stride) sum += bytes[at] * (at + 1);
  return sum;
}

export class Counter {
  #total = 0;

  increment(by) {
    this.#total += by;
    return this.#total;
  }
}
