/**
 * Real IO that user code begins inside a run, by kind and place: the world does not wait for it, so
 * no seed tells when it ends. Every run that has any is told so, and who waits for it.
 *
 * Seen by async_hooks, only while the run lasts: whatever Node makes to wait for something outside,
 * in the context of the program or of a task. What is done at once (`readFileSync`) is none, nor is
 * a module that the engine imports, or that has been imported before.
 */
import { asyncWrapProviders, createHook } from "node:async_hooks";
import { Replacements } from "#sim/virtual/replacements.ts";
import {
  type Call,
  callOf,
  errorHere,
  importCall,
  isStandardOutput,
  placeOfAwaited,
} from "./real-io-place.ts";

/** Kept of one run, the oldest first: a program may begin any number. */
const begunMax = 1_000;
const ticksMax = 1_000;

/** Pending things that Node makes without anybody waiting for them. */
const harmless = ["NONE", "PROMISE", "WRITEWRAP", "SHUTDOWNWRAP", "ELDHISTOGRAM", "FILEHANDLE"];
/** Real timers: what user code had taken before the run. */
const timerTypes = ["Timeout", "Immediate"];
const kinds = new Set([...Object.keys(asyncWrapProviders), ...timerTypes]);
for (const kind of harmless) kinds.delete(kind);
/** They call back many times: one callback is not their end. */
const lasting = /WRAP$|WATCHER$|PORT$|^WORKER|^PROCESS|^HTTP/;
const requests = /REQWRAP$|CONNECTWRAP$|SENDWRAP$|^QUERYWRAP$/;

/** What a call of native code has made, in the words of who called it. */
const madeBy: Readonly<Record<string, string>> = { MESSAGEPORT: "MessageChannel", ZLIB: "zlib" };
/** Nothing of these is done at once: they are real IO from the moment they begin. */
const neverAtOnce =
  /^(?:FSREQ|FSEVENT|STATWATCHER|PROCESS|SIGNAL|TTY|TCP|PIPE|UDP|WORKER|BLOB|WEBASSEMBLY|ATOMICS)/;
/** No types that we use know it as a value. */
const { WebAssembly } = globalThis as unknown as {
  readonly WebAssembly: Record<Compiling, Compile> & { readonly Module: new () => object };
};
type Compiling = (typeof compiling)[number];
type Compile = (...args: unknown[]) => Promise<unknown>;
const compiling = ["compile", "instantiate", "compileStreaming", "instantiateStreaming"] as const;
/** As is this, which Node 20 has. */
type WaitAsync = (...args: unknown[]) => { readonly async: boolean; readonly value: unknown };
const waiting = Atomics as unknown as { readonly waitAsync?: WaitAsync };
const timerCalls = ["setTimeout", "setInterval", "setImmediate"];

interface Begun {
  readonly kind: string;
  readonly context: object;
  /** Node's object for it, which tells whether it waits. */
  readonly resource: Resource;
  /** Its stack is read only when somebody asks. */
  readonly error: Error;
  /** Of `process.nextTick`, where user code's own stack has ended: a stream opens its file so. */
  readonly tick: Tick | undefined;
  /** The call, when it is of native code. */
  readonly made: string;
  hasCalledBack: boolean;
}

/** Jobs of crypto have `ondone`, and streams of zlib `cb`, unless they are done at once. */
interface Resource {
  readonly ondone?: unknown;
  readonly cb?: unknown;
}

interface Tick {
  readonly error: Error;
  readonly before: Tick | undefined;
}

/** One call of user code that has begun something real. */
export interface RealCall {
  readonly context: object;
  /** Kind, call and place. */
  readonly text: string;
}

export class RealIo {
  /** By async id, in order. */
  readonly #begun = new Map<number, Begun>();
  readonly #ticks = new Map<number, Tick>();
  readonly #replacements = new Replacements();
  readonly #find: () => object | null;
  readonly #begin: ReturnType<typeof createHook>;
  readonly #end: ReturnType<typeof createHook>;

