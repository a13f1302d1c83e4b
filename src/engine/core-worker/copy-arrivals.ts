/**
 * Copies that this process waited for: told to all who did, once it is known what they are.
 *
 * What a copy names is told by the owner, not by raylets. When the object was lost and made anew
 * meanwhile, other bytes come than were told of: then the owner is asked first. At the owner
 * itself, that is how its own entry stands.
 *
 * State:  objects whose copy is of a version, or in a form, that nobody has told us of.
 * In/out: objectLocal, outcomes of entries → values of copies, wake-ups, SubscribeObject.
 * Bounds: those of the copies.
 * Errors: what the raylet has instead of a copy is the outcome; no room fails those who wait only.
 */
import { assert } from "#engine/common/assert.ts";
import type { ObjectLocal } from "#engine/protocol/copy.ts";
import { FailedValue, type Outcome, StoredValue } from "#engine/protocol/outcome.ts";
import { ArgumentPull, isNoRoom } from "./argument-pulls.ts";
import type { LocalCopies, LocalCopy } from "./local-copies.ts";
import { GetRequest, type MemoryStore } from "./memory-store.ts";
import type { ObjectEntry } from "./object-entry.ts";
import type { Out, ProcessContext } from "./process-context.ts";
import type { ReferenceCounter } from "./reference-counter.ts";
import type { TaskReceiver } from "./task-receiver.ts";

export class CopyArrivals {
  readonly #context: ProcessContext;
  readonly #references: ReferenceCounter;
  readonly #copies: LocalCopies;
  readonly #memoryStore: MemoryStore;
  readonly #untold = new Map<ObjectEntry, LocalCopy>();
  /** Of this process: it is made after this. */
  receiver: Pick<TaskReceiver, "onArgument"> | null = null;

  constructor(parts: {
    context: ProcessContext;
    references: ReferenceCounter;
    copies: LocalCopies;
    memoryStore: MemoryStore;
  }) {
    this.#context = parts.context;
    this.#references = parts.references;
    this.#copies = parts.copies;
    this.#memoryStore = parts.memoryStore;
  }

  /** A copy is here, or never will be. */
  onObjectLocal(event: ObjectLocal, out: Out): void {
    const copy = this.#copies.awaited(event);
    if (copy === undefined || copy.untold !== null) return;
    const { outcome } = event;
    if (outcome instanceof StoredValue && outcome.version === copy.version) {
      this.#copies.place(copy, outcome);
      this.#tell(copy, copy.value as StoredValue, out);
    } else if (outcome instanceof FailedValue) this.#fail(copy, outcome, out);
    else this.#askOwner(copy, outcome, out);
  }

  /** An object has its outcome, perhaps again. */
  onSettled(entry: ObjectEntry, out: Out): void {
    if (this.#untold.size === 0) return;
    const copy = this.#untold.get(entry);
    if (copy !== undefined) this.#onTold(entry, copy, out);
  }

  #fail(copy: LocalCopy, failed: FailedValue, out: Out): void {
    this.#copies.end(copy, false);
    const entry = this.#references.find(copy.owner, copy);
    const noRoom = isNoRoom(failed);
    if (entry?.outcome instanceof StoredValue && entry.state === "AVAILABLE" && !noRoom) {
      this.#references.fail(entry, failed);
    }
    this.#tell(copy, failed, out);
  }

  #askOwner(copy: LocalCopy, came: Outcome, out: Out): void {
    const { owner, serial, index } = copy;
    const entry = this.#references.adopt(owner, serial, index);
    const before = this.#untold.get(entry);
    if (before === undefined) entry.uses += 1;
    else before.untold = null;
    copy.untold = entry;
    copy.came = came instanceof StoredValue ? came : null;
    this.#untold.set(entry, copy);
    if (entry.state === "AVAILABLE" && owner !== this.#context.self) {
      this.#memoryStore.awaitAnew(entry);
      entry.state = "PENDING";
      entry.subscribed = false;
    }
    if (entry.state === "PENDING") this.#references.subscribe(entry, out);
    else this.#onTold(entry, copy, out);
  }

  #onTold(entry: ObjectEntry, copy: LocalCopy, out: Out): void {
    const { outcome, owner } = entry;
    const { came } = copy;
    this.#untold.delete(entry);
    copy.untold = null;
    copy.came = null;
    const isWanted = copy.users.size > 0;
    if (isWanted && outcome instanceof StoredValue && !this.#copies.isNear(owner, outcome)) {
      copy.version = outcome.version;
      copy.specials = outcome.specials;
      if (came?.version === outcome.version) {
        this.#copies.place(copy, came);
        this.#tell(copy, copy.value ?? outcome, out);
      } else this.#copies.askAnew(copy, came !== null, out);
    } else if (isWanted) {
      this.#copies.end(copy, came !== null);
      this.#tell(copy, outcome, out);
    }
    this.#references.dropUse(entry);
  }

  #tell(copy: LocalCopy, outcome: Outcome, out: Out): void {
    const entry = this.#references.find(copy.owner, copy);
    const isFull = outcome instanceof FailedValue && isNoRoom(outcome);
    for (const [user, count] of [...copy.users]) {
      if (user instanceof ArgumentPull) {
        assert(this.receiver !== null, "arguments are for tasks");
        // Of what was made anew nothing came with the task.
        if (entry !== undefined) user.keep(entry);
        this.receiver.onArgument(user, copy, outcome, out);
      }
      if (!(user instanceof GetRequest) || entry === undefined) continue;
      for (let i = 0; i < count; i++) {
        if (isFull) this.#memoryStore.noRoom(user, entry, outcome, out);
        else this.#memoryStore.wake(user, entry, out);
      }
    }
  }
}
