/** The engine's errors as classes of the contract: the only place where one becomes the other. */
import type { EngineError } from "#engine/common/error-type.ts";
import type { FailedValue, InlineValue } from "#engine/protocol/outcome.ts";
import {
  ActorDiedError,
  ActorNameTakenError,
  ActorNotFoundError,
  ActorUnschedulableError,
  DeadlockError,
  GetTimeoutError,
  MobulaError,
  NodeDiedError,
  ObjectLostError,
  ObjectReconstructionFailedError,
  ObjectStoreFullError,
  OutOfDiskError,
  OutOfMemoryError,
  OwnerDiedError,
  PendingCallsLimitExceededError,
  type ReconstructionFailure,
  SerializationError,
  TaskCancelledError,
  TaskError,
  TaskTimeoutError,
  TaskUnschedulableError,
  WorkerCrashedError,
} from "./errors.ts";
import type { ActorId, ObjectId, TaskId } from "./ids.ts";
import type { Values } from "./values.ts";

/** A new error object each time, so that its stack tells where it was asked for. */
export function toError(failed: FailedValue, values: Values): MobulaError {
  const { error, cause } = failed;
  return toClass(error, cause === null ? undefined : { cause: causeOf(cause, values) });
}

/** What was thrown; where it cannot be made here again, why not: the failure itself stays told. */
function causeOf(cause: InlineValue, values: Values): unknown {
  try {
    return values.decodeThrown(cause);
  } catch (notDecodable) {
    return notDecodable;
  }
}

export function toClass(error: EngineError, fields: { cause?: unknown } = {}): MobulaError {
  const { message, subject, detail } = error;
  switch (error.type) {
    case "TASK_ERROR":
      return new TaskError(message, { taskId: subject as TaskId, taskName: detail, ...fields });
    case "TASK_UNSCHEDULABLE":
      return new TaskUnschedulableError(message, fields);
    case "WORKER_CRASHED":
      return new WorkerCrashedError(message, fields);
    case "NODE_DIED":
      return new NodeDiedError(message, fields);
    case "OUT_OF_MEMORY":
      return new OutOfMemoryError(message, fields);
    case "ACTOR_DIED":
      return new ActorDiedError(message, { actorId: subject as ActorId, ...fields });
    case "ACTOR_UNSCHEDULABLE":
      return new ActorUnschedulableError(message, { actorId: subject as ActorId, ...fields });
    case "ACTOR_NAME_TAKEN":
      return new ActorNameTakenError(message, fields);
    case "ACTOR_NOT_FOUND":
      return new ActorNotFoundError(message, fields);
    case "PENDING_CALLS_LIMIT":
      return new PendingCallsLimitExceededError(message, fields);
    case "OWNER_DIED":
      return new OwnerDiedError(message, { objectId: subject as ObjectId, ...fields });
    case "OBJECT_LOST":
      return new ObjectLostError(message, { objectId: subject as ObjectId, ...fields });
    case "OBJECT_RECONSTRUCTION_FAILED": {
      const reason = detail as ReconstructionFailure;
      const objectId = subject as ObjectId;
      return new ObjectReconstructionFailedError(message, { objectId, reason, ...fields });
    }
    case "OBJECT_STORE_FULL":
      return new ObjectStoreFullError(message, fields);
    case "OUT_OF_DISK":
      return new OutOfDiskError(message, fields);
    case "SERIALIZATION":
      return new SerializationError(message, { path: detail, ...fields });
    case "TASK_CANCELLED":
      return new TaskCancelledError(message, { taskId: subject as TaskId, ...fields });
    case "TASK_TIMEOUT":
      return new TaskTimeoutError(message, { taskId: subject as TaskId, ...fields });
    case "GET_TIMEOUT":
      return new GetTimeoutError(message, fields);
    case "DEADLOCK":
      return new DeadlockError(message, { cycle: detail.split("\n"), ...fields });
  }
}
