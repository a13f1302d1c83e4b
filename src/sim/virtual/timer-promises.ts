/** node:timers/promises as user code sees it. */
import { delayMsOf } from "./timers.ts";
import type { FindProcess, VirtualProcess } from "./virtual-globals.ts";

interface TimerOptions {
  readonly signal?: AbortSignal;
  readonly ref?: boolean;
}

type PromisedTimer = (...args: unknown[]) => unknown;

export interface TimerPromises {
  readonly setTimeout: PromisedTimer;
  readonly setImmediate: PromisedTimer;
  readonly setInterval: PromisedTimer;
}

export function virtualTimerPromises(find: FindProcess, real: TimerPromises): TimerPromises {
  return {
    setTimeout: (delay, value, options) => {
      const process = find();
      if (process === null || !isOptions(options)) return real.setTimeout(delay, value, options);
      return sleep(process, delayMsOf(delay), value, options);
    },
    setImmediate: (value, options) => {
      const process = find();
      if (process === null || !isOptions(options)) return real.setImmediate(value, options);
      return sleep(process, 0, value, options);
    },
    setInterval: (delay, value, options) => {
      const process = find();
      if (process === null || !isOptions(options)) return real.setInterval(delay, value, options);
      return repeat(process, delayMsOf(delay), value, options);
    },
  };
}

/** What Node refuses, it shall refuse in its own words. */
function isOptions(options: unknown): options is TimerOptions | undefined {
  if (options === undefined) return true;
  if (typeof options !== "object" || options === null) return false;
  const { signal, ref } = options as { signal?: unknown; ref?: unknown };
  const isSignal = signal === undefined || signal instanceof AbortSignal;
  return isSignal && (ref === undefined || typeof ref === "boolean");
}

function sleep<T>(
  process: VirtualProcess,
  delayMs: number,
  value: T,
  { signal, ref = true }: TimerOptions = {},
): Promise<T> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) {
      reject(new AbortError(signal.reason));
      return;
    }
    const onAbort = (): void => {
      process.clearTimer(id);
      reject(new AbortError(signal?.reason));
    };
    const fire = (): void => {
      signal?.removeEventListener("abort", onAbort);
      resolve(value);
    };
    const id = process.setTimer(delayMs, fire, () => ref);
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}

/** One turn for each tick, however late it is asked for. */
async function* repeat<T>(
  process: VirtualProcess,
  delayMs: number,
  value: T,
  { signal, ref = true }: TimerOptions = {},
): AsyncGenerator<T, void> {
  const isAborted = (): boolean => signal?.aborted === true;
  if (isAborted()) throw new AbortError(signal?.reason);
  let dueCount = 0;
  let wake: (() => void) | null = null;
  const tick = (): void => {
    id = process.setTimer(delayMs, tick, () => ref);
    dueCount += 1;
    wake?.();
  };
  let id = process.setTimer(delayMs, tick, () => ref);
  const onAbort = (): void => wake?.();
  signal?.addEventListener("abort", onAbort, { once: true });
  try {
    for (;;) {
      if (dueCount === 0 && !isAborted()) {
        await new Promise<void>((resolve) => (wake = resolve));
      }
      wake = null;
      for (; dueCount > 0; dueCount -= 1) yield value;
      if (isAborted()) throw new AbortError(signal?.reason);
    }
  } finally {
    process.clearTimer(id);
    signal?.removeEventListener("abort", onAbort);
  }
}

/** As Node's own looks. */
class AbortError extends Error {
  readonly code = "ABORT_ERR";

  constructor(cause: unknown) {
    super("The operation was aborted", { cause });
    this.name = "AbortError";
  }
}
