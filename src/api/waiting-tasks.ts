/**
 * Which tasks of a process wait in get or wait: told to the core worker when a turn ends with it
 * still so, not at the call, since most values come at once. By process, since several share a
 * thread in local mode and in the simulator, and one of them may end before its turn does.
 */
import type { CoreWorkerClient } from "#engine/services/core-worker-client.ts";
import type { TaskContext } from "./task-context.ts";

const undeclared = new WeakMap<CoreWorkerClient, Set<TaskContext>>();

export function startWaiting(context: TaskContext): void {
  context.pendingCount += 1;
  if (context.pendingCount > 1 || context.task === null) return;
  const { client } = context;
  const waiting = undeclared.get(client);
  if (waiting !== undefined) {
    waiting.add(context);
    return;
  }
  undeclared.set(client, new Set([context]));
  client.host.soon(() => declare(client));
}

export function stopWaiting(context: TaskContext): void {
  context.pendingCount -= 1;
  if (context.pendingCount > 0 || context.task === null) return;
  undeclared.get(context.client)?.delete(context);
  if (!context.isBlocked) return;
  context.isBlocked = false;
  context.client.taskWaiting(context.task, false);
}

function declare(client: CoreWorkerClient): void {
  const contexts = undeclared.get(client);
  undeclared.delete(client);
  for (const context of contexts ?? []) {
    if (context.pendingCount === 0 || context.isBlocked || context.task === null) continue;
    context.isBlocked = true;
    client.taskWaiting(context.task, true);
  }
}
