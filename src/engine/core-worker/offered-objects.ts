/**
 * Values of this owner that its raylet may move: the store of the node is too full → those that
 * nobody reads in place at this moment, the oldest first. From then on they are *managed*: where
 * they lie is the raylet's business, and whoever needs their bytes, this process too, asks it.
 * When those are too few, also what other processes of the node were told the place of: here they
 * are managed from then on, and the raylet moves them once those others read them in place no more.
 *
 * State:  what one event offers. Who reads what is found in the tables when it is asked: so it
 *         costs nothing while there is room.
 * In/out: offerObjects, tasks that are pushed → objectsOffered, the outcome of each without a
 *         place; copies of which this process has no use are let go of at once.
 * Bounds: `bytes` of the question, one object at least.
 * Errors: none; with nothing to offer the answer is empty.
 * Source: Ray local_object_manager (spills what has one reference, the owner's pin).
 */
import { assert } from "#engine/common/assert.ts";
import { isOfStore, managedSegment } from "#engine/protocol/arena.ts";
import type { OfferObjects, SealedObject } from "#engine/protocol/copy.ts";
import { type Outcome, StoredValue } from "#engine/protocol/outcome.ts";
import type { SpilledPlace } from "#engine/protocol/spilled-place.ts";
import type { ActorSubmitter } from "./actor-submitter.ts";
import type { ArgumentsWritten } from "./calls.ts";
import { isTopLevel } from "./dependency-resolver.ts";
import type { LocalCopies } from "./local-copies.ts";
import type { MemoryStore } from "./memory-store.ts";
import type { ObjectEntry, TaskRecord } from "./object-entry.ts";
import type { ObjectSeals } from "./object-seals.ts";
import type { ObjectTable } from "./object-table.ts";
import { pendingTasks } from "./pending-tasks.ts";
import type { Out, ProcessContext } from "./process-context.ts";
import { toldWithCalls } from "./pushed-arguments.ts";
import type { ReferenceCounter } from "./reference-counter.ts";
import { manageArguments, nameArguments } from "./stored-arguments.ts";
import type { TaskLineage } from "./task-lineage.ts";
import type { TaskRetries } from "./task-retries.ts";
import type { TaskSubmitter } from "./task-submitter.ts";
import type { ToldValues } from "./told-values.ts";
import type { ViewCounts } from "./view-counts.ts";

export interface OfferingParts {
  readonly context: ProcessContext;
  readonly references: ReferenceCounter;
  readonly copies: LocalCopies;
  readonly seals: ObjectSeals;
  readonly objects: ObjectTable;
  readonly views: ViewCounts;
  readonly memoryStore: MemoryStore;
  readonly submitter: TaskSubmitter;
  readonly actors: ActorSubmitter;
  readonly told: ToldValues;
  readonly retries: TaskRetries;
  readonly lineage: TaskLineage;
}

export class OfferedObjects {
  readonly #parts: OfferingParts;
  /** Of this event, and of those the ones of which the raylet did not know. */
  readonly #sealed: SealedObject[] = [];
  readonly #told: SealedObject[] = [];
  readonly #offered: ObjectEntry[] = [];
  #isAsked = false;

  constructor(parts: OfferingParts) {
    this.#parts = parts;
  }

