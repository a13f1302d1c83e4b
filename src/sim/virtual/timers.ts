/**
 * Timers as user code sees them: in virtual time, with the objects and the limits that Node's have.
 */
import { AsyncResource } from "node:async_hooks";
import type { FindProcess, VirtualProcess } from "./virtual-globals.ts";

type AnyFunction = (...args: unknown[]) => unknown;
type TimerKind = "once" | "repeated" | "immediate";

/** What a timer of Node cannot hold becomes one millisecond. */
const delayMsMax = 2 ** 31 - 1;

/** Timers that somebody knows by number, as Node's are after `+timer`. */
const numbered = new WeakMap<VirtualProcess, Map<number, VirtualTimer>>();

/** Set → fires, once or again and again → cleared. */
class VirtualTimer {
  readonly #process: VirtualProcess;
  readonly #kind: TimerKind;
  readonly #delayMs: number;
  readonly #call: () => void;
  readonly #number: number;
  #id: number;
  #isCleared = false;
  #hasRef = true;

  constructor(process: VirtualProcess, kind: TimerKind, delayMs: number, call: AnyFunction) {
    this.#process = process;
    this.#kind = kind;
    this.#delayMs = delayMs;
    const resource = new AsyncResource("VirtualTimer");
    const callInContext = (): void => void resource.runInAsyncScope(call, this);
    this.#call = callInContext;
    this.#id = this.#arm();
    this.#number = this.#id;
  }

  ref(): this {
    this.#hasRef = true;
    return this;
  }

  /** Nothing waits for it any more: with only such timers left a world is at rest. */
  unref(): this {
    this.#hasRef = false;
    return this;
  }

  hasRef(): boolean {
    return this.#hasRef;
  }

  /** It starts anew, also after it has fired. */
  refresh(): this {
    if (this.#isCleared || this.#kind === "immediate") return this;
    this.#process.clearTimer(this.#id);
    this.#id = this.#arm();
    return this;
  }

  close(): this {
    this.#isCleared = true;
    this.#process.clearTimer(this.#id);
    numbered.get(this.#process)?.delete(this.#number);
    return this;
  }

  [Symbol.toPrimitive](): number {
    const timers = numbered.get(this.#process) ?? new Map<number, VirtualTimer>();
    numbered.set(this.#process, timers.set(this.#number, this));
    return this.#number;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #arm(): number {
    const hasRef = (): boolean => this.#hasRef;
    return this.#process.setTimer(this.#delayMs, () => this.#fire(), hasRef);
  }

  #fire(): void {
    if (this.#kind === "repeated") this.#id = this.#arm();
    this.#call();
  }
}

/** The functions of `globalThis` and of node:timers. */
export interface TimerFunctions {
  readonly setTimeout: AnyFunction;
  readonly setInterval: AnyFunction;
  readonly setImmediate: AnyFunction;
  readonly clearTimeout: AnyFunction;
  readonly clearInterval: AnyFunction;
  readonly clearImmediate: AnyFunction;
}

export function virtualTimers(find: FindProcess, real: TimerFunctions): TimerFunctions {
  const after =
    (kind: TimerKind, start: AnyFunction): AnyFunction =>
    (callback, ...rest) => {
      const process = find();
      // Node tells what is wrong with a callback that is none.
      if (process === null || typeof callback !== "function") return start(callback, ...rest);
      const [delay, args] = kind === "immediate" ? [0, rest] : [rest[0], rest.slice(1)];
      const delayMs = kind === "immediate" ? 0 : delayMsOf(delay);
      return new VirtualTimer(process, kind, delayMs, function call(this: unknown) {
        Reflect.apply(callback, this, args);
      });
    };
  const clear =
    (stop: AnyFunction): AnyFunction =>
    (timer) => {
      const virtual = timer instanceof VirtualTimer ? timer : timerOf(timer, find());
      if (virtual === undefined) return stop(timer);
      virtual.close();
    };
  return {
    setTimeout: after("once", real.setTimeout),
    setInterval: after("repeated", real.setInterval),
    setImmediate: after("immediate", real.setImmediate),
    clearTimeout: clear(real.clearTimeout),
    clearInterval: clear(real.clearInterval),
    clearImmediate: clear(real.clearImmediate),
  };
}

function timerOf(timer: unknown, process: VirtualProcess | null): VirtualTimer | undefined {
  if (process === null || (typeof timer !== "number" && typeof timer !== "string")) return;
  return numbered.get(process)?.get(Number(timer));
}

export function delayMsOf(delay: unknown): number {
  const delayMs = Number(delay);
  return delayMs >= 1 && delayMs <= delayMsMax ? delayMs : 1;
}

/** `AbortSignal.timeout`, in virtual time. */
export function virtualAbortTimeout(find: FindProcess): (delayMs: number) => AbortSignal {
  const { timeout } = AbortSignal;
  return (delayMs) => {
    const process = find();
    const isGiven = Number.isInteger(delayMs) && delayMs >= 0;
    if (process === null || !isGiven) return timeout.call(AbortSignal, delayMs);
    const controller = new AbortController();
    const resource = new AsyncResource("VirtualTimer");
    const message = "The operation was aborted due to timeout";
    const abort = (): void => controller.abort(new DOMException(message, "TimeoutError"));
    process.setTimer(delayMs, () => resource.runInAsyncScope(abort), neverRef);
    return controller.signal;
  };
}

const neverRef = (): boolean => false;
