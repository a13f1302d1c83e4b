/**
 * Handles of actors are refs: each actor has an object of its own, without a value, that its maker
 * owns. Whatever keeps a ref keeps a handle: JS objects, arguments, values, other processes. A call
 * that has not ended is a use. When nothing counts any more the actor ends.
 *
 * State:  the entry of an actor in its client; own actors whose last count has gone in this event.
 * In/out: calls that begin and end, actorByName → holds asked for, Found.
 * Bounds: one entry an actor; a call costs one addition.
 * Errors: an actor that is found by its name, but that nobody has a handle to, is not found.
 * Source: Ray actor_manager, the handle as a dummy object; protocols §6 rule 9.
 */
import { assert } from "#engine/common/assert.ts";
import { type ActorId, actorIdOf, actorIndex, makerOf } from "#engine/common/ids.ts";
import type { ActorByName } from "#engine/protocol/gcs.ts";
import { noArguments, InlineValue } from "#engine/protocol/outcome.ts";
import { ActorClient } from "./actor-client.ts";
import { specialsOf } from "./contained-refs.ts";
import type { HoldMaker } from "./hold-maker.ts";
import { HoldWait } from "./hold-wait.ts";
import { isUsed, ObjectEntry } from "./object-entry.ts";
import type { Out, ProcessContext } from "./process-context.ts";
import type { ReferenceCounter } from "./reference-counter.ts";

export class ActorHandles {
  readonly #context: ProcessContext;
  readonly #references: ReferenceCounter;
  readonly #holds: HoldMaker;
  readonly #outOfScope: ActorId[] = [];
  /** The actor that lives in this process. */
  hosted: ActorId | null = null;
  /** Its entry, once something here has named it. */
  #self: ObjectEntry | null = null;

  constructor(context: ProcessContext, references: ReferenceCounter, holds: HoldMaker) {
    this.#context = context;
    this.#references = references;
    this.#holds = holds;
    references.handles = this;
  }

  /** For an actor that this process makes; null if nobody counts its handles. */
  open(client: ActorClient): ObjectEntry | null {
    if (client.isDetached) return null;
    const entry = newEntry(client.actorId);
    entry.state = "AVAILABLE";
    // Found by its name at once: the actor may have one, too.
    this.#references.name(entry);
    client.entry = entry;
    return entry;
  }

  /** What a handle of the actor counts on here; null if nobody counts its handles. */
  entryOf(client: ActorClient): ObjectEntry | null {
    if (client.isDetached) return null;
    if (client.entry !== null && client.entry.state !== "FREED") return client.entry;
    const entry = this.#adopt(client.actorId);
    client.entry = entry;
    if (client.actorId === this.hosted) this.#self = entry;
    return entry;
  }

  onCallSubmitted(client: ActorClient): void {
    client.unfinishedCount += 1;
    if (client.unfinishedCount > 1) return;
    const entry = this.entryOf(client);
    if (entry !== null) entry.uses += 1;
  }

  onCallEnded(client: object): void {
    assert(client instanceof ActorClient && client.unfinishedCount > 0, "a call ends once");
    client.unfinishedCount -= 1;
    if (client.unfinishedCount > 0 || client.isDetached || client.entry === null) return;
    this.#references.dropUse(client.entry);
  }

  /**
   * In the actor's own process its handle to itself counts for what it has given on only. Before a
   * call ends, which kept the actor till now, that must be held.
   */
  awaitSelf(wait: HoldWait): void {
    const self = this.#self;
    if (self !== null && isUsed(self) && !self.held) this.#holds.awaitOwn(self, wait);
  }

  get namesSelf(): boolean {
    return this.#self !== null && isUsed(this.#self) && !this.#self.held;
  }

