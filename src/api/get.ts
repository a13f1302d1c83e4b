/** `get`, `wait`, `asCompleted` and `put`: from refs to values and back. */
import { FailedValue, StoredValue } from "#engine/protocol/outcome.ts";
import { TaskRecord, type ObjectEntry } from "#engine/core-worker/object-entry.ts";
import { type CoreWorkerClient, PendingCall } from "#engine/services/core-worker-client.ts";
import { handleInternals } from "./actor-handle.ts";
import { describe } from "./call-shape.ts";
import { GetTimeoutError } from "./errors.ts";
import { toError } from "./failure.ts";
import { firstRef, ObjectRef } from "./object-ref.ts";
import type { GetOptions, WaitOptions } from "./options.ts";
import { remoteInternals } from "./remote-internals.ts";
import { type Caller, inert, never, requireClient } from "./runtime.ts";
import type {
  AsCompletedSignature,
  GetSignature,
  PutSignature,
  WaitSignature,
} from "./signatures.ts";
import type { TaskContext } from "./task-context.ts";
import { startWaiting, stopWaiting } from "./waiting-tasks.ts";
import type { Values } from "./values.ts";

type AnyObjectRef = ObjectRef<unknown>;

// ---------------------------------------------------------------- get

export const get: GetSignature = function get(refs: unknown, options?: GetOptions): never {
  return getValues(refs, options) as never;
};

function getValues(refs: unknown, options: GetOptions | undefined): Promise<unknown> {
  try {
    const caller = requireClient("get");
    if (caller === null) return never();
    if (options !== undefined) checkGetOptions(options, "get");
    if (ObjectRef.is(refs)) {
      return awaitValue(caller, [entryOf(refs, caller, "get")], options, false);
    }
    if (!Array.isArray(refs)) throw notARef("get", refs);
    const entries = refs.map((ref: unknown, i) => {
      if (!ObjectRef.is(ref)) throw notARef(`get: item ${i} of the list`, ref);
      return entryOf(ref, caller, "get");
    });
    return awaitValue(caller, entries, options, true);
  } catch (error) {
    return Promise.reject(error);
  }
}

/** One promise a call, settled with its value or values when all are there or one has failed. */
function awaitValue(
  caller: Caller,
  entries: readonly ObjectEntry[],
  options: GetOptions | undefined,
  isList: boolean,
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const deadlineMs = caller.client.deadlineOf(options?.timeoutMs);
    const call = new GetCall(entries, entries.length, true, deadlineMs);
    call.isList = isList;
    call.timeoutMs = options?.timeoutMs;
    call.resolve = resolve;
    call.reject = reject;
    call.start(caller, options?.signal);
  });
}

/** In order; the first failed one throws. */
function valuesOf(entries: readonly ObjectEntry[], values: Values): unknown {
  for (const entry of entries) {
    if (entry.outcome instanceof FailedValue) throw toError(entry.outcome, values);
  }
  const result = entries.map((entry) => valueOf(entry, values));
  // No decoded value is a promise, so one here is of bytes that are not mapped in this thread yet.
  return result.some((value) => value instanceof Promise) ? Promise.all(result) : result;
}

function valueOf(entry: ObjectEntry, values: Values): unknown {
  const outcome = values.readable(entry);
  if (outcome instanceof FailedValue) throw toError(outcome, values);
  if (outcome instanceof StoredValue && !values.isMapped(outcome)) {
    return values.whenMapped(outcome).then(() => values.decode(outcome, entry));
  }
  return values.decode(outcome, entry);
}

// ---------------------------------------------------------------- wait

export const wait: WaitSignature = function wait(refs: unknown, options?: WaitOptions): never {
  return waitFor(refs, options) as never;
};

async function waitFor(
  refs: unknown,
  options: WaitOptions = {},
): Promise<[AnyObjectRef[], AnyObjectRef[]]> {
  const caller = requireClient("wait");
  if (caller === null) return never();
  checkGetOptions(options, "wait");
  if (!Array.isArray(refs)) {
    throw new TypeError(`wait() takes a list of refs, got ${describe(refs)}`);
  }
  const entries = refs.map((ref: unknown, i) => {
    if (!ObjectRef.is(ref)) throw notARef(`wait: item ${i} of the list`, ref);
    return entryOf(ref, caller, "wait");
  });
  if (new Set(entries).size !== entries.length) {
    const i = entries.findIndex((entry, at) => entries.indexOf(entry) !== at);
    throw new TypeError(`wait() takes each ref once; item ${i} of the list is there already`);
  }
  const { numReturns = 1 } = options;
  if (typeof numReturns !== "number") {
    throw new TypeError(`numReturns must be an integer, got ${describe(numReturns)}`);
  }
  if (entries.length === 0 && options.numReturns === undefined) return [[], []];
  if (!Number.isInteger(numReturns) || numReturns < 1 || numReturns > entries.length) {
    throw new RangeError(
      `numReturns must be an integer from 1 to the number of refs (${entries.length}), ` +
        `got ${numReturns}`,
    );
  }
  const { fetchLocal = true } = options;
  const deadlineMs = caller.client.deadlineOf(options.timeoutMs);
  const call = new WaitCall(entries, numReturns, false, deadlineMs);
  call.fetchLocal = fetchLocal;
  await new Promise<void>((resolve, reject) => {
    call.resolve = resolve;
    call.reject = reject;
    call.start(caller, options.signal);
  });
  const isReady = (entry: ObjectEntry): boolean => caller.client.core.isReady(entry, call);
  return partition(refs as AnyObjectRef[], entries.map(isReady), numReturns);
}

