/**
 * 1 Tasks: one outcome each or a reason to wait, each attempt started once at most and only while
 * no other runs, no more of them than the budget gives, the first visible outcome final. What runs
 * in a process that is dead, or was declared so, is doomed and does not count.
 */
import { nodeIdOf, objectIdHex, objectKey, taskIdHex, type WorkerId } from "#engine/common/ids.ts";
import type { GetRequest } from "#engine/core-worker/memory-store.ts";
import { type ObjectEntry, TaskRecord } from "#engine/core-worker/object-entry.ts";
import type { IncomingTask } from "#engine/core-worker/task-receiver.ts";
import type { Cluster, SimProcess } from "#sim/cluster.ts";
import { type Digest, Oracle, type Violate } from "./oracle.ts";

interface Attempts {
  /** Numbers of those that were started. */
  readonly started: Set<number>;
  readonly running: Map<IncomingTask, SimProcess>;
}

export class TaskOracle extends Oracle {
  readonly name = "1 tasks";
  readonly #cluster: () => Cluster;
  readonly #attempts = new Map<string, Attempts>();
  readonly #submitted = new Set<string>();
  readonly #startsMax = new Map<string, number>();
  readonly #tasks = new Map<TaskRecord, SimProcess>();
  /** What a process was told first of an object. */
  readonly #told = new Map<ObjectEntry, string>();

  constructor(violate: Violate, cluster: () => Cluster) {
    super(violate);
    this.#cluster = cluster;
  }

  override onSubmitted(entries: readonly ObjectEntry[], by: SimProcess): void {
    const { client } = by;
    for (const entry of entries) {
      if (entry instanceof TaskRecord) {
        this.#tasks.set(entry, by);
        // No simulated worker runs out of memory, which has a budget of its own.
        const most = 1 + entry.template.retry.maxRetries;
        this.#startsMax.set(taskIdHex(entry.owner, entry.serial), most);
      }
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

  override onStarted(task: IncomingTask, by: SimProcess): void {
    const { owner, serial, attempt, definition } = task;
    const entity = taskIdHex(owner, serial);
    const attempts = this.#attempts.get(entity) ?? { started: new Set(), running: new Map() };
    this.#attempts.set(entity, attempts);
    const { started, running } = attempts;
    const what = `attempt ${attempt} of task ${definition.taskName}`;
    if (started.has(attempt)) this.violate({ entity, message: `${what} was started twice` });
    for (const [other, process] of running) {
      if (isGone(this.#cluster(), process.client.workerId)) continue;
      this.violate({ entity, message: `${what} runs beside attempt ${other.attempt}` });
    }
    started.add(attempt);
    running.set(task, by);
    const most = this.#startsMax.get(entity) ?? 1;
    if (attempt >= most) this.violate({ entity, message: `${what} is one too many of ${most}` });
  }

  override onEnded(task: IncomingTask): void {
    this.#attempts.get(taskIdHex(task.owner, task.serial))?.running.delete(task);
  }

  override onSettled({ entries }: GetRequest, _by: SimProcess, digest: Digest): void {
    for (const entry of entries) {
      if (entry.state === "PENDING") {
        if (this.#told.has(entry)) this.#contradicted(entry, "pending");
        continue;
      }
      const now = digest(entry.outcome);
      const first = this.#told.get(entry);
      if (first === undefined) this.#told.set(entry, now);
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
