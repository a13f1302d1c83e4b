/**
 * The copies of objects on this node that other nodes may ask for, or came from there: kept for
 * their owner (primary), or until their room is needed (secondary).
 *
 * A copy is in memory, on the disk, or both. One whose owner may read it in place stays where it is
 * until its owner offers it: from then on it is managed, and who reads it has a pin.
 *
 * State:  copies by owner and object, newest version last; those that nobody reads by last use:
 *         secondaries, clean ones (on the disk too) and those that may be spilled; copies that were
 *         freed while something still uses them.
 * In/out: objectSealed, objectsOffered, objectWritten, pinCopy, freeObjects, pins, the end of an
 *         owner → objectsKept, copyPinned, copyGone, segmentFreed, room in the store, spill files.
 * Bounds: the room in the store and on the disk.
 * Errors: none; what is freed twice, or was never here, is not news.
 * Limits: what a process of this node put into its own arena is registered here once another node
 *         asks for it; when that process dies its bytes are for ArenaReclaims to give back, as
 *         views on them may live here.
 * Source: Ray local_object_manager; protocols §5.
 */
import { assert } from "#engine/common/assert.ts";
import { type Address, type NodeId, objectKey, type WorkerId } from "#engine/common/ids.ts";
import { isOfStore, isOverflow, managedSegment } from "#engine/protocol/arena.ts";
import type {
  CopyGone,
  CopyName,
  FreeObjects,
  ObjectSealed,
  ObjectsOffered,
  ObjectWritten,
  PinCopy,
  SealedObject,
} from "#engine/protocol/copy.ts";
import type { ArenaExtent } from "#engine/protocol/object.ts";
import type { ObjectName } from "#engine/protocol/task.ts";
import type { ObjectStore } from "#engine/object-store/object-store.ts";
import { Copy, nameOf } from "./copy.ts";
import { CopyQueue } from "./copy-queue.ts";
import type { RayletOut } from "./placement-queue.ts";
import type { SpillFiles } from "./spill-files.ts";

export class LocalObjects {
  readonly #self: NodeId;
  readonly #store: ObjectStore;
  readonly #files: SpillFiles;
  readonly #byOwner = new Map<WorkerId, Map<number, Copy[]>>();
  /** Primaries in memory alone that nobody reads, the least recently used first. */
  readonly spillable = new CopyQueue();
  /** On the disk too: to give up their memory costs nothing but reading them again. */
  readonly #clean = new CopyQueue();
  readonly #secondaries = new CopyQueue();
  /** Beyond the store, and to be had elsewhere: they go at once. */
  readonly #overflowing = new CopyQueue();
  /** Freed, and still in use. */
  readonly #leaving = new Set<Copy>();
  readonly #queues = [this.spillable, this.#clean, this.#secondaries, this.#overflowing];
  #forsakenCount = 0;
  #hasUnpinned = false;
  #lastArrival = 0;
  /** Nobody can find it any more; something may still read it. */
  readonly onUnlisted: ((copy: Copy) => void)[] = [];

  constructor(self: NodeId, store: ObjectStore, files: SpillFiles) {
    this.#self = self;
    this.#store = store;
    this.#files = files;
  }

  /** Nobody uses it, so that its room can be had: a pin would take that. */
  isIdle(copy: Copy): boolean {
    return this.#queueOf(copy) !== null;
  }

  /** What can be had without writing anything. */
  get evictableBytes(): number {
    return this.#clean.bytes + this.#secondaries.bytes;
  }

  get hasForsaken(): boolean {
    return this.#forsakenCount > 0;
  }

  /** Whether a forsaken copy has lost its last pin, since this was last asked. */
  takeUnpinned(): boolean {
    const hasUnpinned = this.#hasUnpinned;
    this.#hasUnpinned = false;
    return hasUnpinned;
  }