function partition(
  refs: readonly AnyObjectRef[],
  isReady: readonly boolean[],
  readyMax: number,
): [AnyObjectRef[], AnyObjectRef[]] {
  const ready: AnyObjectRef[] = [];
  const notReady: AnyObjectRef[] = [];
  for (let i = 0; i < refs.length; i++) {
    const list = isReady[i] === true && ready.length < readyMax ? ready : notReady;
    list.push(refs[i] as AnyObjectRef);
  }
  return [ready, notReady];
}

export const asCompleted: AsCompletedSignature = function asCompleted(
  refs: Iterable<unknown>,
  options?: GetOptions,
): never {
  return iterateCompleted(refs, options) as never;
};

async function* iterateCompleted(
  refs: Iterable<unknown>,
  options: GetOptions = {},
): AsyncIterableIterator<AnyObjectRef> {
  if (typeof refs !== "object" || refs === null || !(Symbol.iterator in refs)) {
    throw new TypeError(`asCompleted() takes an iterable of refs, got ${describe(refs)}`);
  }
  checkGetOptions(options, "asCompleted");
  let pending = [...refs] as AnyObjectRef[];
  const { timeoutMs } = options;
  const caller = requireClient("asCompleted");
  if (caller === null) return never();
  const { host } = caller.client;
  const startMs = host.nowMs;
  while (pending.length > 0) {
    const leftMs = timeoutMs === undefined ? undefined : timeoutMs - (host.nowMs - startMs);
    const limit = leftMs === undefined ? options : { ...options, timeoutMs: Math.max(0, leftMs) };
    const [ready] = await waitFor(pending, limit);
    if (ready.length === 0) {
      throw new GetTimeoutError(
        `asCompleted: ${pending.length} refs were not ready within ${timeoutMs} ms`,
      );
    }
    // All that have become ready meanwhile, in one pass over the list.
    const { copies } = caller.client.core;
    const isDone = new Set<AnyObjectRef>(ready);
    for (const ref of pending) {
      const entry = ObjectRef.entryOf(ref);
      if (entry.state !== "PENDING" && copies.isReadable(entry)) isDone.add(ref);
    }
    const done = pending.filter((ref) => isDone.has(ref));
    pending = pending.filter((ref) => !isDone.has(ref));
    yield* done;
  }
}

// ---------------------------------------------------------------- put

export const put: PutSignature = function put(value: unknown): never {
  const caller = requireClient("put");
  if (caller === null) return inert as never;
  if (typeof value === "object" && value !== null) {
    if (ObjectRef.is(value)) {
      throw new TypeError("put() takes a value, got a ref: it is stored already, pass it as it is");
    }
    if (handleInternals(value) === undefined && isThenable(value)) {
      throw new TypeError("put() takes a value, got a promise: await it first");
    }
  }
  if (typeof value === "function" && remoteInternals(value) === undefined) {
    throw new TypeError("put() takes a value, got a function: make it remote and pass that");
  }
  const { client, values } = caller;
  return firstRef(client.putObject(values.encode(value, "value")), client) as never;
};

// ---------------------------------------------------------------- waiting for entries

const nothing = (): void => {};

/** A request that tells its outcome once, to the one who made it. */
export abstract class WaitingCall extends PendingCall {
  resolve: (value: never) => void = nothing;
  reject: (error: unknown) => void = nothing;
  #caller: Caller | null = null;
  #signal: AbortSignal | undefined;
  #onAbort: (() => void) | undefined;

  /** The task that waits; null for the driver, and once it is settled. */
  get context(): TaskContext | null {
    return this.#caller?.context ?? null;
  }

  abstract onReady(caller: Caller): void;
  abstract onTimedOut(caller: Caller): void;

  start(caller: Caller, signal: AbortSignal | undefined): void {
    if (signal?.aborted) {
      this.reject(signal.reason);
      return;
    }
    this.#caller = caller;
    if (caller.context !== null) startWaiting(caller.context);
    caller.client.awaitObjects(this);
    if (signal === undefined || this.settled) return;
    this.#signal = signal;
    this.#onAbort = () => {
      caller.client.dispatch({ type: "abandonAwait", request: this });
      this.#end();
      this.reject(signal.reason);
    };
    signal.addEventListener("abort", this.#onAbort, { once: true });
  }

