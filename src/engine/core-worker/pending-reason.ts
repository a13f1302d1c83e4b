/** Why something has no outcome yet, in words, as far as its process knows. */
import type { ActorSubmitter } from "./actor-submitter.ts";
import { missingArguments } from "./dependency-resolver.ts";
import type { ObjectEntry, TaskRecord } from "./object-entry.ts";
import type { ObjectRecovery } from "./object-recovery.ts";
import type { TaskRetries } from "./task-retries.ts";
import type { TaskSubmitter } from "./task-submitter.ts";
import { idOf, nameOf, taskOf } from "./wait-edges.ts";

/** Tasks told of in a row, each of which waits for the next. */
const depthMax = 6;

export interface Submitters {
  readonly actors: ActorSubmitter;
  readonly submitter: TaskSubmitter;
  readonly retries: TaskRetries;
  readonly recovery: ObjectRecovery;
}

/** "" when there is nothing to say: it is on its way, or runs. */
export function pendingReason(task: TaskRecord, submitters: Submitters, depth = 0): string {
  if (task.unresolvedCount > 0) {
    const [first] = missingArguments(task);
    const isTold = first !== undefined && depth < depthMax;
    const why = isTold ? `: ${whyPending(first, submitters, depth + 1)}` : "";
    return `waits for its arguments${why}`;
  }
  const again = submitters.recovery.reasonOf(task);
  if (task.stream !== null) return again;
  if (task.actor === null) {
    const { retries, submitter } = submitters;
    const reason = retries.pendingReason(task) || submitter.pendingReason(task);
    return again === "" || reason === "" ? again || reason : `${again}: ${reason}`;
  }
  const client = submitters.actors.clientOfTask(task);
  if (client.pendingReason !== "") return client.pendingReason;
  const first = client.calls.peek();
  if (first !== undefined && first !== task) {
    return `waits behind task ${nameOf(first)} of the same actor`;
  }
  return client.stream === null ? `waits for its actor ${client.className} to be created` : "";
}

/** What it is, and why it is not there. */
export function whyPending(entry: ObjectEntry, submitters: Submitters, depth = 0): string {
  if (entry.state === "AVAILABLE") return `object ${idOf(entry)}: its bytes are on their way here`;
  const task = taskOf(entry);
  if (task === null) return `object ${idOf(entry)} of worker ${entry.owner}: it has no value yet`;
  const { stream } = task;
  const sent = stream === null ? "it has not ended" : `it was sent to worker ${stream.workerId}`;
  const reason = pendingReason(task, submitters, depth) || sent;
  return `task ${nameOf(task)} (${idOf(entry)}): ${reason}`;
}
