/**
 * The JS object behind ObjectRef: one count on its entry, given back when disposed or collected.
 */
import { objectIdHex, objectKey } from "#engine/common/ids.ts";
import type { ObjectEntry, TaskRecord } from "#engine/core-worker/object-entry.ts";
import { holdsSomething } from "#engine/core-worker/task-manager.ts";
import type { ArenaExtent } from "#engine/protocol/object.ts";
import { StoredValue } from "#engine/protocol/outcome.ts";
import type { CoreWorkerClient } from "#engine/services/core-worker-client.ts";
import { captureCallSite, describeLocation } from "./identity/call-site.ts";
import { findLiving } from "./heap-search.ts";
import type { ObjectId } from "./ids.ts";
import type { ObjectRef as ObjectRefType, valueType } from "./types.ts";

const inspect = Symbol.for("nodejs.util.inspect.custom");

export class ObjectRef<T> implements ObjectRefType<T> {
  declare readonly [valueType]: T;
  readonly #entry: ObjectEntry;
  readonly #client: CoreWorkerClient;
  #state: "unwatched" | "watched" | "disposed" = "unwatched";

  /** The entry's count has been raised for it already. */
  constructor(entry: ObjectEntry, client: CoreWorkerClient) {
    this.#entry = entry;
    this.#client = client;
    client.reclaimer.roster?.add(this);
  }

  get id(): ObjectId {
    const { owner, serial, index } = this.#entry;
    return objectIdHex(owner, objectKey(serial, index)) as ObjectId;
  }

  [Symbol.dispose](): void {
    if (this.#state === "disposed") return;
    const { reclaimer } = this.#client;
    if (this.#state === "watched") reclaimer.unwatch(this);
    reclaimer.roster?.delete(this);
    this.#state = "disposed";
    this.#entry.unwatched = null;
    this.#client.dropRef(this.#entry);
  }

  [inspect](): string {
    return `ObjectRef(${this.id})`;
  }

  static is(value: unknown): value is ObjectRef<unknown> {
    return typeof value === "object" && value !== null && #entry in value;
  }

  /** At once what nearly every ref of a list is: a living one of this very process. */
  static entryIn(ref: unknown, client: CoreWorkerClient): ObjectEntry | undefined {
    if (typeof ref !== "object" || ref === null || !(#entry in ref)) return undefined;
    return ref.#client === client && ref.#state !== "disposed" ? ref.#entry : undefined;
  }

  static entryOf(ref: ObjectRef<unknown>): ObjectEntry {
    return ref.#entry;
  }

  static clientOf(ref: ObjectRef<unknown>): CoreWorkerClient {
    return ref.#client;
  }

  static isDisposed(ref: ObjectRef<unknown>): boolean {
    return ref.#state === "disposed";
  }

  /**
   * From now on its collection is told. Finalization registries make what they watch survive until
   * a full collection, so a ref is only watched when somebody must act on its end.
   */
  static watch(ref: ObjectRef<unknown>): void {
    if (ref.#state === "disposed") return;
    if (ref.#state === "unwatched") {
      ref.#state = "watched";
      watchRef(ref, ref.#entry, ref.#client);
    }
    const { outcome } = ref.#entry;
    if (outcome instanceof StoredValue) ref.#client.reclaimer.weigh?.(ref, outcome.size);
  }
}

/** What JS refs of this process keep, whoever else knows of it; throws where V8 cannot tell. */
export function referredTo(client: CoreWorkerClient): Iterable<ObjectEntry> {
  const entries = new Set<ObjectEntry>();
  for (const ref of client.reclaimer.roster ?? findLiving(ObjectRef.prototype)) {
    // Others live in this thread, too.
    if (!ObjectRef.is(ref) || ObjectRef.clientOf(ref) !== client) continue;
    if (!ObjectRef.isDisposed(ref)) entries.add(ObjectRef.entryOf(ref));
  }
  return entries;
}

/** Apart from the class: what is called later must not keep the ref alive. */
function watchRef(ref: object, entry: ObjectEntry, client: CoreWorkerClient): void {
  client.reclaimer.watch(ref, () => client.dropRef(entry));
}

/** The function that user code called to make an object: its caller is where that was made. */
export type CreationCall = (...args: never[]) => unknown;

export function recordsSites(client: CoreWorkerClient): boolean {
  return client.core.context.config.recordRefCreationSites > 0;
}

/** Where an object was made, for `mobula/state`: only when it was asked for, and not for free. */
export function recordSite(
  entry: ObjectEntry,
  client: CoreWorkerClient,
  calledFrom: CreationCall,
): void {
  client.core.objects.setSite(entry, describeLocation(captureCallSite(calledFrom)));
}

function recordSites(task: TaskRecord, client: CoreWorkerClient, calledFrom: CreationCall): void {
  recordSite(task, client, calledFrom);
  const site = client.core.objects.siteOf(task);
  for (const entry of task.moreReturns ?? []) client.core.objects.setSite(entry, site);
}

/** A ref in this process to an entry that is known here. */
export function newRef(entry: ObjectEntry, client: CoreWorkerClient): ObjectRef<unknown> {
  entry.localRefs += 1;
  const ref = new ObjectRef(entry, client);
  ObjectRef.watch(ref);
  return ref;
}

/** The first ref to an object that this process has just made; its count is raised. */
export function firstRef(entry: ObjectEntry, client: CoreWorkerClient): ObjectRef<unknown> {
  const ref = new ObjectRef(entry, client);
  if (entry.state === "PENDING") entry.unwatched = ref;
  else if (holdsSomething(entry)) ObjectRef.watch(ref);
  return ref;
}

/**
 * The same memory as `buffer` in an object of its own: every view made on it keeps it alive, and it
 * keeps the entry in the arena until it is collected.
 */
export function wrapperFor(
  { buffer, extent }: { readonly buffer: SharedArrayBuffer; readonly extent: ArenaExtent },
  entry: ObjectEntry,
  client: CoreWorkerClient,
): SharedArrayBuffer {
  const { reclaimer } = client;
  const { copies } = client.core;
  // What was pulled stays on this node for as long as a view on it lives.
  const copy = copies.size === 0 ? undefined : copies.find(entry.owner, entry);
  const known = reclaimer.recall(copy ?? entry);
  if (known instanceof SharedArrayBuffer) return known;
  const wrapper = structuredClone(buffer);
  reclaimer.remember(copy ?? entry, wrapper);
  entry.uses += 1;
  client.core.views.add(entry, extent);
  const user = {};
  copy?.users.set(user, 1);
  reclaimer.watch(wrapper, () => {
    client.dropView(entry);
    if (copy !== undefined) client.dropCopy(copy, user);
  });
  // Also of an argument, whose value came with the task and is not in its entry.
  reclaimer.weigh?.(wrapper, extent.size);
  return wrapper;
}

/** The refs of a call just submitted, whose counts are raised: one, or one per return. */
export function refsOf(
  task: TaskRecord,
  client: CoreWorkerClient,
  calledFrom: CreationCall,
): unknown {
  const first = firstRef(task, client);
  if (recordsSites(client)) recordSites(task, client, calledFrom);
  if (task.moreReturns === null) return first;
  return [first, ...task.moreReturns.map((entry) => firstRef(entry, client))];
}