  *forsakenBy(owner: WorkerId): IterableIterator<Copy> {
    if (this.#forsakenCount === 0) return;
    for (const copy of this.#leaving) if (copy.isForsaken && copy.owner === owner) yield copy;
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
      if (!isOwners) this.#store.keep(sealed.extent, message.from);
      if (hasEnded(sealed.owner)) this.#store.free(sealed.extent);
      else this.#add(new Copy(sealed, isOwners ? "owner's" : "primary"));
    }
  }

  /** Their owner reads them through us from now on. */
  onObjectsOffered({ from, objects, told }: ObjectsOffered, revoke: (copy: Copy) => void): void {
    for (const offered of objects) this.manage(this.#offered(from, offered));
    for (const offered of told) {
      const copy = this.#offered(from, offered);
      copy.wasTold = true;
      revoke(copy);
    }
  }

  /** Nobody reads it in place any more. */
  manage(copy: Copy): void {
    copy.isManaged = true;
    if (copy.extent !== null) this.#store.keep(copy.extent, copy.owner);
    this.#sort(copy);
  }

  /** It was never in memory; its file is one like ours from now on. */
  onObjectWritten({ from, serial, index, version, place }: ObjectWritten): void {
    this.#files.onWritten(place.file, 1);
    const extent = { segment: managedSegment, offset: 0, size: place.size };
    const owner = from as WorkerId;
    const copy = new Copy({ owner, serial, index, version, extent }, "owner's");
    copy.extent = null;
    copy.spilled = place;
    copy.isManaged = true;
    this.#add(copy);
  }

  kept({ from, requestId }: ObjectSealed | ObjectsOffered | ObjectWritten, out: RayletOut): void {
    out.send(from, { type: "objectsKept", from: this.#self, requestId });
  }

  addSecondary(sealed: SealedObject): Copy {
    const copy = new Copy(sealed, "secondary");
    copy.arrival = this.#lastArrival += 1;
    this.#add(copy);
    return copy;
  }

  onPinCopy({ from, copy: name }: PinCopy, out: RayletOut): void {
    const copy = this.find(from as WorkerId, name, name.version);
    if (copy !== undefined) {
      copy.isPrimary = true;
      this.#sort(copy);
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
    // Freed by their owner, who would have been told when they lose their last pin.
    for (const copy of this.#leaving) {
      if (copy.owner === owner && !copy.isManaged && !copy.isForsaken) this.#forsake(copy);
    }
    for (const list of [...(this.#byOwner.get(owner)?.values() ?? [])]) {
      for (const copy of [...list]) {
        if (copy.isManaged) this.#leave(copy, out);
        else if (copy.pinCount === 0) this.#unlist(copy);
        else {
          this.#forsake(copy);
          this.#leave(copy, out);
        }
      }
    }
  }

  pin(copy: Copy): void {
    copy.pinCount += 1;
    this.#sort(copy);
  }

  unpin(copy: Copy, out: RayletOut): void {
    assert(copy.pinCount > 0, "a pin is taken off once");
    copy.pinCount -= 1;
    if (copy.pinCount > 0) return;
    if (this.#leaving.delete(copy)) this.#giveBack(copy, out);
    else this.#sort(copy);
  }

  /** It was read for another node. */
  touch(copy: Copy): void {
    this.#sort(copy);
  }

  /** It is in memory again. */
  onRestored(copy: Copy, extent: ArenaExtent): void {
    assert(copy.extent === null && copy.isRestoring, "what is restored was not in memory");
    copy.isRestoring = false;
    copy.extent = extent;
  }

  /** Nobody needs it any more; its last pin gives up its places. */
  isLeaving(copy: Copy): boolean {
    return this.#leaving.has(copy);
  }

  /** What is on the disk is not what was written there. */
  lose(copy: Copy, cause: string, out: RayletOut): void {
    if (this.#leaving.has(copy)) return;
    this.#leave(copy, out);
    this.tellGone(copy, { nodeId: this.#self, lastArrival: this.lastArrival, cause }, out);
  }

  /**
   * Gives up the memory of the copy that was used the longest ago, first of one that is on the
   * disk; false if there is none.
   */
  evict(out: RayletOut): boolean {
    const clean = this.#clean.first;
    if (clean !== undefined) {
      this.#evictClean(clean);
      return true;
    }
    const secondary = this.#secondaries.first;
    if (secondary === undefined) return false;
    this.#evictSecondary(secondary, out);
    return true;
  }

  /** Nobody reads it any more. */
  evictOverflow(out: RayletOut): void {
    for (const copy of this.#overflowing) {
      if (copy.spilled === null) this.#evictSecondary(copy, out);
      else this.#evictClean(copy);
    }
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
    for (const copy of this.#leaving) assert(copy.pinCount > 0, "a copy leaves with its last pin");
    this.#files.checkInvariants(this.all());
    assert(this.#overflowing.bytes === 0, "what lies beyond the store for nobody is gone");
    for (const [owner, copies] of this.#byOwner) {
      assert(copies.size > 0, "an owner without copies is not listed");
      for (const [key, list] of copies) {
        assert(list.length > 0, "an object without copies is not listed");
        for (const copy of list) {
          assert(copy.owner === owner, "a copy is listed under its owner");
          assert(objectKey(copy.serial, copy.index) === key, "a copy is listed under its name");
          assert(copy.extent !== null || copy.spilled !== null, "a copy is somewhere");
          assert(!copy.isRestoring || copy.pinCount > 0, "what is read back has a pin");
          const queue = this.#queueOf(copy);
          for (const one of this.#queues) {
            assert(one.has(copy) === (one === queue), "an unused copy stands in its queue");
          }
        }
      }
    }
  }

  #offered(from: Address, offered: SealedObject): Copy {
    assert(offered.owner === from, "a process offers what it owns");
    const known = this.find(offered.owner, offered, offered.version);
    if (known !== undefined) return known;
    const copy = new Copy(offered, "owner's");
    this.#add(copy);
    return copy;
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
    this.#sort(copy);
  }

  /** Among those that nobody reads, or none of them: as the one that was used last. */
  #sort(copy: Copy): void {
    const queue = this.#queueOf(copy);
    for (const other of this.#queues) {
      if (other !== queue) other.delete(copy);
    }
    queue?.add(copy);
  }

  #queueOf(copy: Copy): CopyQueue | null {
    if (copy.pinCount > 0 || copy.extent === null || this.#leaving.has(copy)) return null;
    const { segment } = copy.extent;
    if (copy.spilled !== null || !copy.isPrimary) {
      if (isOverflow(segment)) return this.#overflowing;
      return copy.spilled === null ? this.#secondaries : this.#clean;
    }
    return copy.isManaged && isOfStore(segment) ? this.spillable : null;
  }

  #evictClean(copy: Copy): void {
    assert(copy.extent !== null, "a clean copy is in memory");
    this.#store.free(copy.extent);
    copy.extent = null;
    this.#sort(copy);
  }

  #evictSecondary(copy: Copy, out: RayletOut): void {
    this.#leave(copy, out);
    const { lastArrival } = this;
    const cause = "its room was needed";
    this.tellGone(copy, { nodeId: this.#self, lastArrival, cause }, out);
  }

  #leave(copy: Copy, out: RayletOut): void {
    this.#unlist(copy);
    if (copy.pinCount > 0) this.#leaving.add(copy);
    else this.#giveBack(copy, out);
  }

  /** Its bytes are those of the dead process, of which others are asked. */
  #forsake(copy: Copy): void {
    copy.isForsaken = true;
    this.#forsakenCount += 1;
  }

  #unlist(copy: Copy): void {
    for (const listener of this.onUnlisted) listener(copy);
    for (const queue of this.#queues) queue.delete(copy);
    const copies = this.#byOwner.get(copy.owner);
    const key = objectKey(copy.serial, copy.index);
    const left = copies?.get(key)?.filter((other) => other !== copy) ?? [];
    if (left.length > 0) copies?.set(key, left);
    else copies?.delete(key);
    if (copies?.size === 0) this.#byOwner.delete(copy.owner);
  }

  #giveBack(copy: Copy, out: RayletOut): void {
    if (copy.isForsaken) {
      this.#forsakenCount -= 1;
      this.#hasUnpinned = true;
      return;
    }
    const { owner, extent, spilled, isOwners } = copy;
    if (spilled !== null) this.#files.release(spilled, out);
    copy.spilled = null;
    if (extent === null) return;
    if (isOfStore(extent.segment)) {
      // Who wrote it may not have said yet that it is its owner's.
      this.#store.keep(extent, owner);
      this.#store.free(extent);
    } else if (isOwners) {
      const { segment } = extent;
      out.send(owner, { type: "segmentFreed", from: this.#self, segment });
    }
  }
}
