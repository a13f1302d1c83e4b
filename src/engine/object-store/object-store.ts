/**
 * Room in the node's shared memory: a thread asks for a chunk or an object's bytes → gets an extent
 * → its owner frees it, whole or in parts.
 *
 * State:  the allocator; which process has what; per process its last answers, so that a repeated
 *         request gets the same extent; requests that wait for room, first come first served; since
 *         when nothing that waits has got any.
 * In/out: allocateArena, arenaGiven, freeArena, overflowMade, the end of a process →
 *         arenaAllocated; when it is full, evict; when it stays full, MakeOverflow.
 * Bounds: `answersMax` answers a process, none for processes that ended; a result that waits is one
 *         of a task that runs, and so is one that was freed before it was given.
 * Errors: no room, and nothing to evict → OBJECT_STORE_FULL or OUT_OF_DISK in the answer: at once,
 *         or for who may wait after `waitMs`.
 * Source: Ray plasma's create request queue, oom_grace_period; decisions on memory, 1.
 */
import { assert } from "#engine/common/assert.ts";
import { engineError } from "#engine/common/error-type.ts";
import type { EngineError } from "#engine/common/error-type.ts";
import type { Address } from "#engine/common/ids.ts";
import type { Outbox } from "#engine/protocol/machine.ts";
import type {
  AllocateArena,
  ArenaAllocated,
  ArenaExtent,
  ArenaGiven,
  FreeArena,
} from "#engine/protocol/object.ts";
import { Allocator, extentAlignment, type Placed } from "./allocator.ts";
import { HeldExtents } from "./held-extents.ts";
import { Overflow, type OverflowInstruction, type OverflowMade } from "./overflow.ts";

const answersMax = 64;
/** A process that had no memory is not asked again sooner. */
const overflowRetryMs = 100;
/** Of the grace: long enough for others to say what could be spilled instead. */
const soonShare = 1 / 16;
/** Of the time that a request waits: so much longer, up to twice, when another has given up. */
const patience = 8;

interface Waiting {
  readonly message: AllocateArena;
  readonly sinceMs: number;
  deadlineMs: number;
}

/** Why what lies here stays: null if nothing is wrong. */
export type DiskTrouble = () => { readonly kind: string; readonly text: string } | null;

type Out = Outbox<OverflowInstruction>;

interface Asked {
  readonly size: number;
  readonly mayOverflow: boolean;
}

export class ObjectStore {
  readonly #self: Address;
  readonly #allocator: Allocator;
  readonly #held = new HeldExtents();
  /** Freed by their owner before we heard from the process that had written and given them: who. */
  readonly #freedEarly = new Map<string, Address>();
  /** Offered to us by their owner before that: by who wrote them, the places. */
  readonly #keptEarly = new Map<Address, Set<string>>();
  /** Process → requestId → answer, oldest first; an inner map is never empty. */
  readonly #answers = new Map<Address, Map<number, ArenaAllocated>>();

  /** Gives up something that is here for convenience only; false when there is nothing. */
  readonly #evict: (out: Outbox<never>) => boolean;
  readonly #diskTrouble: DiskTrouble;
  readonly #waitMs: number;
  readonly #overflow: Overflow;
  readonly #overflowGraceMs: number;
  readonly #isMakingRoom: () => boolean;
  /** From then on what waits may lie beyond the store; Infinity while all get room in it. */
  #overflowsFromMs = Infinity;
  /** Who comes before that waits for a part of the grace: another lay beyond it a moment ago. */
  #overflowsSoonUntilMs = -Infinity;
  #callsForOffers = false;
  #freedCount = 0;
  #waiting: Waiting[] = [];
  /** Of requests that were refused and do not wait, since this was last looked at. */
  #refusedBytes = 0;

  constructor(
    self: Address,
    segmentSizes: readonly number[],
    options: {
      readonly evict?: (out: Outbox<never>) => boolean;
      readonly diskTrouble?: DiskTrouble;
      readonly waitMs?: number;
      readonly overflowBytesMax?: number;
      readonly overflowGraceMs?: number;
      /** Something is under way that will free some. */
      readonly isMakingRoom?: () => boolean;
    } = {},
  ) {
    const { evict = () => false, diskTrouble = () => null, waitMs = 0 } = options;
    const { overflowBytesMax = 0, overflowGraceMs = 0, isMakingRoom = () => false } = options;
    this.#overflow = new Overflow(overflowBytesMax);
    this.#overflowGraceMs = overflowGraceMs;
    this.#isMakingRoom = isMakingRoom;
    this.#evict = evict;
    this.#diskTrouble = diskTrouble;
    this.#waitMs = waitMs;
    this.#self = self;
    this.#allocator = new Allocator(segmentSizes);
  }

