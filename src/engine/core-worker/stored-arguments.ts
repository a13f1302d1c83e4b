/** The encoded arguments of a task, when they lie in the arena of its owner. */
import { argumentsIndex, type NodeId } from "#engine/common/ids.ts";
import { managedSegment } from "#engine/protocol/arena.ts";
import { noSpecials, StoredValue } from "#engine/protocol/outcome.ts";
import { ObjectEntry, type TaskRecord } from "./object-entry.ts";
import type { ReferenceCounter } from "./reference-counter.ts";
import { releaseBuffers } from "./transferred-buffers.ts";

/**
 * They are found by a name until the task needs them no more: it goes to another node, or their
 * raylet may move them. Undefined for what travels with the call.
 */
export function nameArguments(
  { owner, serial, args }: TaskRecord,
  references: ReferenceCounter,
): ObjectEntry | undefined {
  if (!(args instanceof StoredValue)) return undefined;
  const known = references.find(owner, { serial, index: argumentsIndex });
  if (known !== undefined) return known;
  const entry = new ObjectEntry(owner, serial, argumentsIndex);
  const { segment, offset, size, node } = args;
  // What they name is counted with the task.
  entry.outcome = new StoredValue(segment, offset, size, noSpecials, node);
  entry.state = "AVAILABLE";
  entry.uses = 1;
  references.name(entry);
  return entry;
}

/** What the task is pushed with from now on: where they lie is its raylet's business. */
export function manageArguments(task: TaskRecord, raylet: NodeId): void {
  const { size, specials } = task.args as StoredValue;
  task.args = new StoredValue(managedSegment, 0, size, specials, raylet);
}

/** The task has ended for good: their bytes go, and what was transferred with it. */
export function freeArguments(task: TaskRecord, references: ReferenceCounter): void {
  const { owner, serial, args } = task;
  releaseBuffers(task, references);
  if (!(args instanceof StoredValue)) return;
  const named = references.find(owner, { serial, index: argumentsIndex });
  if (named === undefined) references.freeEncoded(args);
  else references.dropUse(named);
}
