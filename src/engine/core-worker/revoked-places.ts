/**
 * Values of this node whose places are told to nobody any more, so that the raylet may move them:
 * from then on this process asks for them as for any managed value, and says of each when nothing
 * here reads it in place: no view, no argument that was told with a call, on either end of it, and
 * no answer of its owner that is under way and may tell it.
 *
 * State:  those that something here still reads, each once.
 * In/out: revokePlaces, ends of uses → outcomes without a place, placesRevoked.
 * Bounds: what this process reads in place at that moment.
 * Errors: none; a repeat gets the present answer. Who keeps a view says nothing until it goes.
 */
import { objectKey, type WorkerId } from "#engine/common/ids.ts";
import { managedSegment } from "#engine/protocol/arena.ts";
import type { OwnedCopy, RevokePlaces } from "#engine/protocol/copy.ts";
import { type Encoded, type Outcome, StoredValue } from "#engine/protocol/outcome.ts";
import type { ActorSubmitter } from "./actor-submitter.ts";
import { isTopLevel } from "./dependency-resolver.ts";
import type { LocalCopies } from "./local-copies.ts";
import type { MemoryStore } from "./memory-store.ts";
import type { ObjectEntry } from "./object-entry.ts";
import type { Out, ProcessContext } from "./process-context.ts";
import { toldWithCalls } from "./pushed-arguments.ts";
import type { ReferenceCounter } from "./reference-counter.ts";
import type { TaskReceiver } from "./task-receiver.ts";
import type { TaskSubmitter } from "./task-submitter.ts";
import type { ToldValues } from "./told-values.ts";
import type { ViewCounts } from "./view-counts.ts";

interface Parts {
  readonly context: ProcessContext;
  readonly references: ReferenceCounter;
  readonly copies: LocalCopies;
  readonly views: ViewCounts;
  readonly memoryStore: MemoryStore;
  readonly submitter: TaskSubmitter;
  readonly actors: ActorSubmitter;
  readonly receiver: TaskReceiver;
  readonly told: ToldValues;
}

interface InUse {
  readonly copy: OwnedCopy;
  readonly entry: ObjectEntry;
  /** Without one less than these there is as much that may read it as there was. */
  usesSeen: number;
  wasAwaited: boolean;
}

export class RevokedPlaces {
  readonly #parts: Parts;
  readonly #inUse = new Map<WorkerId, Map<number, InUse>>();
  #requestId = 0;
  /** To be looked at again, whatever their counts say. */
  #isAsked = false;
  /** Tasks and views, when it was last looked. */
  #endedSeen = 0;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  onRevokePlaces({ requestId, objects }: RevokePlaces, out: Out): void {
    this.#requestId = requestId;
    this.#isAsked = true;
    const revoked: OwnedCopy[] = [];
    for (const copy of objects) {
      const entry = this.#parts.references.find(copy.owner, copy);
      // What is read in place is counted in an entry.
      if (entry === undefined) revoked.push(copy);
      else {
        this.#forgetPlace(entry, copy, out);
        this.#note(copy, entry);
      }
    }
    this.#answer(revoked, out);
    // What was told with calls stays so until they end; views may be of nobody any more.
    if (this.#inUse.size > 0) out.instruct({ type: "hurryCollection" });
  }

  /** What its owner tells of an object: it may have been asked before it knew, and we know. */
  asTold(entry: ObjectEntry, outcome: Outcome): Outcome {
    const one = this.#inUse.get(entry.owner)?.get(objectKey(entry.serial, entry.index));
    if (one === undefined || !(outcome instanceof StoredValue)) return outcome;
    return this.#isPlaceOf(one.copy, outcome) ? this.#withoutPlace(outcome) : outcome;
  }

  /** Ends an event that may have ended a use. */
  flush(out: Out): void {
    if (this.#inUse.size === 0) return;
    const revoked = this.#takeUnused();
    if (revoked.length > 0) this.#tell(revoked, out);
  }

  /** To the question: what is not used at once, perhaps nothing. */
  #answer(revoked: OwnedCopy[], out: Out): void {
    this.#tell([...revoked, ...this.#takeUnused()], out);
  }