  get capacityBytes(): number {
    return this.#allocator.capacityBytes;
  }

  /** What those wait for that wait. */
  get waitingBytes(): number {
    return this.#waiting.reduce((sum, { message }) => sum + message.size, 0);
  }

  get waitingCount(): number {
    return this.#waiting.length;
  }

  /** What the next request of this kind would need, asked for once. */
  takeRefusedBytes(): number {
    const bytes = this.#refusedBytes;
    this.#refusedBytes = 0;
    return bytes;
  }

  /** Whether others are to be asked again what could be spilled, since this was last looked at. */
  takeCallForOffers(): boolean {
    const isCalled = this.#callsForOffers;
    this.#callsForOffers = false;
    return isCalled;
  }

  get freeBytes(): number {
    return this.#allocator.freeBytes;
  }

  /** How often something was freed: there may be more in one piece, though not in all. */
  get freedCount(): number {
    return this.#freedCount;
  }

  /** Beside what it has. */
  get overflowBytes(): number {
    return this.#overflow.usedBytes;
  }

  /** In this event. */
  get hasFreedOverflow(): boolean {
    return this.#overflow.hasFreed;
  }

  /** Whether so large an object can ever be here, or beside it. */
  mayHold(size: number, mayOverflow = true): boolean {
    if (size <= this.#allocator.largestSegmentBytes()) return true;
    return mayOverflow && this.#overflow.mayHold(size);
  }

  /** In one piece, without what could be given up; for tests. */
  get largestFreeBytes(): number {
    return this.#allocator.largestFreeBytes();
  }

  /**
   * Room for an object that comes from another node or the disk; null when there is none yet.
   * `mayOverflow`: it is needed together with others, so that room for one more may not be enough.
   */
  reserve(asked: Asked, nowMs: number, out: Out): ArenaExtent | null {
    const placed = this.#placeWaiting(asked, nowMs, out);
    return placed === null ? null : { size: asked.size, ...placed };
  }

  free(extent: ArenaExtent): void {
    if (!this.#isHere(extent)) return;
    const whole = wholeExtent(extent);
    this.#held.remove(whole);
    this.#freedCount += 1;
    if (this.#overflow.has(extent.segment)) this.#overflow.free(extent.segment);
    else this.#allocator.free(whole.segment, whole.offset, whole.size);
  }

  /** It is no process's any more: whoever keeps it frees it. `by`: who says so. */
  keep(extent: ArenaExtent, by: Address): void {
    if (!this.#isHere(extent)) return;
    const holder = this.#held.holderOf(extent);
    if (holder !== undefined && holder !== by) {
      const places = this.#keptEarly.get(holder) ?? new Set();
      this.#keptEarly.set(holder, places.add(placeOf(extent)));
    }
    this.#held.remove(wholeExtent(extent));
  }

  /** What `process` has, and nothing of what is in `kept`, is free again. */
  reclaim(process: Address, kept: readonly ArenaExtent[]): void {
    for (const extent of this.#held.of(process, kept.map(wholeExtent))) this.free(extent);
    for (const [place, holder] of this.#freedEarly) {
      if (holder === process) this.#freedEarly.delete(place);
    }
    this.#keptEarly.delete(process);
  }

  onAllocateArena(message: AllocateArena, nowMs: number, out: Out): void {
    const { from, requestId, size, mayWait } = message;
    const known = this.#answers.get(from)?.get(requestId);
    if (known !== undefined) {
      out.send(from, known);
      return;
    }
    if (this.#waiting.some((one) => one.message.requestId === requestId && isOf(one, from))) return;
    const canWait = mayWait && this.#waitMs > 0 && this.mayHold(size);
    if (canWait) {
      // Those who came first are served first.
      this.#waiting.push({ message, sinceMs: nowMs, deadlineMs: nowMs + this.#waitMs });
      if (this.#waiting.length === 1) this.#serve(nowMs, out);
      return;
    }
    const placed = this.#allocate(size, out);
    if (placed === null) this.#refusedBytes = Math.max(this.#refusedBytes, size);
    this.#answer(message, placed, out);
  }

  /** Towards the end of an event: what was freed goes to who waits. */
  settle(nowMs: number, out: Out): void {
    this.#serve(nowMs, out);
  }

  /** Ends it. When nobody waits for room, `pullsWait` or results, the grace begins anew. */
  settleOverflow(pullsWait: boolean, out: Out): void {
    if (!pullsWait && this.#waiting.length === 0) this.#overflowsFromMs = Infinity;
    this.#overflow.settle(out);
  }

  /** True if it is there for who waits first. */
  onOverflowMade(event: OverflowMade, nowMs: number): boolean {
    const isMade = this.#overflow.onMade(event);
    // There is none now; perhaps later.
    const waitMs = Math.max(this.#overflowGraceMs, overflowRetryMs);
    if (!isMade) this.#overflowsFromMs = nowMs + waitMs;
    return isMade;
  }

  nextDeadlineMs(): number {
    return this.#waiting[0]?.deadlineMs ?? Infinity;
  }

  /** When who waits may lie beyond the store, after now; Infinity if that is not to come. */
  nextOverflowMs(nowMs: number): number {
    return this.#overflowsFromMs > nowMs ? this.#overflowsFromMs : Infinity;
  }

  onDeadline(nowMs: number, out: Out): void {
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      if (first.deadlineMs > nowMs) return;
      this.#waiting.shift();
      this.#answer(first.message, null, out);
      // Who is refused gives back what else it was to have: perhaps that is enough for others.
      const untilMs = nowMs + this.#waitMs / patience;
      for (const other of this.#waiting) {
        const latestMs = Math.max(other.deadlineMs, other.sinceMs + 2 * this.#waitMs);
        other.deadlineMs = Math.min(Math.max(other.deadlineMs, untilMs), latestMs);
      }
    }
  }

  /** What it has grown by, and how far it may, if that is why it grows no further. */
  get beyond(): string {
    const { usedBytes, bytesMax } = this.#overflow;
    if (usedBytes === 0) return "";
    return `; ${usedBytes} bytes lie beside it, systemConfig.overflowBytesMax is ${bytesMax}`;
  }

  /** Why there is no room: the disk, if that is what keeps the store full. */
  shortage(asked: string, advice: string, subject = ""): EngineError {
    const trouble = this.#diskTrouble();
    if (trouble === null) return engineError("OBJECT_STORE_FULL", `${asked}; ${advice}`, subject);
    const text = `${asked}, and nothing can be spilled to the disk (${trouble.text})`;
    const type = trouble.kind === "full" ? "OUT_OF_DISK" : "OBJECT_STORE_FULL";
    return engineError(type, `${text}; ${advice}`, subject);
  }

  /** The news that it was given to who frees it may be on its way still, on another link. */
  onFreeArena({ from, extents }: FreeArena): void {
    for (const extent of extents) {
      const holder = this.#held.holderOf(extent);
      if (holder === undefined || holder === from) this.free(extent);
      else this.#freedEarly.set(placeOf(extent), holder);
    }
  }

  /** A result is its owner's; `isOver`: nobody of that owner is left, nor anything that it had. */
  onArenaGiven({ from, to, extents }: ArenaGiven, isOver: boolean): void {
    const keptEarly = this.#keptEarly.get(from);
    for (const extent of extents) {
      if (!this.#isHere(extent)) continue;
      // It is the raylet's by now, or what it has made of that room.
      if (keptEarly?.delete(placeOf(extent)) === true) continue;
      if (this.#freedEarly.delete(placeOf(extent)) || isOver) this.free(extent);
      else this.#held.move(to, wholeExtent(extent));
    }
  }

  /** The process has ended and repeats nothing. */
  forget(process: Address): void {
    this.#answers.delete(process);
    this.#waiting = this.#waiting.filter((one) => !isOf(one, process));
  }

  checkInvariants(): void {
    this.#allocator.checkInvariants();
    this.#held.checkInvariants();
    this.#overflow.checkInvariants();
    for (const answers of this.#answers.values()) {
      assert(answers.size > 0 && answers.size <= answersMax, "answers kept for a process");
    }
  }

  #serve(nowMs: number, out: Out): void {
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      const { size } = first.message;
      // Else a disk that is full would go unnoticed until memory is, too.
      const mayOverflow = this.#diskTrouble() === null;
      const placed = this.#placeWaiting({ size, mayOverflow }, nowMs, out);
      if (placed === null) return;
      this.#waiting.shift();
      this.#answer(first.message, placed, out);
    }
  }

  /** For who may wait: in the store, or else beyond it once that has been in vain for a while. */
  #placeWaiting({ size, mayOverflow }: Asked, nowMs: number, out: Out): Placed | null {
    const placed = this.#allocate(size, out);
    if (placed !== null) {
      this.#overflowsFromMs = Infinity;
      this.#overflowsSoonUntilMs = -Infinity;
      return placed;
    }
    if (!mayOverflow) return null;
    const graceMs = this.#overflowGraceMs;
    const beyond = this.#overflow.take(size);
    if (beyond !== null) {
      this.#overflowsSoonUntilMs = nowMs + graceMs;
      return beyond;
    }
    if (this.#overflowsFromMs === Infinity) {
      const isSoon = nowMs < this.#overflowsSoonUntilMs;
      this.#callsForOffers ||= isSoon;
      this.#overflowsFromMs = nowMs + (isSoon ? graceMs * soonShare : graceMs);
    }
    const isTooLarge = size > this.#allocator.largestSegmentBytes();
    const isStuck = nowMs >= this.#overflowsFromMs && !this.#isMakingRoom();
    if (isTooLarge || isStuck) this.#overflow.request(size, out);
    return null;
  }

  #allocate(size: number, out: Outbox<never>): Placed | null {
    for (;;) {
      const placed = this.#allocator.allocate(wholeUnits(size));
      if (placed !== null || !this.#evict(out)) return placed;
    }
  }

  #isHere({ segment }: ArenaExtent): boolean {
    // Others are a thread's own, made for one object: nothing to give out again.
    return segment < this.#allocator.segmentCount || this.#overflow.has(segment);
  }

  #answer({ from, requestId, size }: AllocateArena, placed: Placed | null, out: Outbox<never>) {
    if (placed !== null) this.#held.add(from, wholeExtent({ ...placed, size }));
    const answer: ArenaAllocated = {
      type: "arenaAllocated",
      from: this.#self,
      requestId,
      segment: placed?.segment ?? 0,
      offset: placed?.offset ?? 0,
      error: placed === null ? this.#fullError(size) : null,
    };
    this.#remember(from, answer);
    out.send(from, answer);
  }

  #remember(process: Address, answer: ArenaAllocated): void {
    let answers = this.#answers.get(process);
    if (answers === undefined) {
      answers = new Map();
      this.#answers.set(process, answers);
    }
    answers.set(answer.requestId, answer);
    if (answers.size <= answersMax) return;
    for (const oldest of answers.keys()) {
      answers.delete(oldest);
      break;
    }
  }

  #fullError(size: number): EngineError {
    const allocator = this.#allocator;
    const capacity = allocator.capacityBytes;
    const asked = `no room for ${size} bytes in the object store`;
    const state =
      `capacity ${capacity} bytes in ${allocator.segmentCount} segment(s), ` +
      `free ${allocator.freeBytes}, largest free extent ${allocator.largestFreeBytes()}` +
      this.beyond;
    const most = Math.max(allocator.largestSegmentBytes(), this.#overflow.largestBytes);
    const advice = !this.mayHold(size)
      ? `one value may have ${most} bytes at most: split it, ` +
        "or give init({ objectStoreMemory }) more"
      : "let go of refs to large values that are no longer needed (a ref is disposable), " +
        "or give init({ objectStoreMemory }) more";
    return this.shortage(`${asked}: ${state}`, advice);
  }
}

function isOf({ message }: Waiting, process: Address): boolean {
  return message.from === process;
}

function wholeExtent({ segment, offset, size }: ArenaExtent): ArenaExtent {
  return { segment, offset, size: wholeUnits(size) };
}

function placeOf({ segment, offset }: ArenaExtent): string {
  return `${segment}:${offset}`;
}

/** Who cuts a chunk begins each object at a whole unit, so what lies between belongs to it. */
function wholeUnits(size: number): number {
  return Math.ceil(size / extentAlignment) * extentAlignment;
}
