/**
 * What the api and the executor tell a core worker (calls and completions), and what it asks of its
 * host beyond sending. Together with the messages these are all its events.
 */
import type { EngineError } from "#engine/common/error-type.ts";
import type { ActorId, WorkerId } from "#engine/common/ids.ts";
import type { Deadline, Writable } from "#engine/protocol/machine.ts";
import type { CancelMessage } from "#engine/protocol/cancel.ts";
import type { CopyMessage } from "#engine/protocol/copy.ts";
import type { ExplainMessage } from "#engine/protocol/explain.ts";
import type { FailedCreation, GcsMessage } from "#engine/protocol/gcs.ts";
import type { HoldMessage } from "#engine/protocol/hold.ts";
import type { LeaseMessage } from "#engine/protocol/lease.ts";
import type { ArenaExtent, ObjectMessage } from "#engine/protocol/object.ts";
import type {
  ClusterRows,
  ClusterStateKind,
  CollectState,
  NodeStateKind,
  StateMessage,
  StateRows,
} from "#engine/protocol/state.ts";
import type { SpilledPlace } from "#engine/protocol/spilled-place.ts";
import type { AskBuffers, TaskMessage } from "#engine/protocol/task.ts";
import type { MovedBuffers } from "#engine/protocol/transport.ts";
import type { FailedValue, Outcome } from "#engine/protocol/outcome.ts";
import type { ProbeMessage } from "#engine/protocol/probe.ts";
import type { ActorClient } from "./actor-client.ts";
import type { CancelCause } from "./cancelled-outcome.ts";
import type { CopyUser, LocalCopy } from "./local-copies.ts";
import type { GetRequest } from "./memory-store.ts";
import type { ObjectEntry, TaskRecord } from "./object-entry.ts";
import type { IncomingActor, IncomingTask } from "./incoming-task.ts";

export interface SubmitTask {
  readonly type: "submitTask";
  readonly task: TaskRecord;
}

/** A call of an actor's method, in the order of its handle. */
export interface SubmitActorTask {
  readonly type: "submitActorTask";
  readonly actor: ActorClient;
  readonly task: TaskRecord;
}

export interface CreateActorCall {
  readonly type: "createActorCall";
  readonly actor: ActorClient;
}

/** The objects that JS refs keep, as `listRefs` asked; `note` says why some could not be found. */
export interface RefsListed {
  readonly type: "refsListed";
  readonly request: CollectState;
  readonly entries: Iterable<ObjectEntry>;
  readonly note: string;
}

/** Settled at once or by a later Settle. */
export interface AwaitObjects {
  readonly type: "awaitObjects";
  readonly request: GetRequest;
}

export interface AbandonAwait {
  readonly type: "abandonAwait";
  readonly request: GetRequest;
}

/** A value that this process has just stored. */
export interface PutObject {
  readonly type: "putObject";
  readonly entry: ObjectEntry;
  /** The file that it lies in, if memory had no room for it. */
  readonly place: SpilledPlace | null;
}

/** The arguments of a call that is to be made lie in a file: memory had no room for them. */
export interface ArgumentsWritten {
  readonly type: "argumentsWritten";
  readonly task: TaskRecord;
  readonly place: SpilledPlace;
}

/** Whoever keeps the locations of an object of ours has none left. */
export interface LastCopyLost {
  readonly type: "lastCopyLost";
  readonly entry: ObjectEntry;
  readonly why: string;
}

/** JS refs that were disposed or collected, one count each. */
export interface RemoveRefs {
  readonly type: "removeRefs";
  readonly entries: readonly ObjectEntry[];
}

/** Views on stored bytes that were collected, one use each. */
export interface ReleaseViews {
  readonly type: "releaseUses" | "releaseViews";
  readonly entries: readonly ObjectEntry[];
}

/** A view on a pulled copy: it stays here until the view was collected. */
export interface ReleaseCopies {
  readonly type: "releaseCopies";
  readonly uses: readonly { readonly copy: LocalCopy; readonly user: CopyUser }[];
}

export interface KillActorCall {
  readonly type: "killActorCall";
  readonly requestId: number;
  readonly actorId: ActorId;
  readonly reason: string;
}

export interface GetActorByNameCall {
  readonly type: "getActorByNameCall";
  readonly requestId: number;
  readonly name: string;
  readonly namespace: string;
}

/** Answered by pages, `listed`, of which one is the last. */
export interface ListStateCall {
  readonly type: "listStateCall";
  readonly requestId: number;
  readonly kind: NodeStateKind;
  readonly limit: number;
}

export interface ListClusterCall {
  readonly type: "listClusterCall";
  readonly requestId: number;
  readonly kind: ClusterStateKind;
  readonly limit: number;
}

export interface AllocateCall {
  readonly type: "allocateCall";
  readonly requestId: number;
  readonly size: number;
  readonly mayWait: boolean;
}

/** Room in the arena that was granted and will not be used. */
export interface ReleaseExtentCall {
  readonly type: "releaseExtentCall";
  readonly extent: ArenaExtent;
}

/** The executor has run a task to its end. */
export interface TaskFinished {
  readonly type: "taskFinished";
  readonly task: IncomingTask;
  readonly durationMs: number;
  readonly outcome: Outcome;
  readonly outcomes: readonly Outcome[] | null;
}

/** The task waits in get or wait (declared when a turn ends), or no longer does. */
export interface TaskWaiting {
  readonly type: "taskWaiting";
  readonly task: IncomingTask;
  readonly waiting: boolean;
}

/** The api has looked at what the task threw. */
export interface ExceptionJudged {
  readonly type: "exceptionJudged";
  readonly task: TaskRecord;
  readonly retries: boolean;
  /** What went wrong in looking, for a person, or "". */
  readonly why: string;
}

