/** The client of a simulated process, with every call through it shown to the oracles. */
import type { ActorId } from "#engine/common/ids.ts";
import type { ActorClient } from "#engine/core-worker/actor-submitter.ts";
import type { ObjectEntry, TaskRecord } from "#engine/core-worker/object-entry.ts";
import type { Outcome } from "#engine/protocol/outcome.ts";
import {
  type CallShape,
  type ClientOptions,
  CoreWorkerClient,
  type NewCall,
  type PendingCall,
} from "#engine/services/core-worker-client.ts";

export interface ClientWatch {
  onSubmitted(entries: readonly ObjectEntry[]): void;
  onPut(entry: ObjectEntry): void;
  onKill(actorId: ActorId): void;
  onAwaited(request: PendingCall): void;
  onSettled(request: PendingCall): void;
}

export class WatchedClient extends CoreWorkerClient {
  readonly #watch: ClientWatch;

  constructor(options: ClientOptions, watch: ClientWatch) {
    super(options);
    this.#watch = watch;
  }

  override submitTask(shape: CallShape, call: NewCall): TaskRecord {
    return this.#submitted(super.submitTask(shape, call));
  }

  override submitActorTask(actor: ActorClient, shape: CallShape, call: NewCall): TaskRecord {
    return this.#submitted(super.submitActorTask(actor, shape, call));
  }

  override killActor(actorId: ActorId, reason: string): Promise<void> {
    this.#watch.onKill(actorId);
    return super.killActor(actorId, reason);
  }

  override putObject(outcome: Outcome): ObjectEntry {
    const entry = super.putObject(outcome);
    this.#watch.onPut(entry);
    return entry;
  }

  override awaitObjects(request: PendingCall): void {
    const watch = this.#watch;
    watch.onAwaited(request);
    const tell = request.onSettled.bind(request);
    request.onSettled = () => {
      watch.onSettled(request);
      tell();
    };
    super.awaitObjects(request);
  }

  #submitted(task: TaskRecord): TaskRecord {
    this.#watch.onSubmitted(task.moreReturns === null ? [task] : [task, ...task.moreReturns]);
    return task;
  }
}
