/** Values that were told to executors with calls which have not been answered. */
import type { ActorSubmitter } from "./actor-submitter.ts";
import type { ObjectEntry, TaskRecord } from "./object-entry.ts";
import type { TaskSubmitter } from "./task-submitter.ts";
import type { ToldValues } from "./told-values.ts";

export function* toldWithCalls(
  submitter: TaskSubmitter,
  actors: ActorSubmitter,
): IterableIterator<TaskRecord> {
  yield* submitter.pushed();
  // The arguments of a constructor are told once, before it is known who gets them.
  yield* actors.pushed();
}

/** Of which it was told where they lie. A call that brings a managed value reads none in place. */
export function addArguments(task: TaskRecord, told: ToldValues, entries: Set<ObjectEntry>): void {
  for (const entry of told.placesOf(task)) entries.add(entry);
}
