/**
 * Real IO that user code begins inside a run, by kind and place: the world does not wait for it, so
 * no seed tells when it ends. Every run that has any is told so, and who waits for it.
 *
 * Seen by async_hooks, only while the run lasts: whatever Node makes to wait for something outside,
 * in the context of the program or of a task. What is done at once (`readFileSync`) is none, nor is
 * a module that the engine imports, or that has been imported before.
 */
import { asyncWrapProviders, createHook } from "node:async_hooks";

/** Kept of one run, the oldest first: a program may begin any number. */
const begunMax = 1_000;
const ticksMax = 1_000;
const stackFramesMax = 40;

/** Pending things that Node makes without anybody waiting for them. */
const harmless = [
  "NONE",
  "PROMISE",
  "TTYWRAP",
  "WRITEWRAP",
  "SHUTDOWNWRAP",
  "SIGNALWRAP",
  "ELDHISTOGRAM",
  "FILEHANDLE",
];
/** Real timers: what user code had taken before the run. */
const timerTypes = ["Timeout", "Immediate"];
const kinds = new Set([...Object.keys(asyncWrapProviders), ...timerTypes]);
for (const kind of harmless) kinds.delete(kind);
/** They call back many times: one callback is not their end. */
const lasting = /WRAP$|WATCHER$|PORT$|^WORKER|^PROCESS|^HTTP/;
const requests = /REQWRAP$|CONNECTWRAP$|SENDWRAP$|^QUERYWRAP$/;

const ownFolder = new URL("..", import.meta.url).pathname;

interface Begun {
  readonly kind: string;
  readonly context: object;
  /** Its stack is read only when somebody asks. */
  readonly error: Error;
  /** Of `process.nextTick`, where user code's own stack has ended: a stream opens its file so. */
  readonly tick: Tick | undefined;
  hasCalledBack: boolean;
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
  readonly #begin: ReturnType<typeof createHook>;
  readonly #end: ReturnType<typeof createHook>;

  /** `find` gives the context of calling code that is part of the run, else null. */
  constructor(find: () => object | null) {
    this.#begin = createHook({
      init: (asyncId, kind, triggerId) => {
        const isTick = kind === "TickObject" && this.#ticks.size < ticksMax;
        if (!isTick && (!kinds.has(kind) || this.#begun.size >= begunMax)) return;
        const context = find();
        if (context === null) return;
        const [error, tick] = [errorHere(), this.#ticks.get(triggerId)];
        if (isTick) {
          this.#ticks.set(asyncId, { error, before: tick });
          return;
        }
        this.#begun.set(asyncId, { kind, context, error, tick, hasCalledBack: false });
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
  }

  stop(): void {
    this.#begin.disable();
    this.#end.disable();
  }

  /** What has been begun in such contexts and has not ended, each once: kind, call and place. */
  openOf(isOwn: (context: object) => boolean): string[] {
    const own = [...this.#begun.values()].filter(({ context }) => isOwn(context));
    return namesOf(own, ({ kind, hasCalledBack }) => !hasCalledBack || isLasting(kind));
  }

  /** All that came, or will come, in real time. */
  calls(): RealCall[] {
    const all = [...this.#begun.values()];
    return [...new Set(all.map(({ context }) => context))].flatMap((context) => {
      const own = all.filter((begun) => begun.context === context);
      const names = namesOf(own, ({ kind, hasCalledBack }) => {
        return hasCalledBack || isNeverAtOnce(kind);
      });
      return names.map((text) => ({ context, text }));
    });
  }
}

function namesOf(own: readonly Begun[], isWanted: (begun: Begun) => boolean): string[] {
  const kindByPlace = new Map<string, string>();
  const calls: Call[] = [];
  for (const begun of own) {
    let call = callOf(begun.error);
    for (let { tick } = begun; tick && call.place === undefined; tick = tick.before) {
      call = callOf(tick.error);
    }
    // What follows from an earlier call may have no user code on its stack.
    const same = calls.findLast(({ name }) => name === call.name);
    const place = call.place ?? same?.place ?? calls.at(-1)?.place;
    if (place !== undefined) calls.push({ name: call.name, place });
    if (!isWanted(begun)) continue;
    const first = calls.find((other) => other.place === place)?.name ?? call.name;
    const named = `${first} (${place ?? "no frame of user code"})`;
    if (!kindByPlace.has(named)) kindByPlace.set(named, begun.kind);
  }
  return [...kindByPlace].map(([place, kind]) => `${kind} at ${place}`);
}

/** The function that user code called, and where. */
interface Call {
  readonly name: string;
  readonly place: string | undefined;
}

function isLasting(kind: string): boolean {
  return lasting.test(kind) && !requests.test(kind);
}

/** Others may be: `gzipSync` makes what `gzip` makes, and calls nothing back. */
function isNeverAtOnce(kind: string): boolean {
  return kind.startsWith("FSREQ") || requests.test(kind);
}

function errorHere(): Error {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = stackFramesMax;
  const error = new Error("real IO begins");
  Error.stackTraceLimit = stackTraceLimit;
  return error;
}

interface Frame {
  readonly name: string;
  readonly file: string;
  readonly at: string;
}

function callOf({ stack = "" }: Error): Call {
  const frames = stack.split("\n").flatMap((line) => frameOf(line) ?? []);
  const ofUser = (frame: Frame): boolean => isForeign(frame) && !isPackage(frame);
  let index = frames.findIndex(ofUser);
  if (index < 0) index = frames.findIndex(isForeign);
  const frame = frames[index];
  const called = frame === undefined ? frames.at(-1) : frames[index - 1];
  // Most of a module is loaded later, when the stack of who asked for it has ended.
  if (called?.file.startsWith("node:internal/modules/")) {
    return { name: "import()", place: frame?.at };
  }
  if (frame === undefined) return { name: called?.name ?? "unknown", place: undefined };
  const name = called === undefined || called.name === "" ? frame.name : called.name;
  return { name, place: frame.at };
}

/** Neither Node's nor ours. */
function isForeign({ file }: Frame): boolean {
  return !file.startsWith("node:") && !file.startsWith(ownFolder) && file !== "<anonymous>";
}

function isPackage({ file }: Frame): boolean {
  return file.includes("/node_modules/");
}

function frameOf(line: string): Frame | null {
  const found = /^\s+at (?:async )?(?:(.*) \()?(.+?):(\d+):(\d+)\)?$/.exec(line);
  if (found === null) return null;
  const [, called = "", url = "", row, column] = found;
  const file = url.startsWith("file://") ? new URL(url).pathname : url;
  const name = called.replace(/ \[as .*\]$/, "").replace(/^(?:new |.*\.)/, "");
  return { name, file, at: `${file}:${row}:${column}` };
}
