/** What the refs of a cancelled task show: the words of TASK_CANCELLED and TASK_TIMEOUT. */
import { engineError, type ErrorType } from "#engine/common/error-type.ts";
import { taskIdHex } from "#engine/common/ids.ts";
import { FailedValue } from "#engine/protocol/outcome.ts";
import type { TaskRecord } from "./object-entry.ts";

export type CancelCause =
  | "cancel() was called for it"
  | "the signal in its options was aborted"
  | "the task that called it was cancelled"
  | "it ran longer than the timeoutMs in its options";

export function cancelledOutcome(task: TaskRecord, cause: CancelCause): FailedValue {
  const isTimeout = cause === "it ran longer than the timeoutMs in its options";
  const { taskName, timeoutMs } = task.template.definition;
  const subject = taskIdHex(task.owner, task.serial);
  const why = isTimeout ? `${cause}, ${timeoutMs} ms` : cause;
  const type: ErrorType = isTimeout ? "TASK_TIMEOUT" : "TASK_CANCELLED";
  const message = `task ${taskName} (${subject}) was cancelled: ${why}`;
  return new FailedValue(engineError(type, message, subject, taskName), null);
}