  #tell(objects: readonly OwnedCopy[], out: Out): void {
    const { self, raylet } = this.#parts.context;
    out.send(raylet, {
      type: "placesRevoked",
      from: self,
      requestId: this.#requestId,
      objects,
    });
  }

  #note(copy: OwnedCopy, entry: ObjectEntry): void {
    const { owner } = copy;
    let ofOwner = this.#inUse.get(owner);
    if (ofOwner === undefined) {
      ofOwner = new Map();
      this.#inUse.set(owner, ofOwner);
    }
    ofOwner.set(objectKey(copy.serial, copy.index), {
      copy,
      entry,
      usesSeen: entry.uses,
      wasAwaited: isAwaited(entry),
    });
  }

  /** Who waits for it here reads it through the raylet from now on. */
  #forgetPlace(entry: ObjectEntry, copy: OwnedCopy, out: Out): void {
    const { outcome, state } = entry;
    if (!(outcome instanceof StoredValue) || state !== "AVAILABLE") return;
    if (!this.#isPlaceOf(copy, outcome)) return;
    entry.outcome = this.#withoutPlace(outcome);
    this.#parts.memoryStore.fetchAnew(entry, out);
  }

  #isPlaceOf({ owner, version }: OwnedCopy, value: StoredValue): boolean {
    return value.version === version && this.#parts.copies.isNear(owner, value);
  }

  #withoutPlace({ size, specials, version }: StoredValue): StoredValue {
    const { raylet } = this.#parts.context;
    return new StoredValue(managedSegment, 0, size, specials, raylet, version);
  }

  #takeUnused(): OwnedCopy[] {
    const { views, receiver } = this.#parts;
    // A task that ends was given values by its call, which are no use of their entries.
    const endedCount = receiver.endedCount + views.dropCount;
    const looksAtAll = this.#isAsked || endedCount !== this.#endedSeen;
    this.#isAsked = false;
    this.#endedSeen = endedCount;
    const unused: OwnedCopy[] = [];
    let told: Set<ObjectEntry> | null = null;
    for (const [owner, ofOwner] of this.#inUse) {
      for (const [key, one] of ofOwner) {
        const { entry, usesSeen, wasAwaited } = one;
        one.wasAwaited = isAwaited(entry);
        if (one.wasAwaited || (!looksAtAll && !wasAwaited && entry.uses === usesSeen)) continue;
        one.usesSeen = entry.uses;
        if (views.has(entry)) continue;
        told ??= this.#toldWithCalls();
        if (told.has(entry)) continue;
        unused.push(one.copy);
        ofOwner.delete(key);
      }
      if (ofOwner.size === 0) this.#inUse.delete(owner);
    }
    return unused;
  }

  /** With ours that were not answered, and with those of others that have not ended here. */
  #toldWithCalls(): Set<ObjectEntry> {
    const { receiver } = this.#parts;
    const told = new Set(toldWithCalls(this.#parts));
    for (const { args, values } of receiver.running) this.#addGiven(args, values, told);
    const { actor } = receiver;
    if (actor !== null && !actor.hasEnded) {
      this.#addGiven(actor.spec.args, actor.spec.values, told);
    }
    return told;
  }

  #addGiven(args: Encoded, values: readonly Outcome[] | null, told: Set<ObjectEntry>): void {
    const { references, copies } = this.#parts;
    for (const [i, value] of (values ?? []).entries()) {
      const special = args.specials[i];
      if (!(value instanceof StoredValue) || special?.type !== "ref") continue;
      if (!isTopLevel(special) || !copies.isNear(special.owner, value)) continue;
      const entry = references.find(special.owner, special);
      if (entry !== undefined) told.add(entry);
    }
  }
}

/** Its owner was asked for it, and has not answered as far as we know. */
function isAwaited({ state, subscribed }: ObjectEntry): boolean {
  return state === "PENDING" && subscribed;
}