  /** `find` gives the context of calling code that is part of the run, else null. */
  constructor(find: () => object | null) {
    this.#find = find;
    this.#begin = createHook({
      init: (asyncId, kind, triggerId, resource: Resource) => {
        const isTick = kind === "TickObject" && this.#ticks.size < ticksMax;
        if (!isTick && (!kinds.has(kind) || this.#begun.size >= begunMax)) return;
        const context = find();
        if (context === null) return;
        const [error, tick] = [errorHere(), this.#ticks.get(triggerId)];
        if (isTick) {
          this.#ticks.set(asyncId, { error, before: tick });
          return;
        }
        const made = madeBy[kind] ?? kind;
        const begun = { kind, context, resource, error, tick, made, hasCalledBack: false };
        this.#begun.set(asyncId, begun);
        this.#end.enable();
      },
    });
    this.#end = createHook({
      before: (asyncId) => {
        const begun = this.#begun.get(asyncId);
        if (begun !== undefined) begun.hasCalledBack = true;
      },
    });
  }

  start(): void {
    this.#begin.enable();
    for (const name of compiling) this.#watchCompiling(name);
    this.#watchWaiting();
  }

  stop(): void {
    this.#replacements.putBack();
    this.#begin.disable();
    this.#end.disable();
  }

  /** It has no async id: other threads compile, and only its promise tells when they have. */
  #watchCompiling(name: Compiling): void {
    const real = WebAssembly[name];
    const watched: Compile = (...args) => {
      const promise = real(...args);
      const context = this.#find();
      // What is compiled already is only put together, at once.
      if (context === null || args[0] instanceof WebAssembly.Module) return promise;
      this.#watchPromise(promise, { kind: "WEBASSEMBLY", context, made: `WebAssembly.${name}` });
      return promise;
    };
    this.#replacements.value(WebAssembly, name, watched);
  }

  /** Another thread wakes it, or real time. */
  #watchWaiting(): void {
    const { waitAsync } = waiting;
    if (waitAsync === undefined) return;
    const watched: WaitAsync = (...args) => {
      const answer = waitAsync(...args);
      const context = answer.async ? this.#find() : null;
      if (context !== null) {
        const made = "Atomics.waitAsync";
        this.#watchPromise(answer.value as Promise<unknown>, { kind: "ATOMICS", context, made });
      }
      return answer;
    };
    this.#replacements.value(waiting, "waitAsync", watched);
  }

  #watchPromise(promise: Promise<unknown>, of: Pick<Begun, "kind" | "context" | "made">): void {
    if (this.#begun.size >= begunMax) return;
    const error = errorHere();
    const begun = { ...of, resource: {}, error, tick: undefined, hasCalledBack: false };
    this.#begun.set(-this.#begun.size - 1, begun);
    const end = (): void => void (begun.hasCalledBack = true);
    promise.then(end, end);
  }

  /** What has been begun in such contexts and has not ended, each once: kind, call and place. */
  openOf(isOwn: (context: object) => boolean): string[] {
    const own = [...this.#begun.values()].filter(({ context }) => isOwn(context));
    const isOpen = (begun: Begun): boolean => !begun.hasCalledBack && !isTimerOfNode(begun);
    return namesOf(own, (begun) => isOpen(begun) || isLasting(begun.kind));
  }

  /** All that came, or will come, in real time. */
  calls(): RealCall[] {
    const all = [...this.#begun.values()];
    return [...new Set(all.map(({ context }) => context))].flatMap((context) => {
      const own = all.filter((begun) => begun.context === context);
      const names = namesOf(own, (begun) => begun.hasCalledBack || isNeverAtOnce(begun));
      return names.map((text) => ({ context, text }));
    });
  }
}

function namesOf(own: readonly Begun[], isWanted: (begun: Begun) => boolean): string[] {
  const kindByPlace = new Map<string, string>();
  const calls: Call[] = [];
  for (const begun of own) {
    const { made } = begun;
    let call = callOf(begun.error, made);
    for (let { tick } = begun; tick && call.place === undefined; tick = tick.before) {
      call = callOf(tick.error, made);
    }
    // What follows from an earlier call may have no user code on its stack.
    const same = calls.findLast(({ name }) => name === call.name);
    const { frame } = call;
    const place = frame?.awaits
      ? placeOfAwaited(frame, calls)
      : (call.place ?? same?.place ?? calls.at(-1)?.place);
    if (place !== undefined) calls.push({ name: call.name, place, frame });
    if (!isWanted(begun) || isStandardOutput(begun.error)) continue;
    const first = calls.find((other) => other.place === place)?.name ?? call.name;
    const hint = first === importCall ? ", which is to be imported before the run" : "";
    const named = `${first} (${place ?? "no frame of user code"})${hint}`;
    if (!kindByPlace.has(named)) kindByPlace.set(named, begun.kind);
  }
  return [...kindByPlace].map(([place, kind]) => `${kind} at ${place}`);
}

function isLasting(kind: string): boolean {
  return lasting.test(kind) && !requests.test(kind);
}

/** What else there is may be looked at at once, or never: it is real IO once it calls back. */
function isNeverAtOnce(begun: Begun): boolean {
  const { kind, resource } = begun;
  if (requests.test(kind) || neverAtOnce.test(kind)) return true;
  if (timerTypes.includes(kind)) return !isTimerOfNode(begun);
  // `gzipSync` makes what `gzip` makes, and `pbkdf2Sync` what `pbkdf2` does.
  return typeof resource.ondone === "function" || typeof resource.cb === "function";
}

/** Node sets some beside a call: what else that call begins is its real IO. */
function isTimerOfNode({ kind, error }: Begun): boolean {
  return timerTypes.includes(kind) && !timerCalls.includes(callOf(error, kind).name);
}
