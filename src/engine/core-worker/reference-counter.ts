/**
 * How long each object is kept: owned entries until nothing counts, borrowed ones until nothing
 * here does.
 *
 * State:  entries by name, for owned ones only once another process has heard of them.
 * In/out: removeRefs, releaseHolds, workerDied → FreeArena, ReleaseHolds (batched, sent by
 *         `flush`).
 * Bounds: one entry an object; the batches are sent with the event that filled them.
 * Errors: a borrower's object whose owner died fails with OWNER_DIED.
 * Source: protocols §6. A borrowed ref that is sent on is kept until this process ends (`escaped`):
 *         the acknowledged hold that would let it go earlier comes with the ownership protocol.
 */
import { assert } from "#engine/common/assert.ts";
import { engineError, type EngineError } from "#engine/common/error-type.ts";
import { objectIdHex, objectKey, type WorkerId } from "#engine/common/ids.ts";
import type { ArenaExtent } from "#engine/protocol/object.ts";
import type { ObjectName } from "#engine/protocol/task.ts";
import { FailedValue, InlineValue, StoredValue, type Special } from "#engine/protocol/outcome.ts";
import { ObjectEntry, TaskRecord } from "./object-entry.ts";
import type { Out, ProcessContext } from "./process-context.ts";

export class ReferenceCounter {
  readonly #context: ProcessContext;
  /** Owner → key → entry. */
  readonly #byOwner = new Map<WorkerId, Map<number, ObjectEntry>>();
  readonly #extentsToFree: ArenaExtent[] = [];
  readonly #holdsToRelease = new Map<WorkerId, ObjectName[]>();

  constructor(context: ProcessContext) {
    this.#context = context;
  }

