/** An actor as one process knows it, and its calls on their way: for ActorSubmitter and others. */
import type { ActorId, WorkerId } from "#engine/common/ids.ts";
import type { ActorRegistration, ActorSpec } from "#engine/protocol/gcs.ts";
import type { FailedValue } from "#engine/protocol/outcome.ts";
import type { HoldWait } from "./hold-wait.ts";
import type { ObjectEntry, TaskRecord } from "./object-entry.ts";
import { PushStream } from "./push-stream.ts";
import { TaskQueue } from "./task-queue.ts";

/** What the creator gives beyond the registration; args and values come from the creation task. */
export type CreationSpec = Omit<ActorSpec, "actorId" | "args" | "values">;

/** An actor as one process knows it; the calls of all its handles here go through one. */
export class ActorClient {
  /** May change once: getIfExists can find another actor. */
  actorId: ActorId;
  readonly className: string;
  readonly registration: ActorRegistration | null;
  readonly creation: { readonly task: TaskRecord; readonly spec: CreationSpec } | null;
  readonly calls = new TaskQueue();
  stream: ActorStream | null = null;
  /**
   * Of calls whose refs need holds for the actor's worker, until they are answered: a call that is
   * taken back takes its holds with it. Null until one.
   */
  holds: Map<TaskRecord, HoldWait> | null = null;
  death: FailedValue | null = null;
  pendingReason = "";
  version = -1;
  subscribed = false;
  /** getIfExists found an actor that was known here: all goes through that one's client. */
  standsFor: ActorClient | null = null;
  /** Nobody counts its handles. May change: till getIfExists is answered they count in any case. */
  isDetached: boolean;
  /** What its handles in this process are refs to; null until one is counted. See ActorHandles. */
  entry: ObjectEntry | null = null;
  /** Calls that have not ended, the creation among them: together one use of the entry. */
  unfinishedCount = 0;

  constructor(fields: {
    actorId: ActorId;
    className: string;
    isDetached: boolean;
    registration?: ActorRegistration;
    creation?: { task: TaskRecord; spec: CreationSpec };
  }) {
    this.actorId = fields.actorId;
    this.className = fields.className;
    this.isDetached = fields.isDetached;
    this.registration = fields.registration ?? null;
    this.creation = fields.creation ?? null;
  }
}

export class ActorStream extends PushStream {
  readonly client: ActorClient;
  /** Functions (methods) that the executor knows: a reply has come. */
  readonly definitionsKnown = new Set<number>();
  /** The worker has died: nothing is pushed until the GCS says what that means. */
  hasEnded = false;

  constructor(stream: number, workerId: WorkerId, client: ActorClient) {
    super(stream, workerId);
    this.client = client;
  }
}
