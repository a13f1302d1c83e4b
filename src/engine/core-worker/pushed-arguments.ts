/** What executors were told the place of, with calls that have not been answered. */
import type { ActorSubmitter } from "./actor-submitter.ts";
import type { ObjectEntry } from "./object-entry.ts";
import type { TaskSubmitter } from "./task-submitter.ts";
import type { ToldValues } from "./told-values.ts";

interface Parts {
  readonly submitter: TaskSubmitter;
  readonly actors: ActorSubmitter;
  readonly told: ToldValues;
}

/** A call that brings a managed value reads none in place. */
export function* toldWithCalls({ submitter, actors, told }: Parts): IterableIterator<ObjectEntry> {
  for (const task of submitter.pushed()) yield* told.placesOf(task);
  // The arguments of a constructor are told once, before it is known who gets them.
  for (const task of actors.pushed()) yield* told.placesOf(task);
}
