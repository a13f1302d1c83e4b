/**
 * 1 Tasks: one outcome each or a reason to wait, started once at most, the first visible outcome
 * final.
 */
import { nodeIdOf, objectIdHex, objectKey, taskIdHex, type WorkerId } from "#engine/common/ids.ts";
import type { GetRequest } from "#engine/core-worker/memory-store.ts";
import { type ObjectEntry, TaskRecord } from "#engine/core-worker/object-entry.ts";
import type { IncomingTask } from "#engine/core-worker/task-receiver.ts";
import { FailedValue, type Outcome } from "#engine/protocol/outcome.ts";
import type { Cluster, SimProcess } from "#sim/cluster.ts";
import { type Digest, Oracle, readableIn } from "./oracle.ts";

/** Nothing is retried yet. */
const startsMax = 1;

export class TaskOracle extends Oracle {
  readonly name = "1 tasks";
  readonly #starts = new Map<string, { count: number; running: number }>();
  readonly #submitted = new Set<string>();
  readonly #tasks = new Map<TaskRecord, SimProcess>();
  /** What a process was told first of an object. */
  readonly #told = new Map<ObjectEntry, string>();

  override onSubmitted(entries: readonly ObjectEntry[], by: SimProcess): void {
    const { client } = by;
    for (const entry of entries) {
      if (entry instanceof TaskRecord) this.#tasks.set(entry, by);
      const entity = idOf(entry);
      if (entry.owner !== client.workerId) {
        this.violate({ entity, message: `${client.workerId} submitted what another process owns` });
      }
      if (this.#submitted.has(entity)) {
        this.violate({ entity, message: "two objects have the same id" });
      }
      this.#submitted.add(entity);
    }
  }

  override onPut(entry: ObjectEntry, _digest: string, by: SimProcess): void {
    this.onSubmitted([entry], by);
  }

  override onStarted({ owner, serial, definition }: IncomingTask): void {
    const entity = taskIdHex(owner, serial);
    const start = this.#starts.get(entity) ?? { count: 0, running: 0 };
    this.#starts.set(entity, start);
    const { taskName } = definition;
    if (start.running > 0) {
      this.violate({ entity, message: `two attempts of task ${taskName} run at once` });
    }
    start.count += 1;
    start.running += 1;
    if (start.count > startsMax) {
      this.violate({ entity, message: `task ${taskName} was started ${start.count} times` });
    }
  }

  override onEnded({ owner, serial }: IncomingTask): void {
    const start = this.#starts.get(taskIdHex(owner, serial));
    if (start !== undefined) start.running -= 1;
  }

  override onSettled({ entries }: GetRequest, by: SimProcess, digest: Digest): void {
    for (const entry of entries) {
      const read = readableIn(by, entry);
      if (read === null) {
        if (entry.state === "PENDING" && this.#told.has(entry)) {
          this.#contradicted(entry, "pending");
        }
        continue;
      }
      const now = digest(read.outcome);
      const first = this.#told.get(entry);
      // What was there may be lost, whatever was told of it: oracle 4 asks whether that is true.
      if (first === undefined || isLoss(read.outcome)) this.#told.set(entry, now);
      else if (first !== now) this.#contradicted(entry, now);
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

  #contradicted(entry: ObjectEntry, now: string): void {
    const first = this.#told.get(entry);
    this.violate({ entity: idOf(entry), message: `its outcome was ${first} and then ${now}` });
  }
}

function isLoss(outcome: Outcome): boolean {
  if (!(outcome instanceof FailedValue)) return false;
  return outcome.error.type === "OBJECT_LOST" || outcome.error.type === "OWNER_DIED";
}

/** What fits no node waits, with that as its reason. */
export function mayWaitForEver({ liveNodes }: Cluster): boolean {
  return liveNodes.some(({ running }) => running.raylet.counts.infeasible > 0);
}

export function idOf({ owner, serial, index }: ObjectEntry): string {
  return objectIdHex(owner, objectKey(serial, index));
}

/** A process that has ended, or whose node was taken for dead by the GCS. */
export function isGone(cluster: Cluster, workerId: WorkerId): boolean {
  const { driver, workers, gcs } = cluster;
  if (gcs.hasBuried(nodeIdOf(workerId))) return true;
  const process = [driver, ...workers].find(({ client }) => client.workerId === workerId);
  return process === undefined || !process.life.isAlive;
}
