/**
 * Stored objects that this process reads through its raylet: those of owners on other nodes, and
 * those whose bytes lie there. Asked for when something here needs the bytes, kept for a while
 * after the last use.
 *
 * State:  a copy an object, asked for or here; who uses it; idle ones by deadline.
 * In/out: what get, wait, tasks and views need → pullObject, unpinObjects; objectLocal → who waits.
 * Bounds: as many as are used, or were within `copyLingerMs`.
 * Errors: what the raylet has instead of a copy is told to who waits.
 * Source: protocols §5.
 */
import { assert } from "#engine/common/assert.ts";
import { DeadlineQueue } from "#engine/common/deadline-queue.ts";
import { objectKey, type WorkerId } from "#engine/common/ids.ts";
import { managedSegment } from "#engine/protocol/arena.ts";
import type { ObjectLocal, PullPriority } from "#engine/protocol/copy.ts";
import { type Outcome, type Special, StoredValue } from "#engine/protocol/outcome.ts";
import type { ObjectName } from "#engine/protocol/task.ts";
import type { ObjectEntry } from "./object-entry.ts";
import type { Out, ProcessContext } from "./process-context.ts";

/** How long a store that was too full is taken for one. */
const hurryMs = 1_000;
const hurriedLingerMs = 1;

/** A call of get or wait, a task that needs arguments, a view: whatever is counted once. */
export type CopyUser = object;

export class LocalCopy {
  readonly owner: WorkerId;
  readonly serial: number;
  readonly index: number;
  requestId: number;
  /** The version that the owner has told of, and what its bytes name, wherever they lie. */
  version: number;
  specials: readonly Special[];
  priority: PullPriority;
  /** In this node's arena; null until it is here. */
  value: StoredValue | null = null;
  /** What came is not what the owner had told of: it is asked what that is. Null if it is. */
  untold: ObjectEntry | null = null;
  /** … and the raylet keeps it for us. */
  came: StoredValue | null = null;
  /** How often each waits for it. */
  readonly users = new Map<CopyUser, number>();
  idleUntilMs = Infinity;

  constructor(wanted: Wanted, requestId: number) {
    const { owner, name, value, priority } = wanted;
    this.owner = owner;
    this.serial = name.serial;
    this.index = name.index;
    this.version = value.version;
    this.specials = value.specials;
    this.priority = priority;
    this.requestId = requestId;
  }
}

export interface Wanted {
  readonly owner: WorkerId;
  readonly name: ObjectName;
  /** As its owner has told of it: it may lie anywhere. */
  readonly value: StoredValue;
  readonly priority: PullPriority;
}

export class LocalCopies {
  /** Something was let go of: `flush` is due. */
  hasNews = false;
  readonly #context: ProcessContext;
  readonly #byOwner = new Map<WorkerId, Map<number, LocalCopy>>();
  readonly #byRequest = new Map<number, LocalCopy>();
  readonly #idle = new DeadlineQueue<LocalCopy>();
  /** Lost their last user in this event. */
  readonly #newlyIdle: LocalCopy[] = [];
  readonly #unpinned: number[] = [];
  #nextRequestId = 1;
  #hurriesUntilMs = -Infinity;

  constructor(context: ProcessContext) {
    this.#context = context;
  }

  get size(): number {
    return this.#byRequest.size;
  }

  /** For status and tests. */
  all(): IterableIterator<LocalCopy> {
    return this.#byRequest.values();
  }

  /**
   * Whether this process may read the bytes where they are: its own node's, of its own owners,
   * unless the raylet may move them.
   */
  isNear(owner: WorkerId, { node, segment }: StoredValue): boolean {
    const { self, raylet } = this.#context;
    if ((node !== null && node !== raylet) || segment === managedSegment) return false;
    return owner === self || owner.startsWith(raylet);
  }

  /** It is this node's raylet that knows where it lies. */
  isManagedHere({ segment, node }: StoredValue): boolean {
    return segment === managedSegment && node === this.#context.raylet;
  }

  find(owner: WorkerId, { serial, index }: ObjectName): LocalCopy | undefined {
    return this.#byOwner.get(owner)?.get(objectKey(serial, index));
  }

  /** Whether an object that has an outcome can be read at once. */
  isReadable(entry: ObjectEntry): boolean {
    const { outcome, owner } = entry;
    if (!(outcome instanceof StoredValue) || this.isNear(owner, outcome)) return true;
    const value = this.find(owner, entry)?.value;
    return value !== null && value !== undefined;
  }

  /** The outcome with its bytes in this node's arena. */
  readable(entry: ObjectEntry): Outcome {
    const { outcome, owner } = entry;
    if (!(outcome instanceof StoredValue) || this.isNear(owner, outcome)) return outcome;
    const value = this.find(owner, entry)?.value ?? null;
    assert(value !== null, "what lies elsewhere is read once it is here");
    return value;
  }

  /** `user` needs the object, which is here, for longer than this event. */
  hold(entry: ObjectEntry, user: CopyUser): void {
    const copy = this.find(entry.owner, entry);
    // One that others wait for is not what this one reads: it is not to be told of it as they are.
    if (copy === undefined || copy.value === null) return;
    if (!copy.users.has(user)) copy.users.set(user, 1);
  }

