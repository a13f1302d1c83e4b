/**
 * 1 Tasks: one outcome each or a reason to wait, each attempt started once at most and only while
 * no other runs, no more of them than the budget gives, the first visible outcome final. What runs
 * in a process that is dead, or was declared so, is doomed and does not count.
 */
import { objectIdHex, objectKey, taskIdHex, type WorkerId } from "#engine/common/ids.ts";
import type { GetRequest } from "#engine/core-worker/memory-store.ts";
import { type ObjectEntry, TaskRecord } from "#engine/core-worker/object-entry.ts";
import type { IncomingTask } from "#engine/core-worker/incoming-task.ts";
import { FailedValue, type Outcome, StoredValue } from "#engine/protocol/outcome.ts";
import type { Cluster } from "#sim/cluster/cluster.ts";
import {
  type Digest,
  type Fates,
  Oracle,
  readableIn,
  type Scope,
  type Violate,
  type WatchedProcess,
} from "./oracle.ts";
import { Recent } from "./recent.ts";

export type ObjectName = Pick<ObjectEntry, "owner" | "serial" | "index">;

interface Attempt {
  readonly number: number;
  readonly workerId: WorkerId;
  /** Null once it has ended. */
  task: IncomingTask | null;
}

interface Attempts {
  readonly startsMax: number;
  started: readonly Attempt[];
}

interface Told {
  readonly digest: string;
  readonly isStored: boolean;
}

const none: readonly Attempt[] = [];

export class TaskOracle extends Oracle {
  readonly name = "1 tasks";
  readonly #seesAll: boolean;
  #wasForced = false;
  readonly #fates: () => Fates;
  readonly #attempts: Recent<Attempts>;
  /** The newest of the ids that each process has given: they rise. */
  readonly #newestKeys = new WeakMap<WatchedProcess, number>();
  /** To be looked at when all is quiet. */
  readonly #tasks = new Map<TaskRecord, WatchedProcess>();
  /** Of these a process knows that they had a value, wherever that lay. */
  readonly #wereMade = new WeakSet<ObjectEntry>();
  /** What a process was told first of an object, until it lets go of it. */
  readonly #told = new WeakMap<ObjectEntry, Told>();

  constructor(violate: Violate, fates: () => Fates, { seesAll, rememberedMax }: Scope) {
    super(violate);
    this.#fates = fates;
    this.#seesAll = seesAll;
    this.#attempts = new Recent(rememberedMax);
  }

