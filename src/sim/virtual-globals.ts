/**
 * Date, Math.random, timers, performance and crypto as user code sees them inside a run: the
 * world's.
 *
 * Code outside the run (the test framework, other tests) goes on with the real ones: what is asked
 * is told by the context of the caller.
 */
import type { Prng } from "#engine/common/prng.ts";

/** The process in whose name the calling code runs. */
export interface VirtualProcess {
  /** Wall clock, with the skew and jumps of its node. */
  wallMs(): number;
  /** Monotonic clock of its node. */
  monotonicMs(): number;
  readonly random: Prng;
  setTimer(delayMs: number, callback: () => void): number;
  clearTimer(id: number): void;
}

/** Null for code that is not part of the run. */
export type FindProcess = () => VirtualProcess | null;

type AnyFunction = (...args: unknown[]) => unknown;

/** A timer as Node gives it: an object that can be cleared, ref'd and turned into a number. */
class VirtualTimer {
  id: number;
  readonly isVirtual = true;

  constructor(id: number) {
    this.id = id;
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  hasRef(): boolean {
    return true;
  }

  [Symbol.toPrimitive](): number {
    return this.id;
  }
}

/** Installs them; the returned function puts the real ones back. */
export function installVirtualGlobals(find: FindProcess): () => void {
  const undo: (() => void)[] = [];
  const replace = (target: object, name: string, value: unknown): void => {
    const before = Object.getOwnPropertyDescriptor(target, name);
    Object.defineProperty(target, name, { value, writable: true, configurable: true });
    undo.push(() => {
      if (before === undefined) Reflect.deleteProperty(target, name);
      else Object.defineProperty(target, name, before);
    });
  };
  replace(globalThis, "Date", virtualDate(find));
  const { random } = Math;
  replace(Math, "random", () => find()?.random.float() ?? random());
  const { now } = performance;
  replace(performance, "now", () => find()?.monotonicMs() ?? now.call(performance));
  installTimers(find, replace);
  installCrypto(find, replace);
  return () => {
    for (const put of undo.reverse()) put();
  };
}

function virtualDate(find: FindProcess): DateConstructor {
  const RealDate = Date;
  return new Proxy(RealDate, {
    construct(target, args, newTarget) {
      const process = args.length === 0 ? find() : null;
      const given = process === null ? args : [process.wallMs()];
      return Reflect.construct(target, given, newTarget) as Date;
    },
    apply: () => new RealDate(find()?.wallMs() ?? RealDate.now()).toString(),
    get: (target, key) =>
      key === "now" ? () => find()?.wallMs() ?? RealDate.now() : Reflect.get(target, key),
  });
}

function installTimers(
  find: FindProcess,
  replace: (target: object, name: string, value: unknown) => void,
): void {
  const { setTimeout, clearTimeout, setInterval, clearInterval, setImmediate, clearImmediate } =
    globalThis;
  const once =
    (real: AnyFunction, hasDelay: boolean): AnyFunction =>
    (callback, ...rest) => {
      const process = find();
      if (process === null) return real(callback, ...rest);
      const delayMs = hasDelay ? Number(rest[0] ?? 0) : 0;
      const args = hasDelay ? rest.slice(1) : rest;
      const call = (): unknown => (callback as AnyFunction)(...args);
      return new VirtualTimer(process.setTimer(Math.max(0, delayMs || 0), call));
    };
  const every: AnyFunction = (callback, ...rest) => {
    const process = find();
    if (process === null) return (setInterval as AnyFunction)(callback, ...rest);
    const delayMs = Math.max(1, Number(rest[0] ?? 1) || 1);
    const args = rest.slice(1);
    const tick = (): void => {
      timer.id = process.setTimer(delayMs, tick);
      (callback as AnyFunction)(...args);
    };
    const timer = new VirtualTimer(process.setTimer(delayMs, tick));
    return timer;
  };
  const clear =
    (real: AnyFunction): AnyFunction =>
    (timer) =>
      timer instanceof VirtualTimer ? find()?.clearTimer(timer.id) : real(timer);
  replace(globalThis, "setTimeout", once(setTimeout as AnyFunction, true));
  replace(globalThis, "setImmediate", once(setImmediate as AnyFunction, false));
  replace(globalThis, "setInterval", every);
  replace(globalThis, "clearTimeout", clear(clearTimeout as AnyFunction));
  replace(globalThis, "clearInterval", clear(clearInterval as AnyFunction));
  replace(globalThis, "clearImmediate", clear(clearImmediate as AnyFunction));
}

function installCrypto(
  find: FindProcess,
  replace: (target: object, name: string, value: unknown) => void,
): void {
  const fill = (random: Prng, bytes: Uint8Array): void => {
    for (let i = 0; i < bytes.length; i++) bytes[i] = random.below(256);
  };
  replace(crypto, "getRandomValues", (view: ArrayBufferView) => {
    const process = find();
    if (process === null) return Object.getPrototypeOf(crypto).getRandomValues.call(crypto, view);
    fill(process.random, new Uint8Array(view.buffer, view.byteOffset, view.byteLength));
    return view;
  });
  replace(crypto, "randomUUID", () => {
    const process = find();
    if (process === null) return Object.getPrototypeOf(crypto).randomUUID.call(crypto);
    const bytes = new Uint8Array(16);
    fill(process.random, bytes);
    bytes[6] = ((bytes[6] as number) & 0x0f) | 0x40;
    bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80;
    const hex = Buffer.from(bytes).toString("hex");
    const groups = /^(.{8})(.{4})(.{4})(.{4})(.{12})$/.exec(hex) ?? [];
    return groups.slice(1).join("-");
  });
}
