/** `get`, `wait`, `asCompleted` and `put`: from refs to values and back. */
import { FailedValue, StoredValue } from "#engine/protocol/outcome.ts";
import type { GetRequest } from "#engine/core-worker/memory-store.ts";
import { TaskRecord, type ObjectEntry } from "#engine/core-worker/object-entry.ts";
import type { CoreWorkerClient, PendingCall } from "#engine/services/core-worker-client.ts";
import { handleInternals } from "./actor-handle.ts";
import { describe } from "./call-shape.ts";
import { GetTimeoutError } from "./errors.ts";
import { toError } from "./failure.ts";
import { ObjectRef } from "./object-ref.ts";
import type { GetOptions, WaitOptions } from "./options.ts";
import { type Caller, inert, never, requireClient } from "./runtime.ts";
import type {
  AsCompletedSignature,
  GetSignature,
  PutSignature,
  WaitSignature,
} from "./signatures.ts";
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
    checkGetOptions(options, "get");
    if (ObjectRef.is(refs)) {
      const entry = entryOf(refs, caller, "get");
      return settle(caller, [entry], options).then(() => valueOf(entry, caller.values));
    }
    if (!Array.isArray(refs)) throw notARef("get", refs);
    const entries = refs.map((ref: unknown, i) => {
      if (!ObjectRef.is(ref)) throw notARef(`get: item ${i} of the list`, ref);
      return entryOf(ref, caller, "get");
    });
    return settle(caller, entries, options).then(() => valuesOf(entries, caller.values));
  } catch (error) {
    return Promise.reject(error);
  }
}

/** In order; the first failed one throws. */
async function valuesOf(entries: readonly ObjectEntry[], values: Values): Promise<unknown[]> {
  for (const entry of entries) {
    if (entry.outcome instanceof FailedValue) throw toError(entry.outcome, values);
  }
  const result: unknown[] = [];
  for (const entry of entries) {
    const value = valueOf(entry, values);
    result.push(value instanceof Promise ? await value : value);
  }
  return result;
}

function valueOf(entry: ObjectEntry, values: Values): unknown {
  const { outcome } = entry;
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
  await settleSome(caller, entries, { ...options, neededCount: numReturns });
  return partition(refs as AnyObjectRef[], entries, numReturns);
}

function partition(
  refs: readonly AnyObjectRef[],
  entries: readonly ObjectEntry[],
  readyMax: number,
): [AnyObjectRef[], AnyObjectRef[]] {
  const ready: AnyObjectRef[] = [];
  const notReady: AnyObjectRef[] = [];
  for (let i = 0; i < refs.length; i++) {
    const isReady = entries[i]?.state !== "PENDING" && ready.length < readyMax;
    (isReady ? ready : notReady).push(refs[i] as AnyObjectRef);
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
  let pending = [...refs] as AnyObjectRef[];
  const { timeoutMs } = options;
  const startMs = performance.now();
  while (pending.length > 0) {
    const leftMs = timeoutMs === undefined ? undefined : timeoutMs - (performance.now() - startMs);
    const limit = leftMs === undefined ? options : { ...options, timeoutMs: Math.max(0, leftMs) };
    const [ready] = await waitFor(pending, limit);
    if (ready.length === 0) {
      throw new GetTimeoutError(
        `asCompleted: ${pending.length} refs were not ready within ${timeoutMs} ms`,
      );
    }
    // All that have become ready meanwhile, in one pass over the list.
    const done = pending.filter((ref) => ObjectRef.entryOf(ref).state !== "PENDING");
    const isDone = new Set(done);
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
  if (typeof value === "function") {
    throw new TypeError("put() takes a value, got a function: make it remote and pass that");
  }
  const { client, values } = caller;
  return new ObjectRef(client.putObject(values.encode(value, "value")), client) as never;
};

// ---------------------------------------------------------------- waiting for entries

interface Waits extends GetOptions {
  readonly neededCount: number;
}

/** Resolves when all are settled or one has failed; rejects when the time is up or the signal aborts. */
function settle(
  caller: Caller,
  entries: readonly ObjectEntry[],
  options: GetOptions = {},
): Promise<void> {
  if (allSettled(entries) || entries.some((entry) => entry.state === "FAILED")) {
    options.signal?.throwIfAborted();
    return Promise.resolve();
  }
  const waits = { ...options, neededCount: entries.length };
  return awaitEntries(caller, entries, { ...waits, failsEarly: true }).then((timedOut) => {
    if (timedOut) throw timeoutError(entries, options, caller.client);
  });
}

async function settleSome(
  caller: Caller,
  entries: readonly ObjectEntry[],
  options: Waits,
): Promise<void> {
  options.signal?.throwIfAborted();
  await awaitEntries(caller, entries, { ...options, failsEarly: false });
}

/** Resolves to true when the time was up. */
function awaitEntries(
  caller: Caller,
  entries: readonly ObjectEntry[],
  options: Waits & { failsEarly: boolean },
): Promise<boolean> {
  const { client, context } = caller;
  const { signal, timeoutMs, neededCount, failsEarly } = options;
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason as Error);
      return;
    }
    const onAbort = (): void => {
      client.dispatch({ type: "abandonAwait", request });
      if (context !== null) stopWaiting(context);
      reject(signal?.reason as Error);
    };
    const call: PendingCall = {
      settled(settledRequest: GetRequest): void {
        signal?.removeEventListener("abort", onAbort);
        if (context !== null) stopWaiting(context);
        resolve(settledRequest.timedOut);
      },
    };
    if (context !== null) startWaiting(context);
    const request = client.awaitObjects({ entries, neededCount, failsEarly, timeoutMs, call });
    if (!request.settled) signal?.addEventListener("abort", onAbort, { once: true });
  });
}

function allSettled(entries: readonly ObjectEntry[]): boolean {
  for (const entry of entries) if (entry.state === "PENDING") return false;
  return true;
}

// ---------------------------------------------------------------- errors

function timeoutError(
  entries: readonly ObjectEntry[],
  options: GetOptions,
  client: CoreWorkerClient,
): GetTimeoutError {
  const pending = entries.filter((entry) => entry.state === "PENDING");
  const [first] = pending;
  const what =
    first instanceof TaskRecord ? `task ${first.template.definition.taskName}` : "the first";
  const reason = first instanceof TaskRecord ? client.core.pendingReason(first) : "";
  return new GetTimeoutError(
    `get: ${pending.length} of ${entries.length} objects were not ready within ` +
      `${options.timeoutMs} ms; ${what} ${reason === "" ? "has not ended" : reason}`,
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
