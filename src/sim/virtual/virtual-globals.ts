/**
 * Date, Math.random, timers, performance, crypto, process.exit and what else asks a clock, as user
 * code sees them inside a run: the world's.
 *
 * Code outside the run (the test framework, other tests) goes on with the real ones: what is asked
 * is told by the context of the caller.
 */
import cryptoModule from "node:crypto";
import { syncBuiltinESMExports } from "node:module";
import processModule from "node:process";
import timersModule from "node:timers";
import promisesModule from "node:timers/promises";
import { promisify } from "node:util";
import type { Prng } from "#engine/common/prng.ts";
import { replacePerformance, virtualProcessClocks } from "./clocks.ts";
import { replaceDateConstructor, virtualDate } from "./date.ts";
import { replaceEvents, replaceTimeStamp } from "./events.ts";
import { replaceIntl } from "./intl.ts";
import { replaceExit } from "./exit.ts";
import { replaceMicrotasks } from "./microtasks.ts";
import { replaceRandom, virtualCrypto } from "./random.ts";
import { Replacements } from "./replacements.ts";
import { replaceTemporal } from "./temporal.ts";
import { type TimerPromises, virtualTimerPromises } from "./timer-promises.ts";
import { type TimerFunctions, virtualAbortTimeout, virtualTimers } from "./timers.ts";

/** The process in whose name the calling code runs. */
export interface VirtualProcess {
  /** Wall clock, with the skew and jumps of its node. */
  wallMs(): number;
  /** Monotonic clock of its node. */
  monotonicMs(): number;
  readonly random: Prng;
  /** With nothing but timers left that hold no reference, a world is at rest. */
  setTimer(delayMs: number, callback: () => void, hasRef?: () => boolean): number;
  clearTimer(id: number): void;
  /** As its user code has set it. */
  exitCode: number | string | null | undefined;
  /** It ends, as if by a call of process.exit. */
  exit(code: number): void;
}

/** Null for code that is not part of the run. */
export type FindProcess = () => VirtualProcess | null;

/** The run that goes on in this thread. */
let finder: FindProcess | null = null;
let dateOfRun: DateConstructor = Date;
let areModulesReplaced = false;

const find: FindProcess = () => finder?.() ?? null;

/** Installs them; the returned function puts the real ones back. */
export function installVirtualGlobals(findProcess: FindProcess): () => void {
  finder = findProcess;
  const replacements = new Replacements();
  replaceModules();
  const timers = virtualTimers(find, globalThis as unknown as TimerFunctions);
  for (const [name, timer] of Object.entries(timers)) {
    replacements.value(globalThis, name, promised(name, timer));
  }
  replacements.value(AbortSignal, "timeout", virtualAbortTimeout(find));
  dateOfRun = virtualDate(find);
  replacements.value(globalThis, "Date", dateOfRun);
  replaceTemporal(find, replacements);
  replaceEvents(find, replacements);
  replacePerformance(find, replacements);
  replaceRandom(find, replacements);
  replaceExit(find, replacements);
  replaceMicrotasks(find, replacements);
  return () => {
    replacements.putBack();
    finder = null;
  };
}

/**
 * Node's modules are replaced once and stay so: to change what was imported from them takes as long
 * as a short run. So are the prototypes of classes: what V8 has made of them is thrown away with
 * each change. Outside of a run they do what they always did.
 */
function replaceModules(): void {
  if (areModulesReplaced) return;
  areModulesReplaced = true;
  const promises = promisesModule as unknown as TimerPromises & Record<string, unknown>;
  const { setTimeout: waitReal, ...rest } = virtualTimerPromises(find, { ...promises });
  const { scheduler } = promisesModule;
  const yieldReal = scheduler.yield.bind(scheduler);
  Object.assign(promises, rest, { setTimeout: waitReal });
  Object.assign(scheduler, {
    wait: (delayMs: number, options?: object) => waitReal(delayMs, undefined, options),
    yield: () => (find() === null ? yieldReal() : rest.setImmediate()),
  });
  const timers = timersModule as unknown as TimerFunctions;
  for (const [name, timer] of Object.entries(virtualTimers(find, { ...timers }))) {
    Object.assign(timersModule, { [name]: promised(name, timer) });
  }
  const drawing = virtualCrypto(find, { ...(cryptoModule as unknown as Record<string, never>) });
  Object.assign(cryptoModule, drawing);
  const { hrtime, uptime } = processModule;
  Object.assign(processModule, virtualProcessClocks(find, { hrtime, uptime }));
  const lasting = new Replacements();
  replaceDateConstructor(find, () => dateOfRun, lasting);
  replaceIntl(find, lasting);
  replaceTimeStamp(find, lasting);
  syncBuiltinESMExports();
}

/** `promisify(setTimeout)` gives what node:timers/promises has. */
function promised(name: string, timer: (...args: unknown[]) => unknown): typeof timer {
  const promise = (promisesModule as unknown as Record<string, unknown>)[name];
  if (promise !== undefined) Object.assign(timer, { [promisify.custom]: promise });
  return timer;
}
