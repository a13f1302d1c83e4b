/** The tasks of this process that have no outcome yet. */
import type { ActorSubmitter } from "./actor-submitter.ts";
import { type ObjectEntry, TaskRecord } from "./object-entry.ts";
import type { ReferenceCounter } from "./reference-counter.ts";
import type { TaskRetries } from "./task-retries.ts";
import type { TaskSubmitter } from "./task-submitter.ts";

/** Also those that wait for others to end: they hang on them. */
export function pendingTasks(parts: {
  readonly submitter: TaskSubmitter;
  readonly actors: ActorSubmitter;
  readonly retries: TaskRetries;
  readonly references: ReferenceCounter;
}): Set<TaskRecord> {
  const { submitter, actors, retries, references } = parts;
  const tasks = new Set<TaskRecord>(retries.unfinished());
  for (const task of submitter.unfinished()) tasks.add(task);
  for (const task of actors.unfinished()) tasks.add(task);
  for (const entry of references.registered()) addDependents(entry, tasks);
  for (const task of tasks) {
    addDependents(task, tasks);
    for (const entry of task.moreReturns ?? []) addDependents(entry, tasks);
  }
  return tasks;
}

function addDependents({ waiters }: ObjectEntry, tasks: Set<TaskRecord>): void {
  const all = Array.isArray(waiters) ? waiters : [waiters];
  for (const waiter of all) {
    if (waiter instanceof TaskRecord && waiter.state === "PENDING") tasks.add(waiter);
  }
}
