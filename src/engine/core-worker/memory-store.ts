/**
 * Who waits for which object in this process: wakes them when an outcome comes, ends them when
 * their time is up.
 *
 * State:  waiters hang on the entries, or on copies that are brought here; deadlines in one heap.
 * In/out: get and wait requests, outcomes of entries → Settle.
 * Bounds: as many waiters as the program has pending calls of get and wait; settled ones are swept.
 * Errors: a request past its deadline settles with `timedOut`; the fetch of others goes on.
 * Source: Ray memory_store; protocols §2.8.
 */
import { DeadlineQueue } from "#engine/common/deadline-queue.ts";
import { type Linked, LinkedList } from "#engine/common/linked-list.ts";
import type { EngineError } from "#engine/common/error-type.ts";
import type { PullPriority } from "#engine/protocol/copy.ts";
import { type FailedValue, StoredValue } from "#engine/protocol/outcome.ts";
import type { LocalCopies } from "./local-copies.ts";
import { type ObjectEntry, TaskRecord, type Waiter } from "./object-entry.ts";
import type { Out } from "./process-context.ts";
import type { IncomingTask } from "./incoming-task.ts";

/**
 * A pending `get` (all of them, or the first error) or `wait` (the first `neededCount`). The api
 * extends it by what it does when the request is settled.
 */
export class GetRequest implements Linked<GetRequest> {
  readonly type = "settle";
  readonly entries: readonly ObjectEntry[];
  readonly deadlineMs: number;
  /** True for `get`: one failed object ends it. */
  readonly failsEarly: boolean;
  missingCount: number;
  settled = false;
  timedOut = false;
  /** Why it ends without an outcome: what it waits for waits for it, or has no room here. */
  failure: EngineError | null = null;
  /** The task that waits; null for the driver and for a constructor. */
  waiter: IncomingTask | null = null;
  /** Whoever called may stop waiting at any time. */
  isAbortable = false;
  /** Why one of the objects is not there, as its processes told shortly before the deadline. */
  explained: { readonly entry: ObjectEntry; readonly text: string } | null = null;
  /**
   * Neighbours in the list of requests that wait, or, `newer`, of those that this event has
   * settled: a set would cost more than all the rest.
   */
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

  /** How urgently it needs bytes that lie on another node; null when to know of them is enough. */
  get fetchPriority(): PullPriority | null {
    return 0;
  }

  /** Ends a get; a wait may do with knowing of it. */
  onNoRoom({ error }: FailedValue): void {
    this.failure = error;
  }
}

/** How long before its deadline a get asks why it waits. */
const leadMs = 100;
/** Settled waiters that an entry, or the heap of deadlines, may carry before they are swept. */
const sweepAtLength = 16;

export class MemoryStore {
  readonly #copies: LocalCopies;
  /** Each request once: first for when it is nearly due, then for its deadline. */
  readonly #deadlines = new DeadlineQueue<GetRequest>();
  /** A get will most likely end without its values. */
  onNearlyDue: (request: GetRequest, nowMs: number, out: Out) => void = () => {};
  readonly #waiting = new LinkedList<GetRequest>();
  /** In this event, newest first, by `newer`: their callers read the values when it is over. */
  #settledNow: GetRequest | null = null;
  /** Settled requests whose deadlines are still in the heap. */
  #settledEarlyCount = 0;

  constructor(copies: LocalCopies) {
    this.#copies = copies;
  }

  /** Requests that have not been settled. */
  get waitingCount(): number {
    return this.#waiting.size;
  }

  /** Newest first. */
  waiting(): IterableIterator<GetRequest> {
    return this.#waiting.newestFirst();
  }

  /** Met already: nothing waits, and nobody need be told of it. */
  isMet(request: GetRequest): boolean {
    return this.#missingCount(request) === 0;
  }