  /** `user` waits for it, once more. The copy may be here already. */
  want(wanted: Wanted, user: CopyUser, out: Out): LocalCopy {
    const { owner, name, priority } = wanted;
    let copy = this.find(owner, name);
    if (copy === undefined) {
      copy = new LocalCopy(wanted, this.#nextRequestId++);
      this.#list(copy);
      this.#ask(copy, out);
    } else if (copy.value === null && priority < copy.priority) {
      copy.priority = priority;
      this.#ask(copy, out);
    }
    copy.users.set(user, (copy.users.get(user) ?? 0) + 1);
    return copy;
  }

  /** `user` is done with it, or waits no longer. */
  letGo(copy: LocalCopy, user: CopyUser): void {
    if (!copy.users.delete(user) || copy.users.size > 0) return;
    this.hasNews = true;
    if (copy.value === null) this.#drop(copy);
    else this.#newlyIdle.push(copy);
  }

  /** As `letGo`, and it does not stay for a while: others need its room. */
  giveUp(copy: LocalCopy, user: CopyUser): void {
    if (!copy.users.delete(user) || copy.users.size > 0) return;
    this.hasNews = true;
    this.#drop(copy);
  }

  /** Undefined when nobody waits for it any more. */
  awaited({ requestId }: ObjectLocal): LocalCopy | undefined {
    const copy = this.#byRequest.get(requestId);
    return copy === undefined || copy.value !== null ? undefined : copy;
  }

  /** Its bytes are here, and they are what the owner has told of. */
  place(copy: LocalCopy, { segment, offset, size, node, version }: StoredValue): void {
    copy.value = new StoredValue(segment, offset, size, copy.specials, node, version);
  }

  /** Nothing is read through the raylet: it has nothing for us, or need not keep it. */
  end(copy: LocalCopy, isKept: boolean): void {
    if (isKept) this.#drop(copy);
    else this.#unlist(copy);
    this.hasNews = true;
  }

  /** Asks for what the owner tells of now, for all who wait; what came instead is let go of. */
  askAnew(copy: LocalCopy, isKept: boolean, out: Out): void {
    this.end(copy, isKept);
    copy.requestId = this.#nextRequestId++;
    this.#list(copy);
    this.#ask(copy, out);
  }

  /** The store is too full: what is kept for a while only goes now, or very soon. */
  hurry(nowMs: number): void {
    this.#hurriesUntilMs = nowMs + hurryMs;
    for (const copy of [...this.#byRequest.values()]) {
      if (copy.users.size > 0) continue;
      this.hasNews = true;
      this.#drop(copy);
    }
  }

  nextDeadlineMs(): number {
    return this.#idle.nextMs();
  }

  onDeadline(nowMs: number): void {
    for (let copy = this.#idle.takeDue(nowMs); copy; copy = this.#idle.takeDue(nowMs)) {
      if (copy.users.size > 0 || copy.idleUntilMs > nowMs) continue;
      if (this.#byRequest.get(copy.requestId) !== copy) continue;
      this.hasNews = true;
      this.#drop(copy);
    }
  }

  /** Ends an event: tells what it let go of. */
  flush(nowMs: number, out: Out): void {
    this.hasNews = false;
    if (this.#newlyIdle.length > 0) this.#keepForAWhile(nowMs);
    this.tellDropped(out);
  }

  /** Before anything is asked for again. */
  tellDropped(out: Out): void {
    if (this.#unpinned.length === 0) return;
    const { self, raylet } = this.#context;
    const requestIds = this.#unpinned.splice(0);
    out.send(raylet, { type: "unpinObjects", from: self, requestIds });
  }

  checkInvariants(): void {
    assert(this.#newlyIdle.length === 0, "an event ended before its copies were settled");
    for (const copy of this.#byRequest.values()) {
      assert(this.find(copy.owner, copy) === copy, "a copy is listed under its name");
      assert(copy.value !== null || copy.users.size > 0, "nobody waits for a copy that is pulled");
    }
  }

  #ask({ requestId, owner, serial, index, priority }: LocalCopy, out: Out): void {
    const { self, raylet } = this.#context;
    const object = { serial, index };
    out.send(raylet, { type: "pullObject", from: self, requestId, owner, object, priority });
  }

  #keepForAWhile(nowMs: number): void {
    const { copyLingerMs } = this.#context.config;
    const isHurried = nowMs < this.#hurriesUntilMs;
    // Whoever was just told of it reads it when this event is over.
    const untilMs = nowMs + (isHurried ? Math.min(hurriedLingerMs, copyLingerMs) : copyLingerMs);
    for (const copy of this.#newlyIdle.splice(0)) {
      if (copy.users.size > 0 || this.#byRequest.get(copy.requestId) !== copy) continue;
      copy.idleUntilMs = untilMs;
      this.#idle.add(untilMs, copy);
    }
  }

  #drop(copy: LocalCopy): void {
    // It has ended already: another may go by its name.
    if (this.#byRequest.get(copy.requestId) !== copy) return;
    this.#unlist(copy);
    this.#unpinned.push(copy.requestId);
  }

  #list(copy: LocalCopy): void {
    let copies = this.#byOwner.get(copy.owner);
    if (copies === undefined) {
      copies = new Map();
      this.#byOwner.set(copy.owner, copies);
    }
    copies.set(objectKey(copy.serial, copy.index), copy);
    this.#byRequest.set(copy.requestId, copy);
  }

  #unlist(copy: LocalCopy): void {
    this.#byRequest.delete(copy.requestId);
    const copies = this.#byOwner.get(copy.owner);
    copies?.delete(objectKey(copy.serial, copy.index));
    if (copies?.size === 0) this.#byOwner.delete(copy.owner);
  }
}
