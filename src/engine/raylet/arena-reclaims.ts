/**
 * What a dead process had in this node's memory: given out again once no process of the node reads
 * any of it. Each is asked, for all of them read values of each other where they lie.
 *
 * Whoever is told that a process has died takes no place of a value of that one any more. So what
 * nobody names when all have answered nobody will ever read; one that starts later is asked first
 * of all while any answer is missing.
 *
 * State:  by dead process those that have not answered, and what the others read.
 * In/out: ends of processes, arenaInUse → askArenaUse, room in the store, DropSegments.
 * Bounds: processes of the node, and the views that their user code keeps.
 * Errors: none; one that dies has answered, and reads nothing.
 */
import { assert } from "#engine/common/assert.ts";
import type { Address, NodeId, WorkerId } from "#engine/common/ids.ts";
import { isOwnSegment } from "#engine/protocol/arena.ts";
import type { ArenaExtent, ArenaInUse } from "#engine/protocol/object.ts";
import type { ObjectStore } from "#engine/object-store/object-store.ts";
import type { LocalObjects } from "./local-objects.ts";
import type { RayletOut } from "./placement-queue.ts";

class Reclaim {
  /** Have not answered, and live. */
  readonly asked = new Set<Address>();
  /** What each reads; no list is empty. */
  readonly uses = new Map<Address, readonly ArenaExtent[]>();
  /** Something has changed since the last look. */
  isDue = true;
}

export class ArenaReclaims {
  readonly #self: NodeId;
  readonly #store: ObjectStore;
  readonly #objects: LocalObjects;
  /** Of this node that have not ended: also those that are told to. */
  readonly #living: () => Iterable<WorkerId>;
  readonly #open = new Map<WorkerId, Reclaim>();

  constructor(parts: {
    nodeId: NodeId;
    store: ObjectStore;
    objects: LocalObjects;
    living: () => Iterable<WorkerId>;
  }) {
    this.#self = parts.nodeId;
    this.#store = parts.store;
    this.#objects = parts.objects;
    this.#living = parts.living;
  }

  get openCount(): number {
    return this.#open.size;
  }

  /** Something of the dead process may still be read. */
  isOpen(process: WorkerId): boolean {
    return this.#open.has(process);
  }

  /** A process of this node has ended, and all others were told so. */
  onProcessEnded(process: WorkerId, out: RayletOut): void {
    for (const reclaim of this.#open.values()) {
      const wasAsked = reclaim.asked.delete(process);
      if (reclaim.uses.delete(process) || wasAsked) reclaim.isDue = true;
    }
    const reclaim = new Reclaim();
    this.#open.set(process, reclaim);
    for (const other of this.#living()) this.#ask(other, process, reclaim, out);
  }

  /** The dead that it has to know of, before it can hear of anything that they had. */
  *before(): IterableIterator<WorkerId> {
    for (const [process, { asked }] of this.#open) if (asked.size > 0) yield process;
  }

  /** It was told of those `before` it. */
  onProcessReady(process: WorkerId, out: RayletOut): void {
    for (const dead of [...this.before()]) {
      this.#ask(process, dead, this.#open.get(dead) as Reclaim, out);
    }
  }

  onArenaInUse({ from, of, extents }: ArenaInUse): void {
    const reclaim = this.#open.get(of);
    if (reclaim === undefined) return;
    reclaim.asked.delete(from);
    if (extents.length > 0) reclaim.uses.set(from, extents);
    else reclaim.uses.delete(from);
    reclaim.isDue = true;
  }

  /** It was given something that had been on its way. */
  onGiven(to: WorkerId): void {
    const reclaim = this.#open.get(to);
    if (reclaim !== undefined) reclaim.isDue = true;
  }

  /** Ends every event of the raylet. */
  settle(out: RayletOut): void {
    if (this.#open.size === 0) return;
    const hasUnpinned = this.#objects.takeUnpinned();
    for (const [process, reclaim] of this.#open) {
      if (reclaim.asked.size > 0 || (!reclaim.isDue && !hasUnpinned)) continue;
      reclaim.isDue = false;
      const kept = [...reclaim.uses.values()].flat();
      for (const { extent } of this.#objects.forsakenBy(process)) {
        if (extent !== null) kept.push(extent);
      }
      this.#store.reclaim(process, kept);
      const segments = kept.map(({ segment }) => segment).filter(isOwnSegment);
      out.instruct({ type: "dropSegments", workerId: process, kept: segments });
      if (kept.length === 0) this.#open.delete(process);
    }
  }

  checkInvariants(): void {
    for (const { asked, uses } of this.#open.values()) {
      assert(asked.size + uses.size > 0 || this.#objects.hasForsaken, "nothing is waited for");
      for (const extents of uses.values()) assert(extents.length > 0, "a use is of something");
    }
  }

  #ask(process: WorkerId, of: WorkerId, { asked }: Reclaim, out: RayletOut): void {
    asked.add(process);
    out.send(process, { type: "askArenaUse", from: this.#self, of });
  }
}
