/**
 * What stands between a call and its outcome, one step at a time, as far as this process knows.
 * Only what must end first is told: of two that could both help, neither must.
 */
import { objectIdHex, objectKey, type WorkerId } from "#engine/common/ids.ts";
import { ActorClient } from "./actor-client.ts";
import { missingArguments } from "./dependency-resolver.ts";
import type { IncomingTask } from "./incoming-task.ts";
import type { GetRequest } from "./memory-store.ts";
import { LaterReturn, type ObjectEntry, TaskRecord } from "./object-entry.ts";
import type { TaskReceiver } from "./task-receiver.ts";

/** All of `entries` must come first, for the sake of `by`. */
export interface Needs {
  readonly type: "needs";
  readonly why: string;
  readonly by: TaskRecord;
  readonly entries: readonly ObjectEntry[];
}

/** That worker has it, or it waits for its turn there. */
export interface IsAt {
  readonly type: "isAt";
  readonly workerId: WorkerId;
  readonly stream: number;
  readonly seq: number;
}

/** Where its owner has sent a task, or would send it next. */
export interface Place {
  readonly owner: WorkerId;
  readonly serial: number;
  readonly stream: number;
  readonly seq: number;
}

/** The task of this process whose return it is; null for a `put` and for what others own. */
export function taskOf(entry: ObjectEntry): TaskRecord | null {
  if (entry instanceof TaskRecord) return entry;
  return entry instanceof LaterReturn ? entry.task : null;
}

/** A task that waits for resources has none: whoever holds them may end or not. */
export function edgesOf(task: TaskRecord): (Needs | IsAt)[] {
  const { stream, actor } = task;
  if (stream !== null) return [isAt(stream, task.seq)];
  const edges: (Needs | IsAt)[] = [];
  if (task.unresolvedCount > 0) {
    const entries = missingArguments(task);
    edges.push({ type: "needs", why: "it waits for its arguments", by: task, entries });
  }
  if (!(actor instanceof ActorClient)) return edges;
  const first = actor.calls.peek();
  if (first === undefined) return edges;
  if (first !== task && first.unresolvedCount > 0) {
    const why = `it waits behind task ${nameOf(first)} of the same actor`;
    edges.push({ type: "needs", why, by: first, entries: missingArguments(first) });
  } else if (first.unresolvedCount === 0 && actor.stream?.hasEnded === false) {
    edges.push(isAt(actor.stream, actor.stream.nextSeq));
  }
  return edges;
}

/** A running task that something waits for at this worker, and how, for a person. */
export interface Holder {
  readonly task: IncomingTask;
  /** False for one that is before it in line. */
  readonly isItself: boolean;
  readonly text: string;
}

/** At the worker that has a task, or has one before it; null when neither is known to run. */
export function holderOf(receiver: TaskReceiver, place: Place, self: WorkerId): Holder | null {
  const { owner, serial, stream, seq } = place;
  const task = receiver.runningOf(owner, stream, seq);
  if (task !== undefined) {
    if (task.serial !== serial) return null;
    return { task, isItself: true, text: `it runs on worker ${self}` };
  }
  const before = receiver.onlyTaskBefore(owner, stream, seq);
  if (before === null) return null;
  const behind = `behind task ${before.definition.taskName}`;
  const text = `it waits for its turn on worker ${self}, ${behind}`;
  return { task: before, isItself: false, text };
}

function isAt({ workerId, stream }: { workerId: WorkerId; stream: number }, seq: number): IsAt {
  return { type: "isAt", workerId, stream, seq };
}

/** What it lacks, if it ends only with all of that: null when time or the caller may end it. */
export function neededBy(request: GetRequest): ObjectEntry[] | null {
  if (request.deadlineMs !== Infinity || request.isAbortable || request.settled) return null;
  const pending = request.entries.filter(({ state }) => state === "PENDING");
  return request.missingCount === pending.length ? pending : null;
}

export function nameOf(task: TaskRecord): string {
  return task.template.definition.taskName;
}

export function idOf({ owner, serial, index }: ObjectEntry): string {
  return objectIdHex(owner, objectKey(serial, index));
}
