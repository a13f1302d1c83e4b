/** The JS object behind ObjectRef: one count on its entry, given back when disposed or collected. */
import { objectIdHex, objectKey } from "#engine/common/ids.ts";
import type { ObjectEntry, TaskRecord } from "#engine/core-worker/object-entry.ts";
import type { CoreWorkerClient } from "#engine/services/core-worker-client.ts";
import type { ObjectId } from "./ids.ts";
import type { ObjectRef as ObjectRefType, valueType } from "./types.ts";

const inspect = Symbol.for("nodejs.util.inspect.custom");

/** What is left of a ref when it is collected. */
interface Held {
  readonly entry: ObjectEntry;
  readonly client: CoreWorkerClient;
}

export class ObjectRef<T> implements ObjectRefType<T> {
  declare readonly [valueType]: T;
  readonly #entry: ObjectEntry;
  readonly #client: CoreWorkerClient;
  #disposed = false;

  /** The entry's count has been raised for it already. */
  constructor(entry: ObjectEntry, client: CoreWorkerClient) {
    this.#entry = entry;
    this.#client = client;
    reclaimerOf(client).register(this, entry, this);
  }

  get id(): ObjectId {
    const { owner, serial, index } = this.#entry;
    return objectIdHex(owner, objectKey(serial, index)) as ObjectId;
  }

  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    reclaimerOf(this.#client).unregister(this);
    this.#client.dropRef(this.#entry);
  }

  [inspect](): string {
    return `ObjectRef(${this.id})`;
  }

  static is(value: unknown): value is ObjectRef<unknown> {
    return typeof value === "object" && value !== null && #entry in value;
  }

  static entryOf(ref: ObjectRef<unknown>): ObjectEntry {
    return ref.#entry;
  }

  static clientOf(ref: ObjectRef<unknown>): CoreWorkerClient {
    return ref.#client;
  }

  static isDisposed(ref: ObjectRef<unknown>): boolean {
    return ref.#disposed;
  }
}

/** A ref in this process to an entry that is known here. */
export function newRef(entry: ObjectEntry, client: CoreWorkerClient): ObjectRef<unknown> {
  entry.localRefs += 1;
  return new ObjectRef(entry, client);
}

const refReclaimers = new WeakMap<CoreWorkerClient, FinalizationRegistry<ObjectEntry>>();
let lastClient: CoreWorkerClient | undefined;
let lastReclaimer: FinalizationRegistry<ObjectEntry> | undefined;

function reclaimerOf(client: CoreWorkerClient): FinalizationRegistry<ObjectEntry> {
  if (client === lastClient && lastReclaimer !== undefined) return lastReclaimer;
  let reclaimer = refReclaimers.get(client);
  if (reclaimer === undefined) {
    reclaimer = new FinalizationRegistry((entry) => client.dropRef(entry));
    refReclaimers.set(client, reclaimer);
  }
  lastClient = client;
  lastReclaimer = reclaimer;
  return reclaimer;
}

/** Keeps an object in the arena while a view on its bytes lives. */
const viewReclaimer = new FinalizationRegistry<Held>(({ entry, client }) => client.dropView(entry));

export function holdWhileViewed(
  wrapper: object,
  entry: ObjectEntry,
  client: CoreWorkerClient,
): void {
  entry.uses += 1;
  viewReclaimer.register(wrapper, { entry, client });
}

/** The refs of a call just submitted, whose counts are raised: one, or one per return. */
export function refsOf(task: TaskRecord, client: CoreWorkerClient): unknown {
  const first = new ObjectRef(task, client);
  if (task.moreReturns === null) return first;
  return [first, ...task.moreReturns.map((entry) => new ObjectRef(entry, client))];
}
