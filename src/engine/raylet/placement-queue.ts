/**
 * Who waits for a place, and in which order: by class (kind, depth, resources), first come first
 * served inside a class; between classes the deeper first, then the one whose first member is
 * oldest.
 *
 * State:  classes by key; a class in the map is never empty. Members wait or are gone, never
 *         placed.
 * In/out: add, remove, inOrder, called by Placement.
 * Bounds: as many members as Placement admits; `inOrder` is O(k log k) for k classes.
 * Errors: none.
 */
import { assert } from "#engine/common/assert.ts";
import { Deque } from "#engine/common/deque.ts";
import type { Address, WorkerId } from "#engine/common/ids.ts";
import { formatResources, requestKey } from "#engine/common/resources.ts";
import type { ResourceRequest } from "#engine/common/resources.ts";
import type { SchedulingStrategy } from "#engine/common/task-spec.ts";
import type { OverflowInstruction } from "#engine/object-store/overflow.ts";
import type { FrameBytes } from "#engine/protocol/arena.ts";
import type { Outbox } from "#engine/protocol/machine.ts";
import type { ArenaExtent } from "#engine/protocol/object.ts";
import type { Allocation, LocalResources } from "./local-resources.ts";
import type { SpillInstruction } from "./spill-io.ts";
import type { ExitNode, PooledWorker, WorkerInstruction, WorkKind } from "./worker-pool.ts";

/** The kind decides whether a change of reason is worth a notice; the text is a snapshot. */
export interface PendingReason {
  readonly kind: "infeasible" | "busy" | "held" | "set aside" | "threads" | "starting";
  readonly text: string;
}

/** In words when somebody asks: what waits is looked at with every change of what is in use. */
export class LackOfResources implements PendingReason {
  readonly kind: "busy" | "held";
  readonly #ledger: LocalResources;
  readonly #wanted: ResourceRequest;
  readonly #held: string;

  /** `held`: by whom that waits itself; "" if by others, too. */
  constructor(ledger: LocalResources, wanted: ResourceRequest, held: string) {
    this.kind = held === "" ? "busy" : "held";
    this.#ledger = ledger;
    this.#wanted = wanted;
    this.#held = held;
  }

  get text(): string {
    const use = this.#ledger.describeUse(this.#wanted);
    const text = `waits for ${formatResources(this.#wanted)}; ${use}`;
    return this.#held === "" ? text : `${text}; ${this.#held}`;
  }
}

/** Copy what has come from another node into the arena. */
export interface StoreChunk {
  readonly type: "storeChunk";
  readonly bytes: FrameBytes;
  readonly to: ArenaExtent;
}

/** Segments that the dead process had made for itself, but for those that are still read. */
export interface DropSegments {
  readonly type: "dropSegments";
  readonly workerId: WorkerId;
  readonly kept: readonly number[];
}

export type RayletInstruction =
  | WorkerInstruction
  | ExitNode
  | StoreChunk
  | DropSegments
  | OverflowInstruction
  | SpillInstruction;
export type RayletOut = Outbox<RayletInstruction>;

/** Notices of a changed reason that one claim may cause. */
const noticesMax = 16;

/**
 * A lease or an actor that asks for resources and a thread. Placement tells it what became of that.
 */
export abstract class Claim {
  readonly kind: WorkKind;
  readonly requester: Address;
  /** Name of the task or class, for messages. */
  readonly what: string;
  readonly resources: ResourceRequest;
  readonly strategy: SchedulingStrategy;
  readonly depth: number;
  readonly classKey: string;
  /** `thread`: it has its resources and waits for a thread that starts. */
  place: "none" | "infeasible" | "waiting" | "thread" | "placed" = "none";
  sinceMs = 0;
  order = 0;
  allocation: Allocation | null = null;
  worker: PooledWorker | null = null;
  hasBeenBlocked = false;
  reason: PendingReason | null = null;
  #noticeCount = 0;

  constructor(fields: {
    kind: WorkKind;
    requester: Address;
    what: string;
    resources: ResourceRequest;
    strategy: SchedulingStrategy;
    depth: number;
  }) {
    this.kind = fields.kind;
    this.requester = fields.requester;
    this.what = fields.what;
    this.resources = fields.resources;
    this.strategy = fields.strategy;
    this.depth = fields.depth;
    this.classKey = `${this.kind}|${this.depth}|${requestKey(this.resources)}`;
  }

