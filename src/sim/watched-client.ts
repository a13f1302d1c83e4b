/** The client of a simulated process, with every call through it shown to the oracles. */
import type { ActorId } from "#engine/common/ids.ts";
import type { ActorClient } from "#engine/core-worker/actor-submitter.ts";
import { type ObjectEntry, taskOf, type TaskRecord } from "#engine/core-worker/object-entry.ts";
import type { IncomingTask } from "#engine/core-worker/task-receiver.ts";
import type { Outcome } from "#engine/protocol/outcome.ts";
import {
  type CallShape,
  type CancelReach,
  type ClientOptions,
  CoreWorkerClient,
  type NewCall,
  type PendingCall,
} from "#engine/services/core-worker-client.ts";

export interface ClientWatch {
  onSubmitted(entries: readonly ObjectEntry[]): void;
  onCalled(task: TaskRecord, parent: IncomingTask | null): void;
  onCancelling(entry: ObjectEntry): void;
  onCancelTaken(entry: ObjectEntry, wasPending: boolean): void;
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
    return this.#submitted(super.submitTask(shape, call), call);
  }

  override submitActorTask(actor: ActorClient, shape: CallShape, call: NewCall): TaskRecord {
    return this.#submitted(super.submitActorTask(actor, shape, call), call);
  }

  override submitAborted(actor: ActorClient | null, shape: CallShape, call: NewCall): TaskRecord {
    const task = this.#submitted(super.submitAborted(actor, shape, call), call);
    this.#watch.onCancelling(task);
    return task;
  }

  override abortCalls(tasks: readonly TaskRecord[]): void {
    for (const task of tasks) this.#watch.onCancelling(task);
    super.abortCalls(tasks);
  }

  override async cancel(entry: ObjectEntry, options: CancelReach): Promise<boolean> {
    const watch = this.#watch;
    const wasPending = entry.state === "PENDING";
    watch.onCancelling(entry);
    const taken = super.cancel(entry, options);
    const isOurs = entry.owner === this.workerId;
    const actor = taskOf(entry)?.actor ?? null;
    const isRefused = options.force && actor !== null;
    if (isOurs && !isRefused) watch.onCancelTaken(entry, wasPending);
    const refused = await taken;
    if (!isOurs && !refused) watch.onCancelTaken(entry, wasPending);
    return refused;
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

  #submitted(task: TaskRecord, { parent }: NewCall): TaskRecord {
    this.#watch.onCalled(task, parent);
    this.#watch.onSubmitted(task.moreReturns === null ? [task] : [task, ...task.moreReturns]);
    return task;
  }
}
