/**
 * How long each object is kept: owned entries until nothing counts, borrowed ones until nothing
 * here does.
 *
 * State:  entries by name, for owned ones once a value names them.
 * In/out: removeRefs, releaseHolds, workerDied → FreeArena, ReleaseHolds (batched, sent by
 *         `flush`).
 * Holds: counted at the owner, by holder. A ref that arrives from its owner in a reply or
 *         objectState brings one, from a third process one that its sender has made (HoldMaker);
 *         subscribing and keptRefs make one. A borrower keeps one and gives the others back at
 *         once, so that a release which crosses a new hold takes only its own.
 * Bounds: one entry an object; the batches are sent with the event that filled them. Freeing is a
 *         loop over a work list, so that a chain of a million containers needs no stack.
 * Errors: a borrower's object whose owner died fails with OWNER_DIED.
 * Source: protocols §6.
 */
import { assert } from "#engine/common/assert.ts";
import type { EngineError } from "#engine/common/error-type.ts";
import { actorIndex, type NodeId, nodeIdOf, type WorkerId } from "#engine/common/ids.ts";
import { ObjectMap } from "#engine/common/object-map.ts";
import { managedSegment } from "#engine/protocol/arena.ts";
import type { HeldRef } from "#engine/protocol/hold.ts";
import type { ArenaExtent } from "#engine/protocol/object.ts";
import type { ObjectName } from "#engine/protocol/task.ts";
import { FailedValue, type Outcome, type Special, StoredValue } from "#engine/protocol/outcome.ts";
import { ownOutcome } from "#engine/protocol/own-value.ts";
import { isCounted, specialsOf } from "./contained-refs.ts";
import { EndedPeers } from "./ended-peers.ts";
import { diedWithOwner, freedByOwner } from "./lost-object.ts";
import { ObjectDirectory } from "./object-directory.ts";
import { isUsed, ObjectEntry } from "./object-entry.ts";
import { ObjectSeals } from "./object-seals.ts";
import type { Out, ProcessContext } from "./process-context.ts";
import { ReleaseBatch } from "./release-batch.ts";
import { StrayStates } from "./stray-states.ts";
import { UntakenResults } from "./untaken-results.ts";

/** What was kept to make objects anew goes with them. */
export interface LineageWatch {
  onFreed(entry: ObjectEntry): void;
  /** Lets go of what nobody needs; true if that may have freed more. */
  sweep(): boolean;
}

/** Own actors that nobody has a handle to any more. */
export interface HandleWatch {
  onFreed(entry: ObjectEntry): void;
}

export class ReferenceCounter {
  readonly ended = new EndedPeers();
  readonly strays = new StrayStates();
  readonly #context: ProcessContext;
  readonly #entries = new ObjectMap<ObjectEntry>();
  /** May have lost their last count in this event. */
  readonly #doubtful: ObjectEntry[] = [];
  readonly #heldByDead = new WeakSet<ObjectEntry>();
  /** Living processes of whose end the raylet will tell. */
  readonly #watched = new Set<WorkerId>();
  readonly #batch: ReleaseBatch;
  /** Asked when own objects have gone. */
  lineage: LineageWatch | null = null;
  handles: HandleWatch | null = null;
  /** Where the copies of own objects lie. */
  readonly directory: ObjectDirectory;
  readonly untaken: UntakenResults;

  constructor(context: ProcessContext, seals = new ObjectSeals(context)) {
    this.#context = context;
    const batch = new ReleaseBatch(context);
    this.#batch = batch;
    this.untaken = new UntakenResults({ context, batch, ended: this.ended });
    this.directory = new ObjectDirectory({ context, seals, batch, owner: this });
  }

  get registeredCount(): number {
    return this.#entries.size;
  }

  /** Whether objects of other processes are listed. */
  get hasBorrowed(): boolean {
    return this.#entries.hasOthersThan(this.#context.self);
  }

  /** For status and tests. */
  registered(): IterableIterator<ObjectEntry> {
    return this.#entries.values();
  }

  find(owner: WorkerId, name: ObjectName): ObjectEntry | undefined {
    return this.#entries.find(owner, name);
  }