  abstract onPlaced(out: RayletOut): void;
  abstract onPending(reason: PendingReason, out: RayletOut): void;
  abstract onRefused(text: string, out: RayletOut): void;

  setReason(reason: PendingReason, out: RayletOut): void {
    const isNews = this.reason?.kind !== reason.kind;
    this.reason = reason;
    if (!isNews || this.#noticeCount >= noticesMax) return;
    this.#noticeCount += 1;
    this.onPending(reason, out);
  }
}

export class ClaimClass {
  readonly key: string;
  readonly depth: number;
  /** Oldest first; those that wait no more are skipped, and swept when they are most of it. */
  readonly #members = new Deque<Claim>();
  #size = 0;
  /** Those that have not been told why they wait. */
  #newcomers: Claim[] = [];
  #reason: PendingReason | null = null;

  constructor({ classKey, depth }: Claim) {
    this.key = classKey;
    this.depth = depth;
  }

  get size(): number {
    return this.#size;
  }

  add(claim: Claim): void {
    this.#members.push(claim);
    this.#newcomers.push(claim);
    this.#size += 1;
  }

  /** To be called once for a member that waits no more. */
  onGone(): void {
    this.#size -= 1;
    if (this.#members.size > 2 * this.#size + 16) this.#members.retain(isWaiting);
  }

  head(): Claim {
    for (;;) {
      const first = this.#members.peek();
      assert(first !== undefined, "an empty class in the queue");
      if (isWaiting(first)) return first;
      this.#members.shift();
    }
  }

  setReason(reason: PendingReason, out: RayletOut): void {
    const isNews = this.#reason?.kind !== reason.kind;
    this.#reason = reason;
    for (const claim of isNews ? this.#members : this.#newcomers) {
      if (isWaiting(claim)) claim.setReason(reason, out);
    }
    this.#newcomers = [];
  }

  *[Symbol.iterator](): IterableIterator<Claim> {
    for (const claim of this.#members) if (isWaiting(claim)) yield claim;
  }
}

export class PlacementQueue {
  readonly #classes = new Map<string, ClaimClass>();
  #nextOrder = 1;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(claim: Claim, nowMs: number): void {
    claim.order = this.#nextOrder;
    this.#nextOrder += 1;
    claim.sinceMs = nowMs;
    claim.place = "waiting";
    const key = claim.classKey;
    let group = this.#classes.get(key);
    if (group === undefined) {
      group = new ClaimClass(claim);
      this.#classes.set(key, group);
    }
    group.add(claim);
    this.#size += 1;
  }

  remove(claim: Claim): void {
    const group = this.#classes.get(claim.classKey);
    assert(group !== undefined && isWaiting(claim), "a claim that is not in the queue");
    claim.place = "none";
    group.onGone();
    if (group.size === 0) this.#classes.delete(group.key);
    this.#size -= 1;
  }

  inOrder(): ClaimClass[] {
    const classes = [...this.#classes.values()];
    if (classes.length > 1) {
      classes.sort((a, b) =>
        a.depth === b.depth ? a.head().order - b.head().order : b.depth - a.depth,
      );
    }
    return classes;
  }

  *claims(): IterableIterator<Claim> {
    for (const group of this.#classes.values()) yield* group;
  }

  checkInvariants(): void {
    let size = 0;
    for (const [key, group] of this.#classes) {
      assert(group.size > 0, "an empty class in the queue");
      let members = 0;
      let lastOrder = 0;
      for (const claim of group) {
        assert(claim.classKey === key, "a claim in another's class");
        assert(claim.allocation === null && claim.worker === null, "a placed claim waits");
        assert(claim.order > lastOrder, "order in a class");
        lastOrder = claim.order;
        members += 1;
      }
      assert(members === group.size, "count of a class");
      size += members;
    }
    assert(size === this.#size, "count of waiting claims");
  }
}

function isWaiting(claim: Claim): boolean {
  return claim.place === "waiting";
}
