/** The pump every system is driven by: the same code, so that only the systems differ. */
import { performance } from "node:perf_hooks";

export interface Calls {
  readonly count: number;
  /** Calls outstanding at any time: a new one is issued when one finishes. 1 = one at a time. */
  readonly inFlight: number;
  readonly call: (index: number) => Promise<number>;
  readonly expected: (index: number) => number;
}

export interface CallsOutcome {
  readonly elapsedMs: number;
  /** Calls whose answer was not the expected one. */
  readonly wrong: number;
}

/** A call that rejected, or calls that never ended: as bad as a wrong answer. */
export class CallsFailedError extends Error {}

const limitMs = 30_000;

/** Rejects with the first call that fails, or when the calls have not ended in time. */
export function runCalls({ count, inFlight, call, expected }: Calls): Promise<CallsOutcome> {
  return new Promise((resolve, reject) => {
    let issued = 0;
    let finished = 0;
    let wrong = 0;
    const limit = setTimeout(() => {
      fail(new Error(`${finished} of ${count} calls ended in ${limitMs} ms`));
    }, limitMs);
    const fail = (error: unknown): void => {
      clearTimeout(limit);
      issued = count;
      reject(new CallsFailedError(`a call failed: ${String(error)}`, { cause: error }));
    };
    const issue = (): void => {
      const index = issued;
      issued += 1;
      const onAnswer = (answer: number): void => {
        if (answer !== expected(index)) wrong += 1;
        finished += 1;
        if (issued < count) issue();
        else if (finished === count) {
          clearTimeout(limit);
          resolve({ elapsedMs: performance.now() - startMs, wrong });
        }
      };
      try {
        call(index).then(onAnswer, fail);
      } catch (error) {
        fail(error);
      }
    };
    const startMs = performance.now();
    for (let first = Math.min(inFlight, count); first > 0; first -= 1) issue();
  });
}
