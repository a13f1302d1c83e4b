/**
 * What can go wrong, one class each. `name` and `_tag` are the same literal, so a union of them
 * narrows by either; `code` is the same word for logs and other languages.
 *
 * `instanceof` asks the brand instead of the prototype chain: two copies of this package in one
 * program (a bundle and its host, two versions in node_modules) agree about each other's errors.
 */
import { brand, declareClass } from "./error-brand.ts";
import type { ActorId, ObjectId, TaskId } from "./ids.ts";

export interface MobulaErrorFields {
  readonly cause?: unknown;
}
export interface TaskFields extends MobulaErrorFields {
  readonly taskId?: TaskId;
}
export interface TaskErrorFields extends TaskFields {
  readonly taskName?: string;
}
export interface ActorFields extends MobulaErrorFields {
  readonly actorId?: ActorId;
}
export interface ObjectFields extends MobulaErrorFields {
  readonly objectId?: ObjectId;
}
export type ReconstructionFailure =
  | "LINEAGE_EVICTED"
  | "MAX_ATTEMPTS_EXCEEDED"
  | "PUT"
  | "BORROWED"
  | "RETRIES_DISABLED"
  | "DEPENDENCY_FAILED";
export interface ReconstructionFields extends ObjectFields {
  readonly reason?: ReconstructionFailure;
}
export interface SerializationFields extends MobulaErrorFields {
  readonly path?: string;
}
export interface DeadlockFields extends MobulaErrorFields {
  readonly cycle?: readonly string[];
}

export class MobulaError extends Error {
  declare readonly name: string;
  declare readonly _tag: this["name"];
  declare readonly code: string;
  /** @internal */
  declare readonly [brand]: readonly string[];

  constructor(message = "", fields: MobulaErrorFields = {}) {
    super(message, "cause" in fields ? { cause: fields.cause } : undefined);
  }

  static override [Symbol.hasInstance](value: unknown): boolean {
    const prototype: object | undefined = this.prototype;
    // A user's subclass has no name of its own here: the prototype chain decides, as usual.
    if (prototype === undefined || !Object.hasOwn(prototype, brand)) {
      return Function.prototype[Symbol.hasInstance].call(this, value);
    }
    if (typeof value !== "object" || value === null) return false;
    const names: unknown = (value as MobulaError)[brand];
    return Array.isArray(names) && names.includes(this.prototype[brand][0]);
  }

  static {
    declareClass(this, "MobulaError", "MOBULA");
  }
}

// ---------------------------------------------------------------- tasks

/** The task's own error; `cause` is what the user's code threw. */
export class TaskError extends MobulaError {
  declare readonly name: "TaskError";
  readonly taskId: TaskId;
  readonly taskName: string;

  constructor(message = "", fields: TaskErrorFields = {}) {
    super(message, fields);
    this.taskId = fields.taskId ?? ("" as TaskId);
    this.taskName = fields.taskName ?? "";
  }

  static {
    declareClass(this, "TaskError", "TASK_ERROR");
  }
}

export class GetTimeoutError extends MobulaError {
  declare readonly name: "GetTimeoutError";
  static {
    declareClass(this, "GetTimeoutError", "GET_TIMEOUT");
  }
}

export class TaskCancelledError extends MobulaError {
  declare readonly name: "TaskCancelledError";
  readonly taskId: TaskId;

  constructor(message = "", fields: TaskFields = {}) {
    super(message, fields);
    this.taskId = fields.taskId ?? ("" as TaskId);
  }

  static {
    declareClass(this, "TaskCancelledError", "TASK_CANCELLED");
  }
}

export class TaskTimeoutError extends MobulaError {
  declare readonly name: "TaskTimeoutError";
  readonly taskId: TaskId;

  constructor(message = "", fields: TaskFields = {}) {
    super(message, fields);
    this.taskId = fields.taskId ?? ("" as TaskId);
  }

  static {
    declareClass(this, "TaskTimeoutError", "TASK_TIMEOUT");
  }
}

export class TaskUnschedulableError extends MobulaError {
  declare readonly name: "TaskUnschedulableError";
  static {
    declareClass(this, "TaskUnschedulableError", "TASK_UNSCHEDULABLE");
  }
}

// ---------------------------------------------------------------- workers and nodes

export class WorkerCrashedError extends MobulaError {
  declare readonly name: "WorkerCrashedError";
  static {
    declareClass(this, "WorkerCrashedError", "WORKER_CRASHED");
  }
}

export class NodeDiedError extends MobulaError {
  declare readonly name: "NodeDiedError";
  static {
    declareClass(this, "NodeDiedError", "NODE_DIED");
  }
}

export class OutOfMemoryError extends MobulaError {
  declare readonly name: "OutOfMemoryError";
  static {
    declareClass(this, "OutOfMemoryError", "OUT_OF_MEMORY");
  }
}

// ---------------------------------------------------------------- actors

export abstract class ActorError extends MobulaError {
  declare readonly name: "ActorDiedError" | "ActorUnavailableError" | "ActorUnschedulableError";
  readonly actorId: ActorId;

  constructor(message = "", fields: ActorFields = {}) {
    super(message, fields);
    this.actorId = fields.actorId ?? ("" as ActorId);
  }

  static {
    declareClass(this, "ActorError", "ACTOR_ERROR");
  }
}

export class ActorDiedError extends ActorError {
  declare readonly name: "ActorDiedError";
  static {
    declareClass(this, "ActorDiedError", "ACTOR_DIED");
  }
}