  get registeredCount(): number {
    let count = 0;
    for (const entries of this.#byOwner.values()) count += entries.size;
    return count;
  }

  /** The entry of an object that another process named, new if need be. */
  adopt(owner: WorkerId, serial: number, index: number): ObjectEntry {
    const known = this.find(owner, { serial, index });
    if (known !== undefined) return known;
    const entry = new ObjectEntry(owner, serial, index);
    if (owner === this.#context.self) {
      // An owner always has the entry while anyone may name it, so this one was freed.
      entry.state = "FAILED";
      entry.outcome = new FailedValue(lostError(entry, "its owner has already freed it"), null);
      return entry;
    }
    this.#list(entry);
    return entry;
  }

  find(owner: WorkerId, name: ObjectName): ObjectEntry | undefined {
    return this.#byOwner.get(owner)?.get(objectKey(name.serial, name.index));
  }

  /** Others are about to hear of this entry. */
  register(entry: ObjectEntry): void {
    if (entry.owner !== this.#context.self) {
      entry.escaped = true;
      return;
    }
    if (entry.registered) return;
    entry.registered = true;
    this.#list(entry);
  }

  addHolder(name: ObjectName, holder: WorkerId): ObjectEntry | undefined {
    const entry = this.find(this.#context.self, name);
    if (entry === undefined) return undefined;
    entry.holders ??= new Set();
    entry.holders.add(holder);
    return entry;
  }

  dropHolder(name: ObjectName, holder: WorkerId): void {
    const entry = this.find(this.#context.self, name);
    if (entry?.holders?.delete(holder)) this.collect(entry);
  }

  /** The refs inside a value that this process keeps count as uses of what they name. */
  addContained(specials: readonly Special[], out: Out): void {
    for (const special of specials) {
      if (special.type !== "ref") continue;
      const inner = this.adopt(special.owner, special.serial, special.index);
      inner.uses += 1;
      this.subscribe(inner, out);
    }
  }

  /** Asks the owner to hold a borrowed object for us and to tell its value. Once per entry. */
  subscribe(entry: ObjectEntry, out: Out): void {
    if (entry.owner === this.#context.self || entry.subscribed) return;
    entry.subscribed = true;
    if (entry.state !== "PENDING") return;
    entry.registered = true;
    const object = { serial: entry.serial, index: entry.index };
    out.send(entry.owner, { type: "subscribeObject", from: this.#context.self, object });
  }

  dropUse(entry: ObjectEntry): void {
    assert(entry.uses > 0, "a use is dropped once");
    entry.uses -= 1;
    this.collect(entry);
  }

  dropLocalRef(entry: ObjectEntry): void {
    assert(entry.localRefs > 0, "a local ref is dropped once");
    entry.localRefs -= 1;
    this.collect(entry);
  }

  /**
   * Frees the entry if nothing counts any more. A task that has not ended keeps its own record
   * alive.
   */
  collect(entry: ObjectEntry): void {
    if (entry.localRefs > 0 || entry.uses > 0 || entry.escaped) return;
    if (entry.holders !== null && entry.holders.size > 0) return;
    if (entry.owner !== this.#context.self) {
      this.#forgetBorrowed(entry);
      return;
    }
    if (entry.state === "PENDING" || entry.state === "FREED") return;
    this.#freeValue(entry);
    entry.state = "FREED";
    if (entry.registered) this.#unlist(entry);
  }

  onWorkerDied(workerId: WorkerId, error: EngineError): ObjectEntry[] {
    const own = this.#byOwner.get(this.#context.self);
    for (const entry of own ? [...own.values()] : []) {
      if (entry.holders?.delete(workerId)) this.collect(entry);
    }
    const lost: ObjectEntry[] = [];
    for (const entry of this.#byOwner.get(workerId)?.values() ?? []) {
      if (entry.state !== "PENDING") continue;
      entry.state = "FAILED";
      const subject = objectIdHex(entry.owner, objectKey(entry.serial, entry.index));
      const message = `object ${subject} is lost with its owner: ${error.message}`;
      entry.outcome = new FailedValue(engineError("OWNER_DIED", message, subject), null);
      lost.push(entry);
    }
    this.#holdsToRelease.delete(workerId);
    return lost;
  }

  /** Sends what the last event let go. */
  flush(out: Out): void {
    if (this.#extentsToFree.length > 0) {
      const extents = this.#extentsToFree.splice(0);
      out.send(this.#context.raylet, { type: "freeArena", from: this.#context.self, extents });
    }
    if (this.#holdsToRelease.size === 0) return;
    for (const [owner, objects] of this.#holdsToRelease) {
      out.send(owner, { type: "releaseHolds", from: this.#context.self, objects });
    }
    this.#holdsToRelease.clear();
  }

  /** Bytes in the arena that only an unfinished call needed. */
  freeEncoded(value: InlineValue | StoredValue): void {
    if (value instanceof StoredValue) this.#freeExtent(value);
  }

  checkInvariants(): void {
    for (const [owner, entries] of this.#byOwner) {
      for (const entry of entries.values()) {
        assert(entry.owner === owner, "an entry is listed under its owner");
        assert(entry.state !== "FREED", "a freed entry is not listed");
        assert(entry.localRefs >= 0 && entry.uses >= 0, "counts are not negative");
      }
    }
  }

  #freeValue(entry: ObjectEntry): void {
    const { outcome } = entry;
    entry.outcome = undefined;
    if (!(outcome instanceof StoredValue) && !(outcome instanceof InlineValue)) return;
    if (outcome instanceof StoredValue) this.#freeExtent(outcome);
    for (const special of outcome.specials) {
      if (special.type !== "ref") continue;
      const inner = this.find(special.owner, special);
      if (inner !== undefined) this.dropUse(inner);
    }
  }

  #freeExtent({ segment, offset, size }: StoredValue): void {
    this.#extentsToFree.push({ segment, offset, size });
  }

  #forgetBorrowed(entry: ObjectEntry): void {
    this.#unlist(entry);
    if (entry.registered) {
      entry.registered = false;
      const objects = this.#holdsToRelease.get(entry.owner) ?? [];
      objects.push({ serial: entry.serial, index: entry.index });
      this.#holdsToRelease.set(entry.owner, objects);
    }
    // The bytes are the owner's; refs inside them were counted here when they came.
    const { outcome } = entry;
    if (outcome instanceof InlineValue || outcome instanceof StoredValue) {
      for (const special of outcome.specials) {
        if (special.type !== "ref") continue;
        const inner = this.find(special.owner, special);
        if (inner !== undefined && inner.uses > 0) this.dropUse(inner);
      }
    }
    entry.outcome = undefined;
    entry.state = "FREED";
  }

  #list(entry: ObjectEntry): void {
    let entries = this.#byOwner.get(entry.owner);
    if (entries === undefined) {
      entries = new Map();
      this.#byOwner.set(entry.owner, entries);
    }
    entries.set(objectKey(entry.serial, entry.index), entry);
  }

  #unlist(entry: ObjectEntry): void {
    const entries = this.#byOwner.get(entry.owner);
    if (entries === undefined) return;
    entries.delete(objectKey(entry.serial, entry.index));
    if (entries.size === 0) this.#byOwner.delete(entry.owner);
    if (entry.owner === this.#context.self) entry.registered = false;
  }
}

function lostError(entry: ObjectEntry, why: string): EngineError {
  const subject = objectIdHex(entry.owner, objectKey(entry.serial, entry.index));
  return engineError("OBJECT_LOST", `object ${subject} is lost: ${why}`, subject);
}

export function isTask(entry: unknown): entry is TaskRecord {
  return entry instanceof TaskRecord;
}