export interface ConstructorFinished {
  readonly type: "constructorFinished";
  readonly actor: IncomingActor;
  readonly failure: FailedCreation | null;
  /** 1 or more, when there was no failure. */
  readonly maxConcurrency: number;
}

/** Cancel what makes the object; answered by `cancelled` when its owner has taken it. */
export interface CancelCall {
  readonly type: "cancelCall";
  readonly requestId: number;
  readonly entry: ObjectEntry;
  readonly force: boolean;
  readonly recursive: boolean;
}

/** The signal in the options of these calls of ours was aborted. */
export interface AbortCalls {
  readonly type: "abortCalls";
  readonly tasks: readonly TaskRecord[];
}

/** A call that is over before it was submitted: its refs have ended already. */
export interface SubmitCancelled {
  readonly type: "submitCancelled";
  readonly task: TaskRecord;
  readonly cause: CancelCause;
}

/** The copy that `copyBuffers` asked for. */
export interface BuffersStored {
  readonly type: "buffersStored";
  readonly asked: AskBuffers;
  readonly stored: ObjectEntry | FailedValue;
}

/** Buffers that this process has asked for, as its executor. */
export interface BuffersMoved extends MovedBuffers {
  readonly type: "buffersMoved";
}

export type CoreWorkerCall =
  | SubmitTask
  | SubmitActorTask
  | CreateActorCall
  | AwaitObjects
  | AbandonAwait
  | PutObject
  | ArgumentsWritten
  | LastCopyLost
  | RemoveRefs
  | ReleaseViews
  | ReleaseCopies
  | KillActorCall
  | GetActorByNameCall
  | ListStateCall
  | ListClusterCall
  | AllocateCall
  | ReleaseExtentCall
  | TaskFinished
  | TaskWaiting
  | ExceptionJudged
  | ConstructorFinished
  | RefsListed
  | CancelCall
  | AbortCalls
  | SubmitCancelled
  | BuffersStored
  | BuffersMoved;

export type CoreWorkerEvent =
  | CoreWorkerCall
  | LeaseMessage
  | TaskMessage
  | ObjectMessage
  | HoldMessage
  | CopyMessage
  | GcsMessage
  | CancelMessage
  | ProbeMessage
  | ExplainMessage
  | StateMessage
  | Deadline
  | Writable;

/** Run the task; ends as taskFinished. Its bytes are valid until the instruction returns. */
export interface RunTask {
  readonly type: "runTask";
  readonly task: IncomingTask;
}

export interface RunConstructor {
  readonly type: "runConstructor";
  readonly actor: IncomingActor;
}

/** Its body is to end: abort its signal, and what it waits for. */
export interface AbortTask {
  readonly type: "abortTask";
  readonly task: IncomingTask;
}

export interface Cancelled {
  readonly type: "cancelled";
  readonly requestId: number;
  /** Force was asked for a call of an actor. */
  readonly refused: boolean;
}

/** Does the error match the task's retryExceptions? Ends as exceptionJudged, at once or later. */
export interface JudgeException {
  readonly type: "judgeException";
  readonly task: TaskRecord;
  readonly failed: FailedValue;
}

export interface Killed {
  readonly type: "killed";
  readonly requestId: number;
}

export interface Found {
  readonly type: "found";
  readonly requestId: number;
  readonly actorId: ActorId | null;
  readonly className: string;
  readonly detached: boolean;
}

export interface StatePage extends StateRows, ClusterRows {
  readonly isLast: boolean;
  /** Processes that are left out, and why. */
  readonly missing: readonly string[];
}

export interface Listed {
  readonly type: "listed";
  readonly requestId: number;
  readonly page: StatePage;
}

/** Which objects do JS refs keep? The engine does not know of each. Ends as refsListed. */
export interface ListRefs {
  readonly type: "listRefs";
  readonly request: CollectState;
}

export interface Allocated {
  readonly type: "allocated";
  readonly requestId: number;
  readonly segment: number;
  readonly offset: number;
  readonly error: EngineError | null;
}

/** A segment that this process made for one object, which is gone. */
export interface DropSegment {
  readonly type: "dropSegment";
  readonly segment: number;
}

/** Tell when this JS ref is collected: the entry now holds something that must be given back. */
export interface WatchRef {
  readonly type: "watchRef";
  readonly ref: object;
  readonly entry: ObjectEntry;
}

/** The store is short of room, and what was dropped but not collected may be what fills it. */
export interface HurryCollection {
  readonly type: "hurryCollection";
}

/** Once this event's instructions are carried out: let go of these, one use each (releaseUses). */
export interface ReleaseLater {
  readonly type: "releaseLater";
  readonly entries: readonly ObjectEntry[];
}

/** The peer is dead and everything about it is settled: its links may go. */
export interface ForgetPeer {
  readonly type: "forgetPeer";
  readonly workerId: WorkerId;
}

/** To a process of this node; they are not in this one any more. */
export interface MoveBuffers {
  readonly type: "moveBuffers";
  readonly to: WorkerId;
  readonly moved: MovedBuffers;
}

/** Make an object of them, a list. Ends as buffersStored. */
export interface CopyBuffers {
  readonly type: "copyBuffers";
  readonly asked: AskBuffers;
  readonly buffers: readonly ArrayBuffer[];
}

export type CoreWorkerInstruction =
  | GetRequest
  | HurryCollection
  | ReleaseLater
  | RunTask
  | RunConstructor
  | AbortTask
  | Cancelled
  | JudgeException
  | Killed
  | Found
  | Listed
  | ListRefs
  | Allocated
  | DropSegment
  | WatchRef
  | MoveBuffers
  | CopyBuffers
  | ForgetPeer;
