/**
 * What this process tells of its objects and tasks when its raylet asks.
 *
 * State:  none: all is read from the other parts. A list of tasks that wait in get or wait is sent
 *         when WaitReasons has told why.
 * In/out: CollectState → ListRefs, for objects; RefsListed → StateCollected, in pages.
 * Bounds: the limit of the request, at most `stateRowsMax` rows.
 * Errors: none. Of an object that has a value, no name and no bytes in the arena nothing but its JS
 *         ref knows: the host is asked for those, and says so where it cannot tell.
 * Source: Ray core_worker GetCoreWorkerStats, state API.
 */
import { actorIndex } from "#engine/common/ids.ts";
import {
  type StateListed,
  noClusterRows,
  type ClusterListed,
  type CollectState,
  type LiveTaskState,
  noStateRows,
  type ObjectRow,
  type ReferenceType,
  statePages,
  type StateRows,
  stateRowsMax,
  type TaskRow,
} from "#engine/protocol/state.ts";
import { FailedValue, InlineValue, type Outcome, StoredValue } from "#engine/protocol/outcome.ts";
import { ActorClient } from "./actor-client.ts";
import type { CoreWorkerEvent, RefsListed } from "./calls.ts";
import type { ActorSubmitter } from "./actor-submitter.ts";
import { isCounted, specialsOf } from "./contained-refs.ts";
import type { EndedAttempt } from "./ended-tasks.ts";
import type { GetRequest, MemoryStore } from "./memory-store.ts";
import { type ObjectEntry, TaskRecord } from "./object-entry.ts";
import type { ObjectTable } from "./object-table.ts";
import { pendingTasks } from "./pending-tasks.ts";
import { pendingReason, whyPending } from "./pending-reason.ts";
import type { Out, ProcessContext } from "./process-context.ts";
import type { ReferenceCounter } from "./reference-counter.ts";
import type { IncomingTask } from "./incoming-task.ts";
import type { TaskReceiver } from "./task-receiver.ts";
import type { ObjectRecovery } from "./object-recovery.ts";
import type { TaskManager } from "./task-manager.ts";
import type { TaskRetries } from "./task-retries.ts";
import type { TaskSubmitter } from "./task-submitter.ts";
import { taskOf } from "./wait-edges.ts";
import type { OnTold, WaitReasons } from "./wait-reasons.ts";

export interface StateParts {
  readonly context: ProcessContext;
  readonly manager: TaskManager;
  readonly references: ReferenceCounter;
  readonly objects: ObjectTable;
  readonly actors: ActorSubmitter;
  readonly submitter: TaskSubmitter;
  readonly retries: TaskRetries;
  readonly recovery: ObjectRecovery;
  readonly receiver: TaskReceiver;
  readonly memoryStore: MemoryStore;
  readonly reasons: WaitReasons;
}

/** Rows of one list whose reasons are asked for; those beyond tell what this process knows. */
const asksMax = 32;

export class StateReader {
  readonly #parts: StateParts;

  constructor(parts: StateParts) {
    this.#parts = parts;
  }

  /** False for what asks for no state, and tells of none. */
  route(event: CoreWorkerEvent, nowMs: number, out: Out): boolean {
    switch (event.type) {
      case "collectState":
        this.onCollectState(event, nowMs, out);
        return true;
      case "refsListed":
        this.onRefsListed(event, out);
        return true;
      case "stateListed":
        this.onStateListed(event, out);
        return true;
      case "clusterListed":
        this.onClusterListed(event, out);
        return true;
      default:
        return false;
    }
  }

  onCollectState(request: CollectState, nowMs: number, out: Out): void {
    const limit = Math.min(request.limit, stateRowsMax);
    switch (request.kind) {
      case "objects":
        return out.instruct({ type: "listRefs", request });
      case "tasks":
        return this.#tellTasks(request, limit, nowMs, out);
      case "workers":
      case "stores":
        return this.#send(request, [noStateRows], out);
    }
  }

  onRefsListed({ request, entries, note }: RefsListed, out: Out): void {
    const limit = Math.min(request.limit, stateRowsMax);
    // One more than are told, so that it is known whether there are more.
    const all = this.#objects(entries, limit + 1);
    const pages = statePages(all.slice(0, limit));
    const rows = pages.map((objects) => ({ ...noStateRows, objects }));
    this.#send(request, rows, out, [note, noteOfMore(all)].filter(Boolean).join("; "));
  }

