/**
 * Who waits for which object in this process: wakes them when an outcome comes, ends them when
 * their time is up.
 *
 * State:  waiters hang on the entries; deadlines in one heap.
 * In/out: get and wait requests, outcomes of entries → Settle.
 * Bounds: as many waiters as the program has pending calls of get and wait; settled ones are swept.
 * Errors: a request past its deadline settles with `timedOut`; the fetch of others goes on.
 * Source: Ray memory_store; protocols §2.8.
 */
import { DeadlineQueue } from "#engine/common/deadline-queue.ts";
import type { EngineError } from "#engine/common/error-type.ts";
import { type ObjectEntry, TaskRecord, type Waiter } from "./object-entry.ts";
import type { Out } from "./process-context.ts";
import type { IncomingTask } from "./task-receiver.ts";

/**
 * A pending `get` (all of them, or the first error) or `wait` (the first `neededCount`). The api
 * extends it by what it does when the request is settled.
 */
export class GetRequest {
  readonly type = "settle";
  readonly entries: readonly ObjectEntry[];
  readonly deadlineMs: number;
  /** True for `get`: one failed object ends it. */
  readonly failsEarly: boolean;
  missingCount: number;
  settled = false;
  timedOut = false;
  /** Why it ends without an outcome: what it waits for waits for it. */
  failure: EngineError | null = null;
  /** The task that waits; null for the driver and for a constructor. */
  waiter: IncomingTask | null = null;
  /** Whoever called may stop waiting at any time. */
  isAbortable = false;
  /** Neighbours in the list of requests that wait: a set would cost more than all the rest. */
  newer: GetRequest | null = null;
  older: GetRequest | null = null;

  constructor(
    entries: readonly ObjectEntry[],
    neededCount: number,
    failsEarly: boolean,
    deadlineMs: number,
  ) {
    this.entries = entries;
    this.missingCount = neededCount;
    this.failsEarly = failsEarly;
    this.deadlineMs = deadlineMs;
  }
}

/** Settled waiters that an entry, or the heap of deadlines, may carry before they are swept. */
const sweepAtLength = 16;

export class MemoryStore {
  readonly #deadlines = new DeadlineQueue<GetRequest>();
  #newest: GetRequest | null = null;
  #waitingCount = 0;
  /** Settled requests whose deadlines are still in the heap. */
  #settledEarlyCount = 0;

  /** Requests that have not been settled. */
  get waitingCount(): number {
    return this.#waitingCount;
  }

  /** Newest first. */
  *waiting(): IterableIterator<GetRequest> {
    for (let request = this.#newest; request !== null; request = request.older) yield request;
  }

  /** Settles at once when the request is met already, and then nothing waits. */
  add(request: GetRequest, out: Out): void {
    if (isMet(request)) {
      request.settled = true;
      out.instruct(request);
      return;
    }
    for (const entry of request.entries) {
      // Its ref may go while the caller waits; what the caller waits for may not.
      entry.uses += 1;
      if (entry.state === "PENDING") addWaiter(entry, request);
    }
    if (request.deadlineMs !== Infinity) this.#deadlines.add(request.deadlineMs, request);
    this.#link(request);
  }

  /** Called for each request that waits on an entry whose outcome has just come. */
  wake(request: GetRequest, entry: ObjectEntry, out: Out): void {
    if (request.settled) return;
    request.missingCount -= 1;
    const failed = request.failsEarly && entry.state !== "AVAILABLE";
    if (request.missingCount > 0 && !failed) return;
    out.instruct(request);
    this.#settle(request, out);
  }

  /** The caller stopped waiting. */
  abandon(request: GetRequest, out: Out): void {
    if (!request.settled) this.#settle(request, out);
  }

  /** No outcome can come: the caller gets the error. */
  fail(request: GetRequest, error: EngineError, out: Out): void {
    if (request.settled) return;
    request.failure = error;
    out.instruct(request);
    this.#settle(request, out);
  }

  nextDeadlineMs(): number {
    return this.#deadlines.nextMs();
  }

  /** Ends the requests whose time is up. */
  onDeadline(nowMs: number, out: Out): void {
    for (;;) {
      const request = this.#deadlines.takeDue(nowMs);
      if (request === undefined) return;
      if (request.settled) {
        this.#settledEarlyCount -= 1;
        continue;
      }
      request.timedOut = true;
      out.instruct(request);
      this.#settle(request, out);
    }
  }

  #link(request: GetRequest): void {
    request.older = this.#newest;
    if (this.#newest !== null) this.#newest.newer = request;
    this.#newest = request;
    this.#waitingCount += 1;
  }

  #unlink(request: GetRequest): void {
    const { newer, older } = request;
    if (newer === null) this.#newest = older;
    else newer.older = older;
    if (older !== null) older.newer = newer;
    // Whoever still refers to a settled one must not keep its neighbours.
    request.newer = null;
    request.older = null;
    this.#waitingCount -= 1;
  }

  #settle(request: GetRequest, out: Out): void {
    request.settled = true;
    this.#unlink(request);
    this.#release(request, out);
    if (request.deadlineMs === Infinity || request.timedOut) return;
    this.#settledEarlyCount += 1;
    const { size } = this.#deadlines;
    if (this.#settledEarlyCount < sweepAtLength || this.#settledEarlyCount * 2 < size) return;
    this.#deadlines.retain((other) => !other.settled);
    this.#settledEarlyCount = 0;
  }

  /** The caller reads the values when this event is over: until then nothing may be freed. */
  #release(request: GetRequest, out: Out): void {
    let later: ObjectEntry[] | null = null;
    for (const entry of request.entries) {
      if (entry.localRefs > 0) entry.uses -= 1;
      else (later ??= []).push(entry);
    }
    if (later !== null) out.instruct({ type: "releaseLater", entries: later });
  }
}

function isMet(request: GetRequest): boolean {
  for (const entry of request.entries) {
    if (entry.state === "PENDING") continue;
    request.missingCount -= 1;
    if (request.missingCount <= 0) return true;
    if (request.failsEarly && entry.state !== "AVAILABLE") return true;
  }
  return request.missingCount <= 0;
}

export function addWaiter(entry: ObjectEntry, waiter: Waiter): void {
  const { waiters } = entry;
  if (waiters === null) {
    entry.waiters = waiter;
    return;
  }
  if (!Array.isArray(waiters)) {
    entry.waiters = isLive(waiters) ? [waiters, waiter] : waiter;
    return;
  }
  if (waiters.length >= sweepAtLength && (waiters.length & (waiters.length - 1)) === 0) {
    entry.waiters = [...waiters.filter(isLive), waiter];
    return;
  }
  waiters.push(waiter);
}

function isLive(waiter: Waiter): boolean {
  if (waiter instanceof GetRequest) return !waiter.settled;
  return !(waiter instanceof TaskRecord && waiter.isCancelled);
}