  override onSubmitted(entries: readonly ObjectEntry[], by: WatchedProcess): void {
    const { workerId } = by.client;
    let newest = this.#newestKeys.get(by) ?? -1;
    for (const entry of entries) {
      if (entry instanceof TaskRecord) {
        if (this.#seesAll) this.#tasks.set(entry, by);
        const startsMax = 1 + entry.template.retry.maxRetries;
        this.#attempts.set(entry.owner, entry.serial, { startsMax, started: none });
      }
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

  override onStarted(task: IncomingTask, { client }: WatchedProcess): void {
    const attempts = this.#attemptsOf(task);
    const { started, startsMax } = attempts;
    const { attempt } = task;
    if (started.length > 0) this.#checkOthers(task, started);
    // As a rule the only one: a list that grows has room for many.
    attempts.started = [...started, { number: attempt, workerId: client.workerId, task }];
    // Each thread that was ended for want of memory may have cost an attempt: of a budget apart.
    const forMemory = startsMax > 1 ? this.#fates().endedForMemoryCount : 0;
    // Who was beside a task that was cancelled by force runs again at no cost.
    if (attempt < startsMax + forMemory || (this.#wasForced && startsMax > 1)) return;
    this.#wrong(task, `is one too many of ${startsMax}`);
  }

  override onCancelling(_entry: ObjectEntry, force: boolean): void {
    if (force) this.#wasForced = true;
  }

  override onEnded(task: IncomingTask): void {
    const { started } = this.#attempts.get(task.owner, task.serial) ?? { started: none };
    const attempt = started.find((start) => start.task === task);
    if (attempt !== undefined) attempt.task = null;
  }

  override onSettled({ entries }: GetRequest, by: WatchedProcess, digest: Digest): void {
    for (const entry of entries) {
      this.#checkLoss(entry);
      const first = this.#told.get(entry);
      const read = readableIn(by, entry);
      if (read === null) {
        const isBack = entry.state === "PENDING" && first !== undefined;
        if (isBack && !this.#mayBeLost(first)) this.#contradicted(entry, first, "pending");
        continue;
      }
      const { outcome } = read;
      const now = { digest: digest(outcome), isStored: outcome instanceof StoredValue };
      // Whether a loss is true is the question of oracle 4.
      if (first === undefined || isLoss(outcome)) this.#told.set(entry, now);
      // Bytes that change where they lie are the business of immutability.
      else if (first.digest !== now.digest && !(first.isStored && now.isStored)) {
        if (this.#mayBeLost(first)) this.#told.set(entry, now);
        else this.#contradicted(entry, first, now.digest);
      }
    }
  }

  /** What ends with its owner now is to be in somebody's hands. */
  override atJobEnd(cluster: Cluster): void {
    const busy = new Set<WorkerId>();
    for (const { client } of cluster.liveWorkers) {
      if (client.core.receiver.runningCount > 0) busy.add(client.workerId);
    }
    for (const [task, { client, life }] of this.#tasks) {
      if (!life.isAlive || task.state !== "PENDING" || client.core.pendingReason(task) !== "")
        continue;
      if (task.stream !== null && busy.has(task.stream.workerId)) continue;
      const { taskName } = task.template.definition;
      const message = `task ${taskName} of ${life.name} has no outcome, and nobody runs it`;
      this.violate({ entity: idOf(task), message });
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

  #attemptsOf({ owner, serial }: IncomingTask): Attempts {
    let attempts = this.#attempts.get(owner, serial);
    if (attempts === undefined) {
      attempts = { startsMax: this.#seesAll ? 1 : Infinity, started: none };
      this.#attempts.set(owner, serial, attempts);
    }
    return attempts;
  }

  #checkOthers(task: IncomingTask, started: readonly Attempt[]): void {
    if (started.some(({ number }) => number === task.attempt)) {
      this.#wrong(task, "was started twice");
    }
    for (const other of started) {
      if (other.task === null || this.#fates().isGone(other.workerId)) continue;
      this.#wrong(task, `runs beside attempt ${other.number}`);
    }
  }

  #wrong({ owner, serial, attempt, definition }: IncomingTask, what: string): void {
    const message = `attempt ${attempt} of task ${definition.taskName} ${what}`;
    this.violate({ entity: taskIdHex(owner, serial), message });
  }

  /** Bytes in an arena go with their node, and may be made anew. */
  #mayBeLost({ isStored }: Told): boolean {
    const { hasLostNode, hasLostSpilled } = this.#fates();
    return isStored && (hasLostNode || hasLostSpilled);
  }

  /** What had a value can only be lost: that an argument cannot be had is why, not what failed. */
  #checkLoss(entry: ObjectEntry): void {
    const { outcome } = entry;
    if (outcome instanceof StoredValue) this.#wereMade.add(entry);
    if (!(outcome instanceof FailedValue) || !this.#wereMade.has(entry)) return;
    const { type, subject } = outcome.error;
    if (subject === "" || subject.startsWith(taskIdHex(entry.owner, entry.serial))) return;
    const message = `it had a value, and now the failure of another: ${type} of ${subject}`;
    this.violate({ entity: idOf(entry), message });
  }

  #contradicted(entry: ObjectEntry, first: Told, now: string): void {
    const message = `its outcome was ${first.digest} and then ${now}`;
    this.violate({ entity: idOf(entry), message });
  }
}

const losses: ReadonlySet<string> = new Set([
  "OBJECT_LOST",
  "OBJECT_RECONSTRUCTION_FAILED",
  "OWNER_DIED",
]);

function isLoss(outcome: Outcome): boolean {
  return outcome instanceof FailedValue && losses.has(outcome.error.type);
}

/** What fits no node waits, with that as its reason. */
export function mayWaitForEver({ liveNodes }: Cluster): boolean {
  return liveNodes.some(({ running }) => running.raylet.counts.infeasible > 0);
}

export function idOf({ owner, serial, index }: ObjectName): string {
  return objectIdHex(owner, objectKey(serial, index));
}
