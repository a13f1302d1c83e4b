/**
 * Which tasks of this thread wait in get or wait: told to the core worker when a turn ends with it
 * still so, not at the call, since most values come at once.
 */
import type { TaskContext } from "./task-context.ts";

const undeclared = new Set<TaskContext>();
let checkIsDue = false;

export function startWaiting(context: TaskContext): void {
  context.pendingCount += 1;
  if (context.pendingCount > 1 || context.task === null) return;
  undeclared.add(context);
  if (checkIsDue) return;
  checkIsDue = true;
  context.client.host.soon(declare);
}

export function stopWaiting(context: TaskContext): void {
  context.pendingCount -= 1;
  if (context.pendingCount > 0 || context.task === null) return;
  undeclared.delete(context);
  if (!context.isBlocked) return;
  context.isBlocked = false;
  context.client.taskWaiting(context.task, false);
}

function declare(): void {
  checkIsDue = false;
  const contexts = [...undeclared];
  undeclared.clear();
  for (const context of contexts) {
    if (context.pendingCount === 0 || context.isBlocked || context.task === null) continue;
    context.isBlocked = true;
    context.client.taskWaiting(context.task, true);
  }
}
