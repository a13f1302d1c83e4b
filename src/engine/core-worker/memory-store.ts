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
import type { ObjectEntry, Waiter } from "./object-entry.ts";

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

/** Settled waiters that an entry may carry before they are swept. */
const sweepAtLength = 16;

export class MemoryStore {
  readonly #deadlines = new DeadlineQueue<GetRequest>();
  #waitingCount = 0;

  /** Requests that have not been settled. */
  get waitingCount(): number {
    return this.#waitingCount;
  }

  /** True when the request is met at once, and then nothing waits. */
  add(request: GetRequest): boolean {
    for (const entry of request.entries) {
      if (entry.state === "PENDING") continue;
      request.missingCount -= 1;
      if (request.missingCount <= 0 || (request.failsEarly && entry.state !== "AVAILABLE")) {
        request.settled = true;
        return true;
      }
    }
    if (request.missingCount <= 0) {
      request.settled = true;
      return true;
    }
    for (const entry of request.entries) {
      if (entry.state === "PENDING") addWaiter(entry, request);
    }
    if (request.deadlineMs !== Infinity) this.#deadlines.add(request.deadlineMs, request);
    this.#waitingCount += 1;
    return false;
  }

  /**
   * Called for each request that waits on an entry whose outcome has just come; true when it is now
   * met.
   */
  wake(request: GetRequest, entry: ObjectEntry): boolean {
    if (request.settled) return false;
    request.missingCount -= 1;
    const failed = request.failsEarly && entry.state !== "AVAILABLE";
    if (request.missingCount > 0 && !failed) return false;
    this.#settle(request);
    return true;
  }

  /** The caller stopped waiting. */
  abandon(request: GetRequest): void {
    if (!request.settled) this.#settle(request);
  }

  nextDeadlineMs(): number {
    return this.#deadlines.nextMs();
  }

  /** A request whose time is up, or undefined. */
  takeTimedOut(nowMs: number): GetRequest | undefined {
    for (;;) {
      const request = this.#deadlines.takeDue(nowMs);
      if (request === undefined) return undefined;
      if (request.settled) continue;
      request.timedOut = true;
      this.#settle(request);
      return request;
    }
  }

  #settle(request: GetRequest): void {
    request.settled = true;
    this.#waitingCount -= 1;
  }
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
  return !(waiter instanceof GetRequest && waiter.settled);
}