  onStateListed({ requestId, rows, isLast, missing }: StateListed, out: Out): void {
    const page = { ...noClusterRows, ...rows, isLast, missing };
    out.instruct({ type: "listed", requestId, page });
  }

  onClusterListed({ requestId, rows, isLast }: ClusterListed, out: Out): void {
    const page = { ...noStateRows, ...rows, isLast, missing: [] };
    out.instruct({ type: "listed", requestId, page });
  }

  #send(
    { from: raylet, requestId }: CollectState,
    pages: readonly StateRows[],
    out: Out,
    noteAtEnd = "",
  ): void {
    const from = this.#parts.context.self;
    for (const [i, rows] of pages.entries()) {
      const isLast = i === pages.length - 1;
      const note = isLast ? noteAtEnd : "";
      out.send(raylet, { type: "stateCollected", from, requestId, rows, isLast, note });
    }
  }

  // ------------------------------------------------------------ objects

  #objects(referredTo: Iterable<ObjectEntry>, limit: number): ObjectRow[] {
    const pending = pendingTasks(this.#parts);
    const entries = this.#known(pending);
    for (const entry of referredTo) entries.add(entry);
    const used = new Set<ObjectEntry>();
    for (const { refs } of pending) {
      for (const entry of refs ?? []) {
        if (entry === null) continue;
        used.add(entry);
        entries.add(entry);
      }
    }
    const captured = new Set<ObjectEntry>();
    for (const { outcome } of entries) {
      for (const special of specialsOf(outcome)) {
        if (!isCounted(special)) continue;
        const inner = this.#parts.references.find(special.owner, special);
        if (inner !== undefined) captured.add(inner);
      }
    }
    const rows: ObjectRow[] = [];
    for (const entry of entries) {
      if (rows.length >= limit) break;
      const referenceType = referenceTypeOf(entry, used.has(entry), captured.has(entry));
      rows.push(this.#objectRow(entry, referenceType));
    }
    return rows;
  }

  /** Those without an outcome, those with a name, those with bytes, those somebody waits for. */
  #known(pending: Iterable<TaskRecord>): Set<ObjectEntry> {
    const { references, objects, memoryStore } = this.#parts;
    const entries = new Set<ObjectEntry>();
    for (const task of pending) {
      entries.add(task);
      for (const entry of task.moreReturns ?? []) entries.add(entry);
    }
    for (const entry of references.registered()) entries.add(entry);
    for (const entry of objects.values()) entries.add(entry);
    for (const request of memoryStore.waiting()) {
      for (const entry of request.entries) entries.add(entry);
    }
    return entries;
  }

  #objectRow(entry: ObjectEntry, referenceType: ReferenceType): ObjectRow {
    const { owner, serial, index, outcome } = entry;
    const hasValue = entry.state === "AVAILABLE";
    return {
      owner,
      serial,
      index,
      workerId: this.#parts.context.self,
      sizeBytes: hasValue ? sizeOf(outcome) : 0,
      referenceType,
      hasValue,
      isSpilled: false,
      pendingReason: this.#whyMissing(entry),
      callSite: this.#parts.objects.siteOf(entry),
    };
  }

  #whyMissing(entry: ObjectEntry): string {
    const { state, outcome, owner } = entry;
    if (outcome instanceof FailedValue) return `failed: ${outcome.error.message}`;
    if (state !== "PENDING") return "";
    const task = taskOf(entry);
    if (task !== null) return this.#whyPending(task);
    // A handle stands for its actor and has no value; a ref that nobody got waits for nothing.
    if (entry.index === actorIndex) return "";
    if (!entry.subscribed)
      return `its owner, worker ${owner}, was not asked for its value by this one`;
    return `waits for its value from its owner, worker ${owner}`;
  }

  // ------------------------------------------------------------ tasks

  /** Once it is known why those that wait do: most of that only others know. */
  #tellTasks(request: CollectState, limit: number, nowMs: number, out: Out): void {
    const { receiver, reasons } = this.#parts;
    const all = this.#tasks(limit + 1);
    const rows = all.slice(0, limit);
    let openCount = 1;
    const end = (to: Out): void => {
      openCount -= 1;
      if (openCount > 0) return;
      const pages = statePages(rows).map((tasks) => ({ ...noStateRows, tasks }));
      this.#send(request, pages, to, noteOfMore(all));
    };
    // Their rows are the first.
    for (const [i, task] of [...receiver.running].entries()) {
      const row = rows[i];
      if (row === undefined || openCount > asksMax) break;
      const waiting = reasons.waitOf(task);
      if (waiting === null) continue;
      openCount += 1;
      const onTold: OnTold = (pendingReason, isLast, to) => {
        rows[i] = { ...row, pendingReason };
        if (isLast) end(to);
      };
      reasons.ask(waiting.entry, waiting.text, onTold, nowMs, out);
    }
    end(out);
  }

  #tasks(limit: number): TaskRow[] {
    const rows: TaskRow[] = [];
    const waiting = [...this.#parts.memoryStore.waiting()];
    for (const task of this.#parts.receiver.running) {
      if (rows.length >= limit) return rows;
      rows.push(this.#runningRow(task, waiting));
    }
    for (const task of pendingTasks(this.#parts)) {
      if (rows.length >= limit) return rows;
      if (!isCreation(task)) rows.push(this.#pendingRow(task));
    }
    for (const attempt of this.#parts.manager.ended.newest()) {
      if (rows.length >= limit) return rows;
      rows.push(this.#endedRow(attempt));
    }
    return rows;
  }

  #endedRow({ serial, attempt, template, actorId, errorMessage }: EndedAttempt): TaskRow {
    return {
      owner: this.#parts.context.self,
      serial,
      name: template.definition.taskName,
      state: errorMessage === null ? "FINISHED" : "FAILED",
      attempt,
      actorId,
      workerId: null,
      resources: template.definition.resources,
      pendingReason: "",
      errorMessage: errorMessage ?? "",
    };
  }

  #runningRow(task: IncomingTask, waiting: readonly GetRequest[]): TaskRow {
    const { owner, serial, attempt, definition } = task;
    const request = task.waiting ? waiting.find(({ waiter }) => waiter === task) : undefined;
    const inGet = request?.failsEarly === true ? "RUNNING_IN_GET" : "RUNNING_IN_WAIT";
    const why = this.#parts.reasons.waitOf(task);
    return {
      owner,
      serial,
      name: definition.taskName,
      state: request === undefined ? "RUNNING" : inGet,
      attempt,
      actorId: this.#parts.receiver.actor?.spec.actorId ?? null,
      workerId: this.#parts.context.self,
      resources: definition.resources,
      pendingReason: why === null ? "" : `${why.text}${whyPending(why.entry, this.#parts)}`,
      errorMessage: "",
    };
  }

  #pendingRow(task: TaskRecord): TaskRow {
    const { owner, serial, attempt, template, stream, actor } = task;
    const { taskName, resources } = template.definition;
    return {
      owner,
      serial,
      name: taskName,
      state: stateOf(task),
      attempt,
      actorId: actor instanceof ActorClient ? actor.actorId : null,
      workerId: stream?.workerId ?? null,
      resources,
      pendingReason: this.#whyPending(task),
      errorMessage: "",
    };
  }

  #whyPending(task: TaskRecord): string {
    const { stream } = task;
    if (stream !== null) return `was sent to worker ${stream.workerId} and has not ended`;
    return pendingReason(task, this.#parts) || "waits for a worker";
  }
}

