/** Values that were told to executors with calls which have not been answered. */
import type { ActorSubmitter } from "./actor-submitter.ts";
import { isTopLevel } from "./dependency-resolver.ts";
import type { ObjectEntry, TaskRecord } from "./object-entry.ts";
import type { TaskSubmitter } from "./task-submitter.ts";

export function* toldWithCalls(
  submitter: TaskSubmitter,
  actors: ActorSubmitter,
): IterableIterator<TaskRecord> {
  yield* submitter.pushed();
  // The arguments of a constructor are told once, before it is known who gets them.
  yield* actors.pushed();
}

/** Their values travel with the call; what other refs mean its executor asks for by name. */
export function addArguments({ args, refs }: TaskRecord, entries: Set<ObjectEntry>): void {
  for (const [i, entry] of (refs ?? []).entries()) {
    if (entry !== null && isTopLevel(args.specials[i])) entries.add(entry);
  }
}
