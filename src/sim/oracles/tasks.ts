/**
 * 1 Tasks: one outcome each or a reason to wait, started once at most, the first visible outcome
 * final.
 */
import { objectIdHex, objectKey, taskIdHex } from "#engine/common/ids.ts";
import type { GetRequest } from "#engine/core-worker/memory-store.ts";
import { type ObjectEntry, TaskRecord } from "#engine/core-worker/object-entry.ts";
import type { IncomingTask } from "#engine/core-worker/task-receiver.ts";
import { StoredValue } from "#engine/protocol/outcome.ts";
import type { Cluster } from "#sim/cluster.ts";
import { type Digest, Oracle, type Scope, type Violate, type WatchedProcess } from "./oracle.ts";
import { Recent } from "./recent.ts";

/** Nothing is retried yet. */
const startsMax = 1;

export type ObjectName = Pick<ObjectEntry, "owner" | "serial" | "index">;

interface Starts {
  count: number;
  running: number;
}

interface Told {
  readonly digest: string;
  readonly isStored: boolean;
}

export class TaskOracle extends Oracle {
  readonly name = "1 tasks";
  readonly #seesAll: boolean;
  readonly #starts: Recent<Starts>;
  /** The newest of the ids that each process has given: they rise. */
  readonly #newestKeys = new WeakMap<WatchedProcess, number>();
  /** To be looked at when all is quiet. */
  readonly #tasks = new Map<TaskRecord, WatchedProcess>();
  /** What a process was told first of an object, until it lets go of it. */
  readonly #told = new WeakMap<ObjectEntry, Told>();

  constructor(violate: Violate, { seesAll, rememberedMax }: Scope) {
    super(violate);
    this.#seesAll = seesAll;
    this.#starts = new Recent(rememberedMax);
  }

  override onSubmitted(entries: readonly ObjectEntry[], by: WatchedProcess): void {
    const { workerId } = by.client;
    let newest = this.#newestKeys.get(by) ?? -1;
    for (const entry of entries) {
      if (this.#seesAll && entry instanceof TaskRecord) this.#tasks.set(entry, by);
      if (entry.owner !== workerId) {
        const message = `${workerId} submitted what another process owns`;
        this.violate({ entity: idOf(entry), message });
      }
      const key = objectKey(entry.serial, entry.index);
      if (key <= newest) {
        const message = "its id is not newer than the last: two objects may have the same";
        this.violate({ entity: idOf(entry), message });
      }
      newest = key;
    }
    this.#newestKeys.set(by, newest);
  }

  override onPut(entry: ObjectEntry, _digest: string, by: WatchedProcess): void {
    this.onSubmitted([entry], by);
  }

  override onStarted({ owner, serial, definition }: IncomingTask): void {
    let start = this.#starts.get(owner, serial);
    if (start === undefined) {
      start = { count: 0, running: 0 };
      this.#starts.set(owner, serial, start);
    }
    start.count += 1;
    start.running += 1;
    if (start.running === 1 && start.count <= startsMax) return;
    const entity = taskIdHex(owner, serial);
    const { taskName } = definition;
    if (start.running > 1) {
      this.violate({ entity, message: `two attempts of task ${taskName} run at once` });
    }
    if (start.count > startsMax) {
      this.violate({ entity, message: `task ${taskName} was started ${start.count} times` });
    }
  }

  override onEnded({ owner, serial }: IncomingTask): void {
    const start = this.#starts.get(owner, serial);
    if (start !== undefined) start.running -= 1;
  }

  override onSettled({ entries }: GetRequest, _by: WatchedProcess, digest: Digest): void {
    for (const entry of entries) {
      const { outcome } = entry;
      const first = this.#told.get(entry);
      if (entry.state === "PENDING") {
        if (first !== undefined) this.#contradicted(entry, first, "pending");
        continue;
      }
      const now = { digest: digest(outcome), isStored: outcome instanceof StoredValue };
      if (first === undefined) this.#told.set(entry, now);
      // Bytes that change where they lie are the business of immutability.
      else if (first.digest !== now.digest && !(first.isStored && now.isStored)) {
        this.#contradicted(entry, first, now.digest);
      }
    }
  }

  override atQuiet(cluster: Cluster): void {
    if (mayWaitForEver(cluster)) return;
    for (const [task, { client, life }] of this.#tasks) {
      if (!life.isAlive || task.state !== "PENDING") continue;
      const { taskName } = task.template.definition;
      const why = client.core.pendingReason(task) || "for no reason";
      const message = `task ${taskName} of ${life.name} has no outcome: ${why}`;
      this.violate({ entity: idOf(task), message });
    }
  }

  #contradicted(entry: ObjectEntry, first: Told, now: string): void {
    const message = `its outcome was ${first.digest} and then ${now}`;
    this.violate({ entity: idOf(entry), message });
  }
}

/** What fits no node waits, with that as its reason. */
export function mayWaitForEver({ liveNodes }: Cluster): boolean {
  return liveNodes.some(({ running }) => running.raylet.counts.infeasible > 0);
}

export function idOf({ owner, serial, index }: ObjectName): string {
  return objectIdHex(owner, objectKey(serial, index));
}