  /** The entry of an object that a value names, new if need be; the caller counts it. */
  adopt(owner: WorkerId, serial: number, index: number): ObjectEntry {
    const known = this.find(owner, { serial, index });
    if (known !== undefined) return known;
    const entry = new ObjectEntry(owner, serial, index);
    if (owner === this.#context.self) {
      entry.state = "FAILED";
      entry.outcome = freedByOwner(entry);
      return entry;
    }
    if (this.ended.has(owner)) this.#failWithOwner(entry);
    this.#entries.add(entry);
    return entry;
  }

  /** A value is being made that names the entry: from now on it is found by its name. */
  name(entry: ObjectEntry): void {
    if (entry.owner !== this.#context.self || entry.registered) return;
    entry.registered = true;
    this.#entries.add(entry);
  }

  /** Another process has heard of the entry in no message: it is kept until this one ends. */
  nameOutOfBand(entry: ObjectEntry): void {
    this.name(entry);
    entry.uses += 1;
  }

  /**
   * A value goes to another process for good: what it names of ours is held for the receiver. One
   * that goes to ourselves counts what it names until it has come.
   */
  exportContained(value: Outcome, receiver: WorkerId): void {
    const specials = specialsOf(value);
    if (specials.length === 0) return;
    if (receiver === this.#context.self) {
      this.addContained(specials);
      return;
    }
    for (const special of specials) {
      if (isCounted(special) && special.owner === this.#context.self) {
        this.addHolder(special, receiver);
      }
    }
  }

  /** The other end of `exportContained`: whatever becomes of the value, its holds are ours. */
  onReceived(value: Outcome, from: WorkerId): void {
    const specials = specialsOf(value);
    if (specials.length === 0) return;
    if (from === this.#context.self) {
      this.dropContained(value);
      return;
    }
    for (const special of specials) {
      if (!isCounted(special) || special.owner !== from) continue;
      this.#gainHold(this.adopt(from, special.serial, special.index));
    }
  }

  /** Refs of third processes came, each with a hold that their sender made for us. */
  onReceivedHeld(refs: readonly HeldRef[], maker: WorkerId, out: Out): void {
    for (const ref of refs) {
      const { owner, serial, index } = ref;
      if (owner === this.#context.self || this.ended.has(owner)) continue;
      this.watchIfFar(owner, out);
      this.#batch.addConfirmed(maker, ref);
      this.#gainHold(this.adopt(owner, serial, index));
    }
  }

  addHolder(name: ObjectName, holder: WorkerId): ObjectEntry | undefined {
    const entry = this.find(this.#context.self, name);
    if (entry === undefined || this.ended.has(holder)) return entry;
    entry.holders ??= new Map();
    entry.holders.set(holder, (entry.holders.get(holder) ?? 0) + 1);
    return entry;
  }

  dropHolder(name: ObjectName, holder: WorkerId): void {
    const entry = this.find(this.#context.self, name);
    const count = entry?.holders?.get(holder);
    if (entry === undefined || count === undefined) return;
    if (count > 1) {
      entry.holders?.set(holder, count - 1);
      return;
    }
    entry.holders?.delete(holder);
    this.collect(entry);
  }

  /** The refs inside a value that this process keeps count as uses of what they name. */
  addContained(specials: readonly Special[]): void {
    for (const special of specials) {
      if (!isCounted(special)) continue;
      this.adopt(special.owner, special.serial, special.index).uses += 1;
    }
  }

  /** The other end of `addContained`. */
  dropContained(value: Outcome): void {
    for (const special of specialsOf(value)) {
      if (!isCounted(special)) continue;
      const inner = this.find(special.owner, special);
      if (inner === undefined) continue;
      assert(inner.uses > 0, "a value counts what it names");
      inner.uses -= 1;
      this.#doubtful.push(inner);
    }
  }

  /** Asks the owner to hold a borrowed object for us and to tell its value. */
  subscribe(entry: ObjectEntry, out: Out): void {
    const { owner, serial, index } = entry;
    if (owner === this.#context.self || entry.subscribed || this.ended.has(owner)) return;
    if (entry.registered && entry.state !== "PENDING") return;
    entry.subscribed = true;
    this.watch(owner, out);
    const object = { serial, index };
    out.send(owner, { type: "subscribeObject", from: this.#context.self, object });
    this.claim(entry);
  }

  /** We have asked the owner for one more hold; one is all that is needed. */
  claim(entry: ObjectEntry): void {
    if (entry.registered) this.#batch.addHold(entry.owner, entry);
    else entry.registered = true;
  }

  /** The answer to a hold that was asked for in so many words. */
  onClaimed(entry: ObjectEntry, isHeld: boolean): void {
    if (entry.state === "FREED") return;
    entry.held = isHeld;
    if (!isHeld) entry.registered = false;
  }

  /** Whether the reply must ask the owner to go on holding what came with the task. */
  keepCovered(entry: ObjectEntry): boolean {
    if (entry.registered) return false;
    if (!isUsed(entry)) {
      this.#doubtful.push(entry);
      return false;
    }
    entry.registered = true;
    entry.held = true;
    return true;
  }

  /** Keeps what the values name of one process: a use each, null if there is none. */
  pinInside(values: readonly Outcome[], owner: WorkerId): ObjectEntry[] | null {
    const pins: ObjectEntry[] = [];
    for (const value of values) {
      for (const special of specialsOf(value)) {
        if (!isCounted(special) || special.owner !== owner) continue;
        const entry = this.find(owner, special);
        if (entry === undefined) continue;
        entry.uses += 1;
        pins.push(entry);
      }
    }
    return pins.length === 0 ? null : pins;
  }

  unpin(pins: readonly ObjectEntry[] | null): void {
    for (const entry of pins ?? []) this.dropUse(entry);
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
    if (isUsed(entry) || entry.state === "FREED") return;
    if (entry.owner !== this.#context.self) {
      this.#forgetBorrowed(entry);
      return;
    }
    if (entry.state === "PENDING" || (entry.holders !== null && entry.holders.size > 0)) return;
    this.#freeBytes(entry);
    if (entry.registered) this.#entries.delete(entry);
    this.#freeValue(entry);
  }

  /**
   * The raylet will tell of its end: of one that ended before this process came, or on another
   * node, nobody would.
   */
  watch(peer: WorkerId, out: Out): void {
    if (this.#watched.has(peer)) return;
    this.#watched.add(peer);
    const { self, raylet } = this.#context;
    out.send(raylet, { type: "watchWorker", from: self, workerId: peer });
  }

  isOfThisNode(peer: WorkerId): boolean {
    return peer.startsWith(this.#context.raylet);
  }

  /** Of this node: whom that one had told the place may read it still. */
  wasHeldByDead(entry: ObjectEntry): boolean {
    return this.#heldByDead.has(entry);
  }

  /** As `watch`, for one that counts on us: those of this node are told of anyway. */
  watchIfFar(peer: WorkerId, out: Out): void {
    if (!this.isOfThisNode(peer)) this.watch(peer, out);
  }

  /** Something of ours is: this process is needed. */
  isHeldByOthers(): boolean {
    for (const { holders } of this.#entries.of(this.#context.self)) {
      if (holders !== null && holders.size > 0) return true;
    }
    return false;
  }

  /** Processes of a node that anything here depends on. */
  peersOn(nodeId: NodeId): Set<WorkerId> {
    const peers = new Set([...this.#watched, ...this.#entries.owners()]);
    for (const peer of peers) if (nodeIdOf(peer) !== nodeId) peers.delete(peer);
    return peers;
  }

  /** Fails what the dead process owned and this one waits for; returned for their waiters. */
  onWorkerDied(workerId: WorkerId, error: EngineError): ObjectEntry[] {
    this.ended.add(workerId, error.message);
    for (const entry of this.#entries.of(this.#context.self)) {
      if (!entry.holders?.delete(workerId)) continue;
      this.#doubtful.push(entry);
      if (this.isOfThisNode(workerId)) this.#heldByDead.add(entry);
    }
    const lost: ObjectEntry[] = [];
    for (const entry of this.#entries.of(workerId)) {
      entry.registered = false;
      entry.held = false;
      if (entry.state === "PENDING") {
        this.#failWithOwner(entry);
        lost.push(entry);
      } else if (this.#isInItsMemory(entry)) this.fail(entry, diedWithOwner(entry, error.message));
    }
    this.#batch.dropHolds(workerId);
    this.untaken.onExecutorDied(workerId);
    this.#watched.delete(workerId);
    return lost;
  }

  /** Sends what the last event let go. */
  flush(out: Out): void {
    do {
      for (let entry = this.#doubtful.pop(); entry !== undefined; entry = this.#doubtful.pop()) {
        this.collect(entry);
      }
    } while (this.lineage?.sweep() === true);
    this.#batch.flush(out);
  }

  /** Bytes in the arena that nobody needs any more. */
  freeExtent(extent: ArenaExtent): void {
    this.#batch.addExtent(extent);
  }

  /** Bytes in the arena that only an unfinished call needed. */
  freeEncoded(value: Outcome): void {
    this.#batch.addBytesOf(value);
  }

  /** What was told of a borrowed object is no longer so: it is lost for good. */
  fail(entry: ObjectEntry, failed: FailedValue): void {
    this.dropContained(entry.outcome);
    entry.outcome = ownOutcome(failed);
    entry.state = "FAILED";
    this.addContained(specialsOf(failed));
  }

  checkInvariants(): void {
    assert(this.#doubtful.length === 0, "an event ended before its drops were settled");
    this.directory.checkInvariants();
    this.#entries.checkInvariants();
    const { self } = this.#context;
    for (const entry of this.#entries.values()) {
      const { owner, holders } = entry;
      assert(entry.state !== "FREED", "a freed entry is not listed");
      assert(entry.localRefs >= 0 && entry.uses >= 0, "counts are not negative");
      assert(owner !== self || entry.registered, "an own entry is listed once");
      assert(!entry.registered || !this.ended.has(owner), "a dead owner holds nothing");
      assert(!entry.held || entry.registered, "what the owner holds for us is ours");
      for (const [holder, count] of holders ?? []) {
        assert(count > 0 && !this.ended.has(holder), "a hold counts for a living process");
      }
    }
  }

  /** One more hold at the owner is ours; whether anything here needs it is not known yet. */
  #gainHold(entry: ObjectEntry): void {
    if (this.ended.has(entry.owner)) return;
    this.claim(entry);
    entry.held = true;
    this.#doubtful.push(entry);
  }

  /** The bytes are the owner's; refs inside them were counted here when they came. */
  #forgetBorrowed(entry: ObjectEntry): void {
    this.#entries.delete(entry);
    if (entry.subscribed && entry.state === "PENDING") this.strays.note(entry.owner, entry);
    if (entry.registered) this.#batch.addHold(entry.owner, entry);
    this.#freeValue(entry);
  }

  #freeValue(entry: ObjectEntry): void {
    const { outcome } = entry;
    entry.registered = false;
    entry.held = false;
    entry.outcome = undefined;
    entry.state = "FREED";
    this.dropContained(outcome);
    if (entry.owner !== this.#context.self) return;
    this.lineage?.onFreed(entry);
    if (entry.index === actorIndex) this.handles?.onFreed(entry);
  }

  #freeBytes(entry: ObjectEntry): void {
    const { outcome } = entry;
    if (outcome instanceof StoredValue && !this.directory.free(entry)) this.freeEncoded(outcome);
  }

  /** Its place means nothing any more: what the dead process had is given out again. */
  #isInItsMemory({ owner, outcome }: ObjectEntry): boolean {
    if (!(outcome instanceof StoredValue) || !this.isOfThisNode(owner)) return false;
    const { node, segment } = outcome;
    return segment !== managedSegment && (node === null || node === this.#context.raylet);
  }

  #failWithOwner(entry: ObjectEntry): void {
    entry.state = "FAILED";
    entry.outcome = diedWithOwner(entry, this.ended.reasonOf(entry.owner));
  }
}
