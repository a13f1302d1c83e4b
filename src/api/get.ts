/** `get`, `wait`, `asCompleted` and `put`: from refs to values and back. */
import { FailedValue, StoredValue } from "#engine/protocol/outcome.ts";
import type { ObjectEntry } from "#engine/core-worker/object-entry.ts";
import type { CoreWorkerClient } from "#engine/services/core-worker-client.ts";
import { handleInternals } from "./actor-handle.ts";
import { GetTimeoutError } from "./errors.ts";
import { toError } from "./failure.ts";
import { firstRef, ObjectRef, recordSite, recordsSites } from "./object-ref.ts";
import { checkBoolean, checkDuration, checkOptions, describe, kindError } from "./option-checks.ts";
import type { GetOptions, WaitOptions } from "./options.ts";
import { remoteInternals } from "./remote-internals.ts";
import { type Caller, inert, never, park, requireClient } from "./runtime.ts";
import type {
  AsCompletedSignature,
  GetSignature,
  PutSignature,
  WaitSignature,
} from "./signatures.ts";
import type { Values } from "./values.ts";
import { distinctEntriesOf, entriesOf, entryOf, isThenable, notARef } from "./ref-lists.ts";
import { WaitingCall } from "./waiting-call.ts";

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
    return awaitValue(caller, entriesOf(refs, caller, "get"), options, true);
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
  const entries = distinctEntriesOf(refs, caller, "wait");
  const { numReturns = 1 } = options;
  if (typeof numReturns !== "number") throw kindError("numReturns", "an integer", numReturns);
  if (entries.length === 0 && options.numReturns === undefined) return [[], []];
  if (!Number.isInteger(numReturns) || numReturns < 1 || numReturns > entries.length) {
    throw new RangeError(
      `numReturns must be an integer from 1 to the number of refs (${entries.length}), ` +
        `got ${numReturns}`,
    );
  }
  const call = await untilReady(caller, entries, numReturns, options);
  return partition(refs as AnyObjectRef[], call.readyAt);
}

/** Until so many are ready, or the time is up. */
function untilReady(
  caller: Caller,
  entries: readonly ObjectEntry[],
  count: number,
  { timeoutMs, signal, fetchLocal = true }: WaitOptions,
): Promise<WaitCall> {
  return new Promise((resolve, reject) => {
    const call = new WaitCall(entries, count, caller.client.deadlineOf(timeoutMs));
    call.fetchLocal = fetchLocal;
    call.resolve = resolve;
    call.reject = reject;
    call.start(caller, signal);
  });
}

/** `readyAt` is rising, and nearly always one. */
function partition(
  refs: readonly AnyObjectRef[],
  readyAt: readonly number[],
): [AnyObjectRef[], AnyObjectRef[]] {
  const ready = readyAt.map((i) => refs[i] as AnyObjectRef);
  if (readyAt.length === 1) {
    const others = [...refs];
    others.splice(readyAt[0] as number, 1);
    return [ready, others];
  }
  const notReady: AnyObjectRef[] = [];
  let readyBefore = 0;
  for (let i = 0; i < refs.length; i++) {
    if (i === readyAt[readyBefore]) readyBefore += 1;
    else notReady.push(refs[i] as AnyObjectRef);
  }
  return [ready, notReady];
}

export const asCompleted: AsCompletedSignature = function asCompleted(
  refs: unknown,
  options: GetOptions = {},
): never {
  const caller = requireClient("asCompleted");
  if (caller === null) return parkedIteration as never;
  checkGetOptions(options, "asCompleted");
  if (typeof refs !== "object" || refs === null || !(Symbol.iterator in refs)) {
    throw new TypeError(`asCompleted() takes an iterable of refs, got ${describe(refs)}`);
  }
  const list = [...(refs as Iterable<AnyObjectRef>)];
  const entries = distinctEntriesOf(list, caller, "asCompleted");
  return iterateCompleted({ caller, list, entries, options }) as never;
};

interface Completing {
  readonly caller: Caller;
  readonly list: readonly AnyObjectRef[];
  /** Of the refs, in their order. */
  readonly entries: readonly ObjectEntry[];
  readonly options: GetOptions;
}

