/**
 * What one event let go of, told when it is over: bytes to the object store, holds to their owners;
 * and the holds that came with it, which are confirmed first.
 */
import type { WorkerId } from "#engine/common/ids.ts";
import { ownSegmentsFrom } from "#engine/protocol/arena.ts";
import type { HeldRef, HoldId } from "#engine/protocol/hold.ts";
import type { ArenaExtent } from "#engine/protocol/object.ts";
import type { ObjectName } from "#engine/protocol/task.ts";
import type { Out, ProcessContext } from "./process-context.ts";

export class ReleaseBatch {
  readonly #context: ProcessContext;
  readonly #extents: ArenaExtent[] = [];
  readonly #confirmed = new Map<WorkerId, HoldId[]>();
  readonly #holds = new Map<WorkerId, ObjectName[]>();

  constructor(context: ProcessContext) {
    this.#context = context;
  }

  addExtent(extent: ArenaExtent): void {
    this.#extents.push(extent);
  }

  addConfirmed(maker: WorkerId, { owner, hold }: HeldRef): void {
    const holds = this.#confirmed.get(owner) ?? [];
    holds.push({ maker, hold });
    this.#confirmed.set(owner, holds);
  }

  addHold(owner: WorkerId, { serial, index }: ObjectName): void {
    const objects = this.#holds.get(owner) ?? [];
    objects.push({ serial, index });
    this.#holds.set(owner, objects);
  }

  /** The owner has died: nobody is left to tell. */
  dropHolds(owner: WorkerId): void {
    this.#holds.delete(owner);
    this.#confirmed.delete(owner);
  }

  flush(out: Out): void {
    if (this.#extents.length > 0) this.#freeExtents(this.#extents.splice(0), out);
    if (this.#confirmed.size > 0) this.#confirm(out);
    if (this.#holds.size === 0) return;
    for (const [owner, objects] of this.#holds) {
      out.send(owner, { type: "releaseHolds", from: this.#context.self, objects });
    }
    this.#holds.clear();
  }

  #confirm(out: Out): void {
    for (const [owner, holds] of this.#confirmed) {
      out.send(owner, { type: "confirmHolds", from: this.#context.self, holds });
    }
    this.#confirmed.clear();
  }

  #freeExtents(freed: readonly ArenaExtent[], out: Out): void {
    const extents = freed.filter(({ segment }) => segment < ownSegmentsFrom);
    for (const { segment } of freed) {
      if (segment >= ownSegmentsFrom) out.instruct({ type: "dropSegment", segment });
    }
    if (extents.length === 0) return;
    out.send(this.#context.raylet, { type: "freeArena", from: this.#context.self, extents });
  }
}
