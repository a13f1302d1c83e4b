/** Values that were told to executors with calls which have not been answered. */
import type { ActorSubmitter } from "./actor-submitter.ts";
import { isTopLevel } from "./dependency-resolver.ts";
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

/** Their values travel with the call, and the places of some refs that its arguments only name. */
export function addArguments(task: TaskRecord, told: ToldValues, entries: Set<ObjectEntry>): void {
  const { args, refs } = task;
  for (const [i, entry] of (refs ?? []).entries()) {
    if (entry !== null && isTopLevel(args.specials[i])) entries.add(entry);
  }
  for (const entry of told.placesOf(task)) entries.add(entry);
}
