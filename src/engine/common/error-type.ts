/**
 * What a user can see go wrong, as data: machines pass it on, `api` turns it into a class of the
 * contract. A user's own error is not here: it travels as an encoded value with type "TASK_ERROR".
 */

export type ErrorType =
  | "TASK_ERROR"
  | "TASK_UNSCHEDULABLE"
  | "WORKER_CRASHED"
  | "OUT_OF_MEMORY"
  | "ACTOR_DIED"
  | "ACTOR_UNSCHEDULABLE"
  | "ACTOR_NAME_TAKEN"
  | "ACTOR_NOT_FOUND"
  | "PENDING_CALLS_LIMIT"
  | "OWNER_DIED"
  | "OBJECT_LOST"
  | "OBJECT_STORE_FULL"
  | "OUT_OF_DISK"
  | "SERIALIZATION"
  | "GET_TIMEOUT"
  | "NODE_DIED"
  | "OBJECT_RECONSTRUCTION_FAILED"
  | "DEADLOCK"
  | "TASK_CANCELLED"
  | "TASK_TIMEOUT";

/** `subject` is the hex id of the task, actor or object it happened to, or "". */
export interface EngineError {
  readonly type: ErrorType;
  readonly message: string;
  readonly subject: string;
  /**
   * Name of the task for errors of tasks, path inside the value for SERIALIZATION, reason for
   * OBJECT_RECONSTRUCTION_FAILED, the cycle line by line for DEADLOCK, `forceCancel` for a thread
   * that was ended for one of its tasks, else "".
   */
  readonly detail: string;
}

/** `detail` of WORKER_CRASHED: another task of that thread was cancelled by force. */
export const forceCancel = "forceCancel";

export function engineError(
  type: ErrorType,
  message: string,
  subject = "",
  detail = "",
): EngineError {
  return { type, message, subject, detail };
}
