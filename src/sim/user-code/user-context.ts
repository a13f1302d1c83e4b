/** In whose name user code acts, for reports: the program, a task, a constructor. */
import { taskIdHex } from "#engine/common/ids.ts";
import { TaskContext } from "#api/task-context.ts";

/** What `currentContext()` gave where something began. */
export type UserContext = object | null;

/** For violations: the id of the task or actor, or the driver. */
export function entityOf(context: UserContext): string {
  if (!(context instanceof TaskContext)) return "driver";
  const { task, actor } = context;
  if (task !== null) return taskIdHex(task.owner, task.serial);
  return actor?.spec.actorId ?? "driver";
}

export function nameOf(context: UserContext): string {
  if (!(context instanceof TaskContext)) return "the program";
  const { task, actor } = context;
  if (task !== null) return `task ${task.definition.taskName}`;
  return `the constructor of ${actor?.spec.descriptor.displayName ?? "an actor"}`;
}

/** Whether the task or constructor has not ended; of the program only its run knows. */
export function isRunning({ client, task, actor }: TaskContext): boolean {
  const { receiver } = client.core;
  if (task !== null) return receiver.isRunning(task);
  return receiver.actor === actor && actor?.maxConcurrency === 0;
}