async function* iterateCompleted(call: Completing): AsyncIterableIterator<AnyObjectRef> {
  const { caller, list, entries, options } = call;
  const { timeoutMs, signal } = options;
  const { host } = caller.client;
  const startMs = host.nowMs;
  let pending = list.map((ref, i) => ({ ref, entry: entries[i] as ObjectEntry }));
  while (pending.length > 0) {
    const leftMs =
      timeoutMs === undefined ? Infinity : Math.max(0, timeoutMs - (host.nowMs - startMs));
    const limit = signal === undefined ? {} : { signal };
    const waitingFor = pending.map(({ entry }) => entry);
    const ready = await untilReady(caller, waitingFor, 1, { timeoutMs: leftMs, ...limit });
    // All that have become ready meanwhile, in one pass over the list.
    const { core } = caller.client;
    const isDone = waitingFor.map((one, i) => ready.readyAt[0] === i || core.isReady(one, ready));
    const done = pending.filter((_, i) => isDone[i]);
    if (done.length === 0) {
      throw new GetTimeoutError(
        `asCompleted: ${pending.length} refs were not ready within ${timeoutMs} ms`,
      );
    }
    pending = pending.filter((_, i) => !isDone[i]);
    for (const { ref } of done) yield ref;
  }
}

/** In a module that a worker imports: the module ends where it asks for the first. */
const parkedIteration: AsyncIterableIterator<never> = {
  next() {
    park("asCompleted().next");
    return never();
  },
  [Symbol.asyncIterator]: () => parkedIteration,
};

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
  const ref = firstRef(values.put(value), client);
  if (recordsSites(client)) recordSite(ObjectRef.entryOf(ref), client, put);
  return ref as never;
};

// ---------------------------------------------------------------- calls

class GetCall extends WaitingCall {
  isList = false;
  timeoutMs: number | undefined = undefined;

  override onReady({ values }: Caller): void {
    const { entries } = this;
    const value = this.isList
      ? valuesOf(entries, values)
      : valueOf(entries[0] as ObjectEntry, values);
    this.tell(value);
  }

  override onTimedOut({ client }: Caller): void {
    throw timeoutError(this, client);
  }
}

/** Time or not, `wait` tells what is ready. */
class WaitCall extends WaitingCall {
  fetchLocal = true;
  /** Positions of the first that were ready when the call was settled: they may be lost again. */
  readonly readyAt: number[] = [];
  readonly #readyMax: number;

  constructor(entries: readonly ObjectEntry[], readyMax: number, deadlineMs: number) {
    super(entries, readyMax, false, deadlineMs);
    this.#readyMax = readyMax;
  }

  override get fetchPriority(): 1 | null {
    return this.fetchLocal ? 1 : null;
  }

  /** It is there, though not here: a get of it will say why. */
  override onNoRoom(): void {
    this.fetchLocal = false;
  }

  override onReady({ client }: Caller): void {
    const { entries, readyAt } = this;
    for (let i = 0; i < entries.length && readyAt.length < this.#readyMax; i++) {
      if (client.core.isReady(entries[i] as ObjectEntry, this)) readyAt.push(i);
    }
    this.tell(this);
  }

  override onTimedOut(caller: Caller): void {
    this.onReady(caller);
  }
}

// ---------------------------------------------------------------- errors

function timeoutError(
  { entries, timeoutMs, explained }: GetCall,
  client: CoreWorkerClient,
): GetTimeoutError {
  const { copies } = client.core;
  const pending = entries.filter((one) => one.state === "PENDING" || !copies.isReadable(one));
  const [first] = pending;
  const why = first === undefined ? "" : `; ${whyOf(first, explained, client)}`;
  const count = `${pending.length} of ${entries.length}`;
  return new GetTimeoutError(`get: ${count} objects were not ready within ${timeoutMs} ms${why}`);
}

/** As the processes on the way told, if it is still that object: else as far as this one knows. */
function whyOf(
  first: ObjectEntry,
  explained: GetCall["explained"],
  { core }: CoreWorkerClient,
): string {
  return explained?.entry === first ? explained.text : core.whyPending(first);
}

const getNames = ["timeoutMs", "signal"];
const waitNames = [...getNames, "numReturns", "fetchLocal"];

function checkGetOptions(options: GetOptions | WaitOptions, verb: string): void {
  const given = checkOptions(verb, options, verb === "wait" ? waitNames : getNames);
  checkDuration("timeoutMs", given["timeoutMs"]);
  checkBoolean("fetchLocal", given["fetchLocal"]);
  const signal = given["signal"];
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw kindError("signal", "an AbortSignal", signal);
  }
}
