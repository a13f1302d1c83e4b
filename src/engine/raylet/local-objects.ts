/**
 * The copies of objects on this node that other nodes may ask for, or came from there: kept for
 * their owner (primary), or until their room is needed (secondary).
 *
 * State:  copies by owner and object, newest version last; idle secondaries by last use; copies
 *         that were freed while a process here still reads them.
 * In/out: objectSealed, pinCopy, freeObjects, pins of the pulls, the end of an owner →
 *         objectsKept, copyPinned, copyGone, segmentFreed, room in the store.
 * Bounds: the room in the store.
 * Errors: none; what is freed twice, or was never here, is not news.
 * Limits: what a process of this node put into its own arena is registered here once another node
 *         asks for it; when that process dies its bytes stay, as views on them may live here.
 * Source: Ray local_object_manager; protocols §5.
 */
import { assert } from "#engine/common/assert.ts";
import { type NodeId, objectKey, type WorkerId } from "#engine/common/ids.ts";
import { ownSegmentsFrom } from "#engine/protocol/arena.ts";
import type {
  CopyGone,
  CopyName,
  FreeObjects,
  ObjectSealed,
  PinCopy,
  SealedObject,
} from "#engine/protocol/copy.ts";
import type { ArenaExtent } from "#engine/protocol/object.ts";
import type { ObjectName } from "#engine/protocol/task.ts";
import type { ObjectStore } from "#engine/object-store/object-store.ts";
import type { RayletOut } from "./placement-queue.ts";

export class Copy implements CopyName {
  readonly owner: WorkerId;
  readonly serial: number;
  readonly index: number;
  readonly version: number;
  readonly extent: ArenaExtent;
  /** Its owner counts on it; others go when room is needed. */
  isPrimary: boolean;
  /** The owner itself wrote it, in this node's arena. */
  readonly isOwners: boolean;
  /** Processes of this node that read it. */
  pinCount = 0;
  /** When it was brought here, among all that were; 0 for what was made here. */
  arrival = 0;

  constructor({ owner, serial, index, version, extent }: SealedObject, kind: CopyKind) {
    this.owner = owner;
    this.serial = serial;
    this.index = index;
    this.version = version;
    this.extent = extent;
    this.isPrimary = kind !== "secondary";
    this.isOwners = kind === "owner's";
  }
}

export type CopyKind = "owner's" | "primary" | "secondary";

export class LocalObjects {
  readonly #self: NodeId;
  readonly #store: ObjectStore;
  readonly #byOwner = new Map<WorkerId, Map<number, Copy[]>>();
  /** Secondaries that nobody reads, the least recently used first. */
  readonly #idle = new Set<Copy>();
  /** Freed, and still read by a process. */
  readonly #leaving = new Set<Copy>();
  #lastArrival = 0;

  constructor(self: NodeId, store: ObjectStore) {
    this.#self = self;
    this.#store = store;
  }

  get lastArrival(): number {
    return this.#lastArrival;
  }