export class ActorUnavailableError extends ActorError {
  declare readonly name: "ActorUnavailableError";
  static {
    declareClass(this, "ActorUnavailableError", "ACTOR_UNAVAILABLE");
  }
}

export class ActorUnschedulableError extends ActorError {
  declare readonly name: "ActorUnschedulableError";
  static {
    declareClass(this, "ActorUnschedulableError", "ACTOR_UNSCHEDULABLE");
  }
}

export class ActorNameTakenError extends MobulaError {
  declare readonly name: "ActorNameTakenError";
  static {
    declareClass(this, "ActorNameTakenError", "ACTOR_NAME_TAKEN");
  }
}

export class ActorNotFoundError extends MobulaError {
  declare readonly name: "ActorNotFoundError";
  static {
    declareClass(this, "ActorNotFoundError", "ACTOR_NOT_FOUND");
  }
}

export class PendingCallsLimitExceededError extends MobulaError {
  declare readonly name: "PendingCallsLimitExceededError";
  static {
    declareClass(this, "PendingCallsLimitExceededError", "PENDING_CALLS_LIMIT_EXCEEDED");
  }
}

// ---------------------------------------------------------------- objects

export class ObjectLostError extends MobulaError {
  declare readonly name:
    | "ObjectLostError"
    | "OwnerDiedError"
    | "ReferenceCountingAssertionError"
    | "ObjectFetchTimedOutError"
    | "ObjectReconstructionFailedError";
  readonly objectId: ObjectId;

  constructor(message = "", fields: ObjectFields = {}) {
    super(message, fields);
    this.objectId = fields.objectId ?? ("" as ObjectId);
  }

  static {
    declareClass(this, "ObjectLostError", "OBJECT_LOST");
  }
}

export class OwnerDiedError extends ObjectLostError {
  declare readonly name: "OwnerDiedError";
  static {
    declareClass(this, "OwnerDiedError", "OWNER_DIED");
  }
}

export class ReferenceCountingAssertionError extends ObjectLostError {
  declare readonly name: "ReferenceCountingAssertionError";
  static {
    declareClass(this, "ReferenceCountingAssertionError", "REFERENCE_COUNTING_ASSERTION");
  }
}

export class ObjectFetchTimedOutError extends ObjectLostError {
  declare readonly name: "ObjectFetchTimedOutError";
  static {
    declareClass(this, "ObjectFetchTimedOutError", "OBJECT_FETCH_TIMED_OUT");
  }
}

export class ObjectReconstructionFailedError extends ObjectLostError {
  declare readonly name: "ObjectReconstructionFailedError";
  readonly reason: ReconstructionFailure;

  constructor(message = "", fields: ReconstructionFields = {}) {
    super(message, fields);
    this.reason = fields.reason ?? "MAX_ATTEMPTS_EXCEEDED";
  }

  static {
    declareClass(this, "ObjectReconstructionFailedError", "OBJECT_RECONSTRUCTION_FAILED");
  }
}

export class ObjectStoreFullError extends MobulaError {
  declare readonly name: "ObjectStoreFullError";
  static {
    declareClass(this, "ObjectStoreFullError", "OBJECT_STORE_FULL");
  }
}

export class OutOfDiskError extends MobulaError {
  declare readonly name: "OutOfDiskError";
  static {
    declareClass(this, "OutOfDiskError", "OUT_OF_DISK");
  }
}

// ---------------------------------------------------------------- the rest

export class PlacementGroupRemovedError extends MobulaError {
  declare readonly name: "PlacementGroupRemovedError";
  static {
    declareClass(this, "PlacementGroupRemovedError", "PLACEMENT_GROUP_REMOVED");
  }
}

export class RuntimeEnvSetupError extends MobulaError {
  declare readonly name: "RuntimeEnvSetupError";
  static {
    declareClass(this, "RuntimeEnvSetupError", "RUNTIME_ENV_SETUP");
  }
}

/** `path` is the place inside the value, e.g. `args[0].onClick`. */
export class SerializationError extends MobulaError {
  declare readonly name: "SerializationError";
  readonly path: string;

  constructor(message = "", fields: SerializationFields = {}) {
    super(message, fields);
    this.path = fields.path ?? "";
  }

  static {
    declareClass(this, "SerializationError", "SERIALIZATION");
  }
}

/** After shutdown, or in a module while a worker imports it. */
export class NotInitializedError extends MobulaError {
  declare readonly name: "NotInitializedError";
  static {
    declareClass(this, "NotInitializedError", "NOT_INITIALIZED");
  }
}

/** The message names the first init, or the call that initialised by itself. */
export class AlreadyInitializedError extends MobulaError {
  declare readonly name: "AlreadyInitializedError";
  static {
    declareClass(this, "AlreadyInitializedError", "ALREADY_INITIALIZED");
  }
}

/** `cycle` names what waits for what, in order. */
export class DeadlockError extends MobulaError {
  declare readonly name: "DeadlockError";
  readonly cycle: readonly string[];

  constructor(message = "", fields: DeadlockFields = {}) {
    super(message, fields);
    this.cycle = fields.cycle ?? [];
  }

  static {
    declareClass(this, "DeadlockError", "DEADLOCK");
  }
}

export class AuthenticationError extends MobulaError {
  declare readonly name: "AuthenticationError";
  static {
    declareClass(this, "AuthenticationError", "AUTHENTICATION");
  }
}
