/**
 * Values of this owner that its raylet may move: the store of the node is too full → those that
 * nobody reads in place at this moment, the oldest first. From then on they are *managed*: where
 * they lie is the raylet's business, and whoever needs their bytes, this process too, asks it.
 *
 * State:  none of its own. Who reads what is found in the tables when it is asked: so it costs
 *         nothing while there is room.
 * In/out: offerObjects → objectsOffered, the outcome of each without a place; copies of which this
 *         process has no use are let go of at once.
 * Bounds: `bytes` of the question, one object at least.
 * Errors: none; with nothing to offer the answer is empty.
 * Source: Ray local_object_manager (spills what has one reference, the owner's pin).
 */
import { managedSegment, ownSegmentsFrom } from "#engine/protocol/arena.ts";
import type { OfferObjects, SealedObject } from "#engine/protocol/copy.ts";
import { StoredValue } from "#engine/protocol/outcome.ts";
import type { ActorSubmitter } from "./actor-submitter.ts";
import { isTopLevel } from "./dependency-resolver.ts";
import type { LocalCopies } from "./local-copies.ts";
import type { MemoryStore } from "./memory-store.ts";
import type { ObjectEntry, TaskRecord } from "./object-entry.ts";
import type { ObjectSeals } from "./object-seals.ts";
import type { ObjectTable } from "./object-table.ts";
import type { Out, ProcessContext } from "./process-context.ts";
import type { ReferenceCounter } from "./reference-counter.ts";
import type { TaskSubmitter } from "./task-submitter.ts";
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
}

export class OfferedObjects {
  readonly #parts: OfferingParts;

  constructor(parts: OfferingParts) {
    this.#parts = parts;
  }

  onOfferObjects({ bytes }: OfferObjects, nowMs: number, out: Out): void {
    const { context, references, copies, seals } = this.#parts;
    copies.hurry(nowMs);
    const offered: ObjectEntry[] = [];
    const sealed: SealedObject[] = [];
    let offeredBytes = 0;
    for (const [entry, value] of this.#candidates()) {
      if (offeredBytes >= bytes) break;
      const { owner, serial, index } = entry;
      const { segment, offset, size, specials, version } = value;
      offered.push(entry);
      sealed.push({ owner, serial, index, version, extent: { segment, offset, size } });
      offeredBytes += size;
      references.name(entry);
      const { raylet } = context;
      entry.outcome = new StoredValue(managedSegment, 0, size, specials, raylet, version);
    }
    // What is left has views, or is used otherwise: perhaps nobody looks at them any more.
    if (offeredBytes < bytes) out.instruct({ type: "hurryCollection" });
    const onKept = references.directory.offer(offered);
    seals.offer(sealed, onKept, out);
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

  /** Ours, here, and nobody else of this node was told of the place. */
  #isMovable(entry: ObjectEntry, value: StoredValue): boolean {
    const { context, references, copies } = this.#parts;
    const { owner, state, holders } = entry;
    if (owner !== context.self || state !== "AVAILABLE") return false;
    if (!copies.isNear(owner, value) || value.segment >= ownSegmentsFrom) return false;
    for (const holder of holders?.keys() ?? []) if (references.isOfThisNode(holder)) return false;
    // Its raylet is being told another thing of it.
    return references.directory.locationsOf(entry)?.registration !== "asked";
  }

  /** What a call waits to read, and what was pushed with its place to who has not answered. */
  #inUse(): Set<ObjectEntry> {
    const { memoryStore, submitter, actors } = this.#parts;
    const inUse = new Set<ObjectEntry>();
    for (const { entries, failsEarly } of memoryStore.waiting()) {
      // A wait reads nothing.
      for (const entry of failsEarly ? entries : []) inUse.add(entry);
    }
    for (const task of submitter.unfinished()) if (task.stream !== null) addArguments(task, inUse);
    for (const task of actors.unfinished()) {
      // The arguments of a constructor are told once, before it is known who gets them.
      const isCreation = actors.clientOfTask(task).creation?.task === task;
      if (task.stream !== null || isCreation) addArguments(task, inUse);
    }
    return inUse;
  }
}

/** Their values travel with the call; what other refs mean its executor asks for by name. */
function addArguments({ args, refs }: TaskRecord, inUse: Set<ObjectEntry>): void {
  for (const [i, entry] of (refs ?? []).entries()) {
    if (entry !== null && isTopLevel(args.specials[i])) inUse.add(entry);
  }
}
