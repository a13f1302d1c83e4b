/**
 * Room in the node's shared memory: a thread asks for a chunk or an object's bytes → gets an extent
 * → its owner frees it, whole or in parts.
 *
 * State:  the allocator; per process its last answers, so that a repeated request gets the same
 *         extent.
 * In/out: allocateArena, freeArena, the end of a process → arenaAllocated; when it is full, evict.
 * Bounds: `answersMax` answers a process, none for processes that ended.
 * Errors: no room, and nothing to evict → OBJECT_STORE_FULL in the answer, at once.
 * Limits: what a dead worker had stays allocated until shutdown, because views on it may live in
 *         other threads; giving it back needs the pins of the object-store protocol.
 * Source: Ray plasma's create request queue; decisions on memory, 1.
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
  FreeArena,
} from "#engine/protocol/object.ts";
import { Allocator, extentAlignment, type Placed } from "./allocator.ts";

const answersMax = 64;

export class ObjectStore {
  readonly #self: Address;
  readonly #allocator: Allocator;
  /** Process → requestId → answer, oldest first; an inner map is never empty. */
  readonly #answers = new Map<Address, Map<number, ArenaAllocated>>();

  /** Gives up something that is here for convenience only; false when there is nothing. */
  readonly #evict: (out: Outbox<never>) => boolean;

  constructor(
    self: Address,
    segmentSizes: readonly number[],
    evict: (out: Outbox<never>) => boolean = () => false,
  ) {
    this.#evict = evict;
    this.#self = self;
    this.#allocator = new Allocator(segmentSizes);
  }

  get freeBytes(): number {
    return this.#allocator.freeBytes;
  }

  /** One object may have so many. */
  get largestBytes(): number {
    return this.#allocator.largestSegmentBytes();
  }

  /** In one piece, without what could be given up; for tests. */
  get largestFreeBytes(): number {
    return this.#allocator.largestFreeBytes();
  }

  /** Room for an object that comes from another node; null when there is none. */
  reserve(size: number, out: Outbox<never>): ArenaExtent | null {
    const placed = this.#allocate(size, out);
    return placed === null ? null : { size, ...placed };
  }

  free({ segment, offset, size }: ArenaExtent): void {
    // Segments beyond are a thread's own, made for one object: nothing to give out again.
    if (segment >= this.#allocator.segmentCount) return;
    this.#allocator.free(segment, offset, wholeUnits(size));
  }

  onAllocateArena(message: AllocateArena, out: Outbox<never>): void {
    const { from, requestId, size } = message;
    const known = this.#answers.get(from)?.get(requestId);
    if (known !== undefined) {
      out.send(from, known);
      return;
    }
    const placed = this.#allocate(size, out);
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

  onFreeArena(message: FreeArena): void {
    for (const extent of message.extents) this.free(extent);
  }

  /** The process has ended and repeats nothing. */
  forget(process: Address): void {
    this.#answers.delete(process);
  }

  checkInvariants(): void {
    this.#allocator.checkInvariants();
    for (const answers of this.#answers.values()) {
      assert(answers.size > 0 && answers.size <= answersMax, "answers kept for a process");
    }
  }

  #allocate(size: number, out: Outbox<never>): Placed | null {
    for (;;) {
      const placed = this.#allocator.allocate(wholeUnits(size));
      if (placed !== null || !this.#evict(out)) return placed;
    }
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
    const largestSegment = allocator.largestSegmentBytes();
    const asked = `no room for ${size} bytes in the object store`;
    const state =
      `capacity ${capacity} bytes in ${allocator.segmentCount} segment(s), ` +
      `free ${allocator.freeBytes}, largest free extent ${allocator.largestFreeBytes()}`;
    const advice =
      size > largestSegment
        ? `one value may have ${largestSegment} bytes at most: split it, ` +
          "or give init({ objectStoreMemory }) more"
        : "let go of refs to large values that are no longer needed (a ref is disposable), " +
          "or give init({ objectStoreMemory }) more";
    return engineError("OBJECT_STORE_FULL", `${asked}: ${state}; ${advice}`);
  }
}

/** Who cuts a chunk begins each object at a whole unit, so what lies between belongs to it. */
function wholeUnits(size: number): number {
  return Math.ceil(size / extentAlignment) * extentAlignment;
}