  /** A reply that may have named the actor has left: who has it now counts for itself. */
  letGoOfSelf(): void {
    if (this.#self !== null) this.#references.collect(this.#self);
  }

  /** An own actor's entry: nothing counts on it any more. */
  onFreed({ owner, serial }: ObjectEntry): void {
    this.#outOfScope.push(actorIdOf(owner, serial));
  }

  takeOutOfScope(): ActorId | undefined {
    return this.#outOfScope.length === 0 ? undefined : this.#outOfScope.pop();
  }

  // ------------------------------------------------------------ actors that others made

  /** Its entry, kept by one use, is ours when `wait` goes on; undefined when it has ended. */
  begin(actorId: ActorId, wait: HoldWait): ObjectEntry | undefined {
    const { maker, serial } = makerOf(actorId);
    if (maker === this.#context.self) {
      const own = this.#references.find(maker, { serial, index: actorIndex });
      if (own !== undefined) own.uses += 1;
      return own;
    }
    const entry = this.#adopt(actorId);
    entry.uses += 1;
    this.#holds.awaitOwn(entry, wait);
    return entry;
  }

  /** … after that; undefined for one of ours that has ended. */
  entryOfFound(actorId: ActorId): ObjectEntry | undefined {
    const { maker, serial } = makerOf(actorId);
    return this.#references.find(maker, { serial, index: actorIndex });
  }

  /** Whether the owner has answered that the actor is there. */
  isCounted(entry: ObjectEntry): boolean {
    return entry.owner === this.#context.self || entry.held;
  }

  onActorByName(found: ActorByName, out: Out): void {
    const { actorId, detached } = found;
    if (actorId === null || detached) {
      this.#tell(found, out);
      return;
    }
    const wait = new HoldWait({ type: "found", found });
    const entry = this.begin(actorId, wait);
    if (entry === undefined) this.#tell({ ...found, actorId: null }, out);
    else if (wait.missingCount === 0) this.onFound(found, out);
  }

  /** Its handle is about to be made, and counts from now on. */
  onFound(found: ActorByName, out: Out): void {
    assert(found.actorId !== null, "an actor was found");
    const entry = this.#adopt(found.actorId);
    const isThere = this.isCounted(entry);
    if (isThere) entry.localRefs += 1;
    this.#tell(isThere ? found : { ...found, actorId: null }, out);
    this.#references.dropUse(entry);
  }

  /** The actor that a client was made for is another one: its handles keep that. */
  join(client: ActorClient, entry: ObjectEntry | null, className: string): void {
    const before = client.entry;
    const isBusy = client.unfinishedCount > 0;
    if (entry !== null) {
      const { owner, serial, index } = entry;
      const special = { type: "actor", owner, serial, index, className } as const;
      if (isBusy) entry.uses += 1;
      // The use that `begin` made becomes that of a value that names it.
      if (before !== null && before.state !== "FREED" && specialsOf(before.outcome).length === 0) {
        before.outcome = new InlineValue(noArguments.bytes, 0, 0, [
          { ...special, isDetached: false },
        ]);
      } else {
        this.#references.dropUse(entry);
      }
    }
    client.isDetached = entry === null;
    client.entry = entry;
    if (isBusy && before !== null) this.#references.dropUse(before);
  }

  /** So many calls that have not ended are counted there from now on. */
  moveCalls(from: ActorClient, to: ActorClient, count: number): void {
    for (let i = 0; i < count; i++) {
      this.onCallSubmitted(to);
      this.onCallEnded(from);
    }
  }

  /** It is detached: its handles counted only till it was known that no other stands for it. */
  uncount(client: ActorClient): void {
    const { entry } = client;
    client.isDetached = true;
    client.entry = null;
    if (entry !== null && client.unfinishedCount > 0) this.#references.dropUse(entry);
  }

  #adopt(actorId: ActorId): ObjectEntry {
    const { maker, serial } = makerOf(actorId);
    return this.#references.adopt(maker, serial, actorIndex);
  }

  #tell({ requestId, actorId, className, detached }: ActorByName, out: Out): void {
    out.instruct({ type: "found", requestId, actorId, className, detached });
  }
}

function newEntry(actorId: ActorId): ObjectEntry {
  const { maker, serial } = makerOf(actorId);
  return new ObjectEntry(maker, serial, actorIndex);
}