  onOfferObjects({ bytes }: OfferObjects, nowMs: number, out: Out): void {
    this.#parts.copies.hurry(nowMs);
    this.#parts.told.onStoreFull();
    let offeredBytes = 0;
    const told: [ObjectEntry, StoredValue][] = [];
    for (const [entry, value] of this.#candidates()) {
      if (offeredBytes >= bytes) break;
      if (this.#isTold(entry)) told.push([entry, value]);
      else {
        offeredBytes += value.size;
        this.#offer(entry, value);
      }
    }
    if (offeredBytes < bytes) offeredBytes += this.#offerWaiting(bytes - offeredBytes);
    let toldBytes = offeredBytes;
    for (const [entry, value] of told) {
      if (toldBytes >= bytes) break;
      toldBytes += value.size;
      this.#offer(entry, value);
    }
    // What is left has views, or is used otherwise: perhaps nobody looks at them any more.
    if (offeredBytes < bytes) out.instruct({ type: "hurryCollection" });
    this.#isAsked = true;
    this.flush(out);
  }

  /**
   * A task goes to its executor, and some of its arguments are managed: so are all then, as far as
   * nobody reads them in place. Else it would hold some in the store, out of the raylet's sight,
   * while it stands in line for the others, and so would each of those it waits for.
   */
  beforePush(task: TaskRecord): void {
    const { args, refs } = task;
    const entries = (refs ?? []).filter((_, i) => isTopLevel(args.specials[i]));
    if (!isManaged(args) && !entries.some((entry) => isManaged(entry?.outcome))) return;
    const { views } = this.#parts;
    let inUse: Set<ObjectEntry> | null = null;
    for (const entry of entries) {
      const { outcome } = entry ?? {};
      if (!entry || !(outcome instanceof StoredValue)) continue;
      if (!this.#isMovable(entry, outcome) || views.has(entry)) continue;
      inUse ??= this.#inUse();
      if (!inUse.has(entry)) this.#offer(entry, outcome);
    }
    this.#offerArguments(task);
  }

  /** A value that was put while memory had no room for it: managed from the start. */
  onWritten(entry: ObjectEntry, place: SpilledPlace, out: Out): void {
    const { references, seals } = this.#parts;
    const { serial, index } = entry;
    references.name(entry);
    references.directory.offer(entry, 0);
    const object = { serial, index, version: 0 };
    seals.written(object, place, (later) => references.directory.onOffered([entry], later), out);
  }

  /** … as arguments of a call. */
  onArgumentsWritten({ task, place }: ArgumentsWritten, out: Out): void {
    const entry = nameArguments(task, this.#parts.references);
    assert(entry !== undefined, "what was written is no part of the call");
    this.onWritten(entry, place, out);
  }

  /** Ends an event that has offered something. */
  flush(out: Out): void {
    const count = this.#sealed.length + this.#told.length;
    if (!this.#isAsked && count === 0) return;
    this.#isAsked = false;
    const offered = this.#offered.splice(0);
    const { directory } = this.#parts.references;
    const objects = this.#sealed.splice(0);
    const told = this.#told.splice(0);
    const then = (later: Out): void => directory.onOffered(offered, later);
    this.#parts.seals.offer({ objects, told }, then, out);
  }

  #offer(entry: ObjectEntry, value: StoredValue): void {
    const { context, references } = this.#parts;
    const { owner, serial, index } = entry;
    const { segment, offset, size, specials, version } = value;
    const list = this.#isTold(entry) ? this.#told : this.#sealed;
    list.push({ owner, serial, index, version, extent: { segment, offset, size } });
    references.name(entry);
    const { raylet } = context;
    entry.outcome = new StoredValue(managedSegment, 0, size, specials, raylet, version);
    if (references.directory.offer(entry, version)) this.#offered.push(entry);
  }

  /** Encoded arguments of tasks that nobody was given; how many bytes there were of them. */
  #offerWaiting(bytes: number): number {
    const { actors, lineage } = this.#parts;
    let offeredBytes = 0;
    for (const task of pendingTasks(this.#parts)) {
      if (offeredBytes >= bytes) return offeredBytes;
      // Those of a constructor are told once, before it is known who gets them.
      const isCreation = task.actor !== null && actors.clientOfTask(task).creation?.task === task;
      if (!isCreation) offeredBytes += this.#offerArguments(task);
    }
    for (const { task } of lineage.all()) {
      if (offeredBytes >= bytes) return offeredBytes;
      offeredBytes += this.#offerArguments(task);
    }
    return offeredBytes;
  }

  /** Nobody reads them while the task is in no stream: what reads them copies. 0 if they stay. */
  #offerArguments(task: TaskRecord): number {
    const { args, stream } = task;
    if (stream !== null || !(args instanceof StoredValue) || !this.#isInStore(args)) return 0;
    const { context, references } = this.#parts;
    const entry = nameArguments(task, references);
    if (!(entry?.outcome instanceof StoredValue)) return 0;
    if (!this.#isMovable(entry, entry.outcome)) return 0;
    this.#offer(entry, entry.outcome);
    manageArguments(task, context.raylet);
    return args.size;
  }

  *#candidates(): IterableIterator<[ObjectEntry, StoredValue]> {
    const { objects, views } = this.#parts;
    const inUse = this.#inUse();
    for (const entry of objects.values()) {
      const { outcome } = entry;
      if (!(outcome instanceof StoredValue) || !this.#isMovable(entry, outcome)) continue;
      if (!inUse.has(entry) && !views.has(entry)) yield [entry, outcome];
    }
  }

  /** Ours, and here. */
  #isMovable(entry: ObjectEntry, value: StoredValue): boolean {
    const { context, references } = this.#parts;
    const { owner, state } = entry;
    if (owner !== context.self || state !== "AVAILABLE") return false;
    if (!this.#isInStore(value)) return false;
    // Its raylet is being told another thing of it.
    return references.directory.locationsOf(entry)?.registration !== "asked";
  }

  #isInStore(value: StoredValue): boolean {
    const { context, copies } = this.#parts;
    return copies.isNear(context.self, value) && isOfStore(value.segment);
  }

  /** Others of this node may read it in place, for as long as they hold it or longer. */
  #isTold(entry: ObjectEntry): boolean {
    const { references } = this.#parts;
    if (references.wasHeldByDead(entry)) return true;
    for (const holder of entry.holders?.keys() ?? []) {
      if (references.isOfThisNode(holder)) return true;
    }
    return false;
  }

  /** What a call waits to read, or is about to; what was pushed with its place and not answered. */
  #inUse(): Set<ObjectEntry> {
    const { memoryStore } = this.#parts;
    const inUse = new Set(toldWithCalls(this.#parts));
    for (const { entries, failsEarly } of memoryStore.reading()) {
      // A wait reads nothing.
      for (const entry of failsEarly ? entries : []) inUse.add(entry);
    }
    return inUse;
  }
}

function isManaged(value: Outcome): boolean {
  return value instanceof StoredValue && value.segment === managedSegment;
}