  /** For status and tests. */
  *all(): IterableIterator<Copy> {
    for (const copies of this.#byOwner.values()) for (const list of copies.values()) yield* list;
    yield* this.#leaving;
  }

  /** The newest version, or the one that is asked for. */
  find(owner: WorkerId, name: ObjectName, version?: number): Copy | undefined {
    const list = this.#byOwner.get(owner)?.get(objectKey(name.serial, name.index));
    if (version === undefined) return list?.at(-1);
    return list?.find((copy) => copy.version === version);
  }

  /** `hasEnded`: its owner does not need it any more, nor anything else. */
  onObjectSealed(message: ObjectSealed, hasEnded: (owner: WorkerId) => boolean): void {
    for (const sealed of message.objects) {
      const isOwners = sealed.owner === message.from;
      if (hasEnded(sealed.owner)) this.#store.free(sealed.extent);
      else this.#add(new Copy(sealed, isOwners ? "owner's" : "primary"));
    }
  }

  kept({ from, requestId }: ObjectSealed, out: RayletOut): void {
    out.send(from, { type: "objectsKept", from: this.#self, requestId });
  }

  addSecondary(sealed: SealedObject): Copy {
    const copy = new Copy(sealed, "secondary");
    copy.arrival = this.#lastArrival += 1;
    this.#add(copy);
    this.#idle.add(copy);
    return copy;
  }

  onPinCopy({ from, copy: name }: PinCopy, out: RayletOut): void {
    const copy = this.find(from as WorkerId, name, name.version);
    if (copy !== undefined) {
      copy.isPrimary = true;
      this.#idle.delete(copy);
    }
    const isHere = copy !== undefined;
    out.send(from, { type: "copyPinned", from: this.#self, copy: name, isHere });
  }

  onFreeObjects({ from, objects }: FreeObjects, out: RayletOut): void {
    for (const name of objects) {
      const copy = this.find(from as WorkerId, name, name.version);
      if (copy !== undefined) this.#leave(copy, out);
    }
  }

  /** Nobody will ask for them any more. */
  onOwnerEnded(owner: WorkerId, out: RayletOut): void {
    for (const list of [...(this.#byOwner.get(owner)?.values() ?? [])]) {
      for (const copy of [...list]) {
        if (copy.isOwners) this.#unlist(copy);
        else this.#leave(copy, out);
      }
    }
  }

  pin(copy: Copy): void {
    copy.pinCount += 1;
    this.#idle.delete(copy);
  }

  unpin(copy: Copy, out: RayletOut): void {
    assert(copy.pinCount > 0, "a pin is taken off once");
    copy.pinCount -= 1;
    if (copy.pinCount > 0) return;
    if (this.#leaving.delete(copy)) this.#giveBack(copy, out);
    else if (!copy.isPrimary) this.#idle.add(copy);
  }

  /** It was read for another node. */
  touch(copy: Copy): void {
    if (this.#idle.delete(copy)) this.#idle.add(copy);
  }

  /** Gives up the copy that was used the longest ago; false if there is none. */
  evict(out: RayletOut): boolean {
    for (const copy of this.#idle) {
      this.#leave(copy, out);
      const { lastArrival } = this;
      const cause = "its room was needed";
      this.tellGone(copy, { nodeId: this.#self, lastArrival, cause }, out);
      return true;
    }
    return false;
  }

  /** That node has no copy, this one or another. */
  tellGone(
    object: CopyName & { readonly owner: WorkerId },
    where: Pick<CopyGone, "nodeId" | "lastArrival" | "cause">,
    out: RayletOut,
  ): void {
    const copy = nameOf(object);
    out.send(object.owner, { type: "copyGone", from: this.#self, copy, ...where });
  }

  checkInvariants(): void {
    for (const copy of this.#idle) {
      assert(copy.pinCount === 0 && !copy.isPrimary, "an idle copy is a secondary without a pin");
    }
    for (const copy of this.#leaving) assert(copy.pinCount > 0, "a copy leaves with its last pin");
    for (const [owner, copies] of this.#byOwner) {
      assert(copies.size > 0, "an owner without copies is not listed");
      for (const [key, list] of copies) {
        assert(list.length > 0, "an object without copies is not listed");
        for (const copy of list) {
          assert(copy.owner === owner, "a copy is listed under its owner");
          assert(objectKey(copy.serial, copy.index) === key, "a copy is listed under its name");
          const isIdle = copy.pinCount === 0 && !copy.isPrimary;
          assert(this.#idle.has(copy) === isIdle, "an unused secondary may be evicted");
        }
      }
    }
  }

  #add(copy: Copy): void {
    let copies = this.#byOwner.get(copy.owner);
    if (copies === undefined) {
      copies = new Map();
      this.#byOwner.set(copy.owner, copies);
    }
    const key = objectKey(copy.serial, copy.index);
    const list = copies.get(key) ?? [];
    assert(
      list.every(({ version }) => version !== copy.version),
      "a version is made once",
    );
    list.push(copy);
    list.sort((a, b) => a.version - b.version);
    copies.set(key, list);
  }

  #leave(copy: Copy, out: RayletOut): void {
    this.#unlist(copy);
    if (copy.pinCount > 0) this.#leaving.add(copy);
    else this.#giveBack(copy, out);
  }

  #unlist(copy: Copy): void {
    this.#idle.delete(copy);
    const copies = this.#byOwner.get(copy.owner);
    const key = objectKey(copy.serial, copy.index);
    const left = copies?.get(key)?.filter((other) => other !== copy) ?? [];
    if (left.length > 0) copies?.set(key, left);
    else copies?.delete(key);
    if (copies?.size === 0) this.#byOwner.delete(copy.owner);
  }

  #giveBack({ owner, extent, isOwners }: Copy, out: RayletOut): void {
    if (extent.segment < ownSegmentsFrom) this.#store.free(extent);
    else if (isOwners) {
      const { segment } = extent;
      out.send(owner, { type: "segmentFreed", from: this.#self, segment });
    }
  }
}

export function nameOf({ serial, index, version }: CopyName): CopyName {
  return { serial, index, version };
}