  /** Those, and the ones that have been settled and have not read their values yet. */
  *reading(): IterableIterator<GetRequest> {
    yield* this.waiting();
    for (let one = this.#settledNow; one !== null; one = one.newer) yield one;
  }

  endEvent(): void {
    for (let one = this.#settledNow; one !== null;) {
      const { newer } = one;
      one.newer = null;
      one = newer;
    }
    this.#settledNow = null;
  }

  /** Settles at once when the request is met already, and then nothing waits. */
  add(request: GetRequest, nowMs: number, out: Out): void {
    request.missingCount = this.#missingCount(request);
    if (request.missingCount === 0) {
      this.#noteSettled(request);
      out.instruct(request);
      return;
    }
    for (const entry of request.entries) {
      // Its ref may go while the caller waits; what the caller waits for may not.
      entry.uses += 1;
      if (entry.state === "PENDING") addWaiter(entry, request);
      else if (!this.isReady(entry, request)) this.#fetch(entry, request, out);
      else if (this.#copies.size > 0) this.#copies.hold(entry, request);
    }
    if (request.deadlineMs !== Infinity) {
      this.#deadlines.add(
        request.failsEarly ? nearlyDueMs(request, nowMs) : request.deadlineMs,
        request,
      );
    }
    this.#waiting.add(request);
  }

  /** Whether the request may have it: there is an outcome, and its bytes are within reach. */
  isReady(entry: ObjectEntry, request: GetRequest): boolean {
    if (entry.state === "PENDING") return false;
    if (!(entry.outcome instanceof StoredValue)) return true;
    if (request.fetchPriority === null || this.#copies.isReadable(entry)) return true;
    // On the disk or not, it is on this node: who only waits need not have it in memory.
    return !request.failsEarly && this.#copies.isManagedHere(entry.outcome);
  }

  /** Called for each request that waits on an entry whose outcome, or copy, has just come. */
  wake(request: GetRequest, entry: ObjectEntry, out: Out): void {
    if (request.settled) return;
    if (!this.isReady(entry, request)) {
      // A copy came of what is being made anew: now it waits as for a first value.
      if (entry.state === "PENDING") addWaiter(entry, request);
      else this.#fetch(entry, request, out);
      return;
    }
    // Its other objects may take longer than this one stays by itself.
    if (this.#copies.size > 0) this.#copies.hold(entry, request);
    request.missingCount -= 1;
    const failed = request.failsEarly && entry.state !== "AVAILABLE";
    if (request.missingCount > 0 && !failed) return;
    out.instruct(request);
    this.#settle(request, out);
  }

  /** What could be read in place no longer can: who counts on it has it fetched. */
  fetchAnew(entry: ObjectEntry, out: Out): void {
    for (const request of this.#getsOf(entry)) {
      // A copy of it may be here already, for somebody else.
      if (this.isReady(entry, request)) {
        this.#copies.hold(entry, request);
        continue;
      }
      request.missingCount += 1;
      this.#fetch(entry, request, out);
    }
  }

  /** Its owner is about to tell it anew: who could have read it waits for that. */
  awaitAnew(entry: ObjectEntry): void {
    for (const request of this.#getsOf(entry)) {
      if (!this.isReady(entry, request)) continue;
      request.missingCount += 1;
      addWaiter(entry, request);
    }
  }

  /** There is no room on this node for what the request needs. */
  noRoom(request: GetRequest, entry: ObjectEntry, failure: FailedValue, out: Out): void {
    if (request.settled) return;
    request.onNoRoom(failure);
    if (request.failure === null) {
      this.wake(request, entry, out);
      return;
    }
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
      if (nowMs < request.deadlineMs) {
        this.#deadlines.add(request.deadlineMs, request);
        this.onNearlyDue(request, nowMs, out);
        continue;
      }
      request.timedOut = true;
      out.instruct(request);
      this.#settle(request, out);
    }
  }

  /** Each as often as it has the entry. A wait knows of it, whatever becomes of its bytes. */
  *#getsOf(entry: ObjectEntry): IterableIterator<GetRequest> {
    for (const request of this.waiting()) {
      if (!request.failsEarly) continue;
      for (const one of request.entries) if (one === entry) yield request;
    }
  }

  #fetch(entry: ObjectEntry, request: GetRequest, out: Out): void {
    const { owner, outcome } = entry;
    if (!(outcome instanceof StoredValue)) return;
    const priority = request.fetchPriority ?? 0;
    this.#copies.want({ owner, name: entry, value: outcome, priority }, request, out);
  }

  /** 0 as soon as that is known. */
  #missingCount(request: GetRequest): number {
    const { entries, failsEarly } = request;
    let missingCount = request.missingCount;
    for (let i = 0; i < entries.length && missingCount > 0; i++) {
      const entry = entries[i] as ObjectEntry;
      if (!this.isReady(entry, request)) continue;
      missingCount -= 1;
      if (failsEarly && entry.state !== "AVAILABLE") return 0;
    }
    return missingCount;
  }

  #noteSettled(request: GetRequest): void {
    request.settled = true;
    request.newer = this.#settledNow;
    this.#settledNow = request;
  }

  #settle(request: GetRequest, out: Out): void {
    this.#waiting.remove(request);
    this.#noteSettled(request);
    this.#release(request, out);
    if (request.deadlineMs === Infinity || request.timedOut) return;
    this.#settledEarlyCount += 1;
    const { size } = this.#deadlines;
    if (this.#settledEarlyCount < sweepAtLength || this.#settledEarlyCount * 2 < size) return;
    this.#deadlines.retain((other) => !other.settled);
    this.#settledEarlyCount = 0;
  }

  /** The copy stays for a while: the caller reads it when this event is over. */
  #letGo(entry: ObjectEntry, request: GetRequest): void {
    const copy = this.#copies.find(entry.owner, entry);
    if (copy !== undefined) this.#copies.letGo(copy, request);
  }

  /** The caller reads the values when this event is over: until then nothing may be freed. */
  #release(request: GetRequest, out: Out): void {
    let later: ObjectEntry[] | null = null;
    for (const entry of request.entries) {
      if (this.#copies.size > 0) this.#letGo(entry, request);
      if (entry.localRefs > 0) entry.uses -= 1;
      else (later ??= []).push(entry);
    }
    if (later !== null) out.instruct({ type: "releaseLater", entries: later });
  }
}

/** Early enough for answers, and not before half of its time. */
function nearlyDueMs({ deadlineMs }: GetRequest, nowMs: number): number {
  return Math.max(deadlineMs - leadMs, nowMs + (deadlineMs - nowMs) / 2);
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