  override onSettled(): void {
    const caller = this.#end();
    if (caller === null) return;
    try {
      if (this.timedOut) this.onTimedOut(caller);
      else this.onReady(caller);
    } catch (error) {
      this.reject(error);
    }
  }

  override onClosed(error: Error): void {
    this.#end();
    this.reject(error);
  }

  #end(): Caller | null {
    const caller = this.#caller;
    this.#caller = null;
    if (this.#onAbort !== undefined) this.#signal?.removeEventListener("abort", this.#onAbort);
    if (caller?.context) stopWaiting(caller.context);
    return caller;
  }
}

class GetCall extends WaitingCall {
  isList = false;
  timeoutMs: number | undefined = undefined;

  override onReady({ values }: Caller): void {
    const { entries } = this;
    if (this.failure !== null) throw toError(this.failure, values);
    const value = this.isList
      ? valuesOf(entries, values)
      : valueOf(entries[0] as ObjectEntry, values);
    this.resolve(value as never);
  }

  override onTimedOut({ client }: Caller): void {
    this.reject(timeoutError(this.entries, this.timeoutMs, client));
  }
}

/** Time or not, `wait` tells what is ready. */
class WaitCall extends WaitingCall {
  fetchLocal = true;

  override get fetchPriority(): 1 | null {
    return this.fetchLocal ? 1 : null;
  }

  /** It is there, though not here: a get of it will say why. */
  override onNoRoom(): void {
    this.fetchLocal = false;
  }

  override onReady(): void {
    this.resolve(undefined as never);
  }

  override onTimedOut(): void {
    this.resolve(undefined as never);
  }
}

// ---------------------------------------------------------------- errors

function timeoutError(
  entries: readonly ObjectEntry[],
  timeoutMs: number | undefined,
  client: CoreWorkerClient,
): GetTimeoutError {
  const { copies } = client.core;
  const pending = entries.filter((one) => one.state === "PENDING" || !copies.isReadable(one));
  const [first] = pending;
  const isTask = first instanceof TaskRecord;
  const what = isTask ? `task ${first.template.definition.taskName}` : "an object of another task";
  const isFar = first?.state === "AVAILABLE";
  const known = isTask && !isFar ? client.core.pendingReason(first) : "";
  const unknown = isFar ? "its value is on its way from another node" : "it has not ended";
  const reason = known === "" ? unknown : known;
  return new GetTimeoutError(
    `get: ${pending.length} of ${entries.length} objects were not ready within ${timeoutMs} ms; ` +
      `${what}: ${reason}`,
  );
}

function checkGetOptions(options: GetOptions | undefined, verb: string): void {
  if (options === undefined) return;
  if (typeof options !== "object" || options === null) {
    throw new TypeError(`${verb}: options must be an object, got ${describe(options)}`);
  }
  const known = ["timeoutMs", "signal", "numReturns", "fetchLocal"];
  const allowed = verb === "wait" ? known : known.slice(0, 2);
  for (const name of Object.keys(options)) {
    if (allowed.includes(name)) continue;
    const list = allowed.join(", ");
    throw new TypeError(`${verb} has no option ${JSON.stringify(name)}; it has: ${list}`);
  }
  const { timeoutMs, signal } = options;
  const { fetchLocal } = options as WaitOptions;
  if (fetchLocal !== undefined && typeof fetchLocal !== "boolean") {
    throw new TypeError(`fetchLocal must be a boolean, got ${describe(fetchLocal)}`);
  }
  if (timeoutMs !== undefined && typeof timeoutMs !== "number") {
    throw new TypeError(`timeoutMs must be a number, got ${describe(timeoutMs)}`);
  }
  if (timeoutMs !== undefined && !(timeoutMs >= 0)) {
    throw new RangeError(`timeoutMs must be at least 0, got ${timeoutMs}`);
  }
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw new TypeError(`signal must be an AbortSignal, got ${describe(signal)}`);
  }
}

function entryOf(ref: AnyObjectRef, caller: Caller, verb: string): ObjectEntry {
  if (ObjectRef.clientOf(ref) !== caller.client) {
    throw new TypeError(`${verb}: ref ${ref.id} belongs to another runtime or process`);
  }
  if (ObjectRef.isDisposed(ref)) {
    throw new TypeError(`${verb}: ref ${ref.id} was disposed and cannot be used any more`);
  }
  return ObjectRef.entryOf(ref);
}

function notARef(where: string, value: unknown): TypeError {
  const hint = isThenable(value) ? ": await it first, get() is for refs" : "";
  return new TypeError(
    `${where}: expected a ref (what .remote() or put() gave), got ${describe(value)}${hint}`,
  );
}

function isThenable(value: unknown): boolean {
  return (
    typeof value === "object" &&
    value !== null &&
    typeof (value as { then?: unknown }).then === "function"
  );
}
