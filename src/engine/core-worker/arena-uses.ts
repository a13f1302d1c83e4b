/**
 * What this process reads of a dead one in the memory of their node: views on its values, and what
 * tasks and a constructor were given of it. The rest the raylet gives out again.
 *
 * State:  by dead process how much was told last; none where that was nothing.
 * In/out: askArenaUse, views and tasks that end → arenaInUse.
 * Bounds: dead processes of which something is read.
 * Errors: none. Whoever knows of a death takes no place of a value of the dead one any more, so
 *         what is told only gets less.
 */
import type { WorkerId } from "#engine/common/ids.ts";
import type { ArenaExtent, AskArenaUse } from "#engine/protocol/object.ts";
import { type Outcome, StoredValue } from "#engine/protocol/outcome.ts";
import type { LocalCopies } from "./local-copies.ts";
import type { Out, ProcessContext } from "./process-context.ts";
import type { TaskReceiver } from "./task-receiver.ts";
import type { ViewCounts } from "./view-counts.ts";

interface Parts {
  readonly context: ProcessContext;
  readonly copies: LocalCopies;
  readonly views: ViewCounts;
  readonly receiver: TaskReceiver;
}

export class ArenaUses {
  readonly #parts: Parts;
  readonly #told = new Map<WorkerId, number>();
  #lookedAt = 0;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Something of a dead process is read, as far as it was told. */
  get isWatching(): boolean {
    return this.#told.size > 0;
  }

  onAskArenaUse({ of }: AskArenaUse, out: Out): void {
    this.#lookedAt = this.#endedCount();
    this.#tell(of, this.extentsOf(of), out);
  }

  /** Ends an event: what is read no more goes. */
  flush(out: Out): void {
    const endedCount = this.#endedCount();
    if (endedCount === this.#lookedAt) return;
    this.#lookedAt = endedCount;
    for (const [of, count] of [...this.#told]) {
      const extents = this.extentsOf(of);
      if (extents.length !== count) this.#tell(of, extents, out);
    }
  }

  /** All that is read in place of that owner, each once. */
  extentsOf(of: WorkerId): ArenaExtent[] {
    const { views, receiver } = this.#parts;
    const extents = new Map<string, ArenaExtent>();
    const addExtent = ({ segment, offset, size }: ArenaExtent): void =>
      void extents.set(`${segment}:${offset}`, { segment, offset, size });
    for (const extent of views.extentsOf(of)) addExtent(extent);
    const add = (owner: WorkerId, value: Outcome): void => {
      if (owner !== of || !(value instanceof StoredValue)) return;
      if (this.#parts.copies.isNear(owner, value)) addExtent(value);
    };
    for (const { owner, args, values } of receiver.given()) {
      add(owner, args);
      for (const [i, value] of (values ?? []).entries()) {
        const special = args.specials[i];
        if (special?.type === "ref") add(special.owner, value);
      }
    }
    return [...extents.values()];
  }

  #tell(of: WorkerId, extents: readonly ArenaExtent[], out: Out): void {
    if (extents.length > 0) this.#told.set(of, extents.length);
    else this.#told.delete(of);
    const { self, raylet } = this.#parts.context;
    out.send(raylet, { type: "arenaInUse", from: self, of, extents });
  }

  /** Rises when anything ends that reads. */
  #endedCount(): number {
    return this.#parts.views.dropCount + this.#parts.receiver.endedCount;
  }
}