/** Less was asked for on purpose. */
function noteOfMore({ length }: readonly unknown[]): string {
  return length > stateRowsMax ? `has more than ${stateRowsMax}, and told no more of them` : "";
}

function isCreation(task: TaskRecord): boolean {
  return task.actor instanceof ActorClient && task.actor.creation?.task === task;
}

function stateOf({ unresolvedCount, stream, actor }: TaskRecord): LiveTaskState {
  if (unresolvedCount > 0) return "PENDING_ARGS_AVAIL";
  if (stream !== null) return "SUBMITTED_TO_WORKER";
  return actor === null ? "PENDING_NODE_ASSIGNMENT" : "PENDING_ACTOR_TASK_ORDERING_OR_CONCURRENCY";
}

/** Why it is kept; the first that applies, as Ray's `ray memory` tells it. */
function referenceTypeOf(
  { localRefs, index }: ObjectEntry,
  isUsed: boolean,
  isCaptured: boolean,
): ReferenceType {
  if (index === actorIndex) return "ACTOR_HANDLE";
  if (localRefs > 0) return "LOCAL_REFERENCE";
  if (isUsed) return "USED_BY_PENDING_TASK";
  return isCaptured ? "CAPTURED_IN_OBJECT" : "PINNED_IN_MEMORY";
}

function sizeOf(outcome: Outcome): number {
  if (outcome instanceof StoredValue) return outcome.size;
  if (outcome instanceof InlineValue) return outcome.length;
  if (typeof outcome === "string") return 2 * outcome.length;
  return typeof outcome === "number" ? 8 : 1;
}
