/**
 * What one event let go of, told when it is over: bytes to the object store, copies to the raylets
 * that keep them, holds to their owners; and the holds that came with it, confirmed first.
 */
import type { NodeId, WorkerId } from "#engine/common/ids.ts";
import { isOwnSegment } from "#engine/protocol/arena.ts";
import type { CopyName } from "#engine/protocol/copy.ts";
import type { HeldRef, HoldId } from "#engine/protocol/hold.ts";
import type { ArenaExtent } from "#engine/protocol/object.ts";
import { type Outcome, StoredValue } from "#engine/protocol/outcome.ts";
import type { ObjectName } from "#engine/protocol/task.ts";
import type { Out, ProcessContext } from "./process-context.ts";

export class ReleaseBatch {
  readonly #context: ProcessContext;
  readonly #extents: ArenaExtent[] = [];
  readonly #confirmed = new Map<WorkerId, HoldId[]>();
  readonly #frees = new Map<NodeId, CopyName[]>();
  readonly #holds = new Map<WorkerId, ObjectName[]>();

  constructor(context: ProcessContext) {
    this.#context = context;
  }

  addExtent(extent: ArenaExtent): void {
    this.#extents.push(extent);
  }

  /** Those of a value that lies in the arena. */
  addBytesOf(value: Outcome): void {
    if (!(value instanceof StoredValue)) return;
    const { segment, offset, size } = value;
    this.addExtent({ segment, offset, size });
  }

  addConfirmed(maker: WorkerId, { owner, hold }: HeldRef): void {
    const holds = this.#confirmed.get(owner) ?? [];
    holds.push({ maker, hold });
    this.#confirmed.set(owner, holds);
  }

  /** A copy of an object of ours that a raylet keeps for us. */
  addFree(node: NodeId, { serial, index, version }: CopyName): void {
    const objects = this.#frees.get(node) ?? [];
    objects.push({ serial, index, version });
    this.#frees.set(node, objects);
  }

  addHold(owner: WorkerId, { serial, index }: ObjectName): void {
    const objects = this.#holds.get(owner) ?? [];
    objects.push({ serial, index });
    this.#holds.set(owner, objects);
  }

  /** The node has died: nothing is left there. */
  dropFrees(node: NodeId): void {
    this.#frees.delete(node);
  }

  /** The owner has died: nobody is left to tell. */
  dropHolds(owner: WorkerId): void {
    this.#holds.delete(owner);
    this.#confirmed.delete(owner);
  }

  flush(out: Out): void {
    if (this.#extents.length > 0) this.#freeExtents(this.#extents.splice(0), out);
    if (this.#confirmed.size > 0) this.#confirm(out);
    if (this.#frees.size > 0) this.#freeObjects(out);
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

  #freeObjects(out: Out): void {
    for (const [node, objects] of this.#frees) {
      out.send(node, { type: "freeObjects", from: this.#context.self, objects });
    }
    this.#frees.clear();
  }

  #freeExtents(freed: readonly ArenaExtent[], out: Out): void {
    const extents = freed.filter(({ segment }) => !isOwnSegment(segment));
    for (const { segment } of freed) {
      if (isOwnSegment(segment)) out.instruct({ type: "dropSegment", segment });
    }
    if (extents.length === 0) return;
    out.send(this.#context.raylet, { type: "freeArena", from: this.#context.self, extents });
  }
}
