/** The encoded arguments of a task, when they lie in the arena of its owner. */
import { argumentsIndex } from "#engine/common/ids.ts";
import { noSpecials, StoredValue } from "#engine/protocol/outcome.ts";
import { ObjectEntry, type TaskRecord } from "./object-entry.ts";
import type { ReferenceCounter } from "./reference-counter.ts";

/** The task goes to another node: they are found by a name there until it needs them no more. */
export function nameArguments({ owner, serial, args }: TaskRecord, references: ReferenceCounter) {
  if (!(args instanceof StoredValue)) return;
  if (references.find(owner, { serial, index: argumentsIndex }) !== undefined) return;
  const entry = new ObjectEntry(owner, serial, argumentsIndex);
  const { segment, offset, size } = args;
  // What they name is counted with the task.
  entry.outcome = new StoredValue(segment, offset, size, noSpecials);
  entry.state = "AVAILABLE";
  entry.uses = 1;
  references.name(entry);
}

/** The task has ended for good: their bytes go. */
export function freeArguments({ owner, serial, args }: TaskRecord, references: ReferenceCounter) {
  if (!(args instanceof StoredValue)) return;
  const named = references.find(owner, { serial, index: argumentsIndex });
  if (named === undefined) references.freeEncoded(args);
  else references.dropUse(named);
}
