/** Shows every call through the client of a process to the oracles, from now on. */
import type { ActorId } from "#engine/common/ids.ts";
import { type ObjectEntry, taskOf, type TaskRecord } from "#engine/core-worker/object-entry.ts";
import type { IncomingTask } from "#engine/core-worker/incoming-task.ts";
import type { ActorRegistration } from "#engine/protocol/gcs.ts";
import type {
  CoreWorkerClient,
  NewCall,
  PendingCall,
} from "#engine/services/core-worker-client.ts";
import type { WrittenFile } from "#engine/services/fallback-files.ts";

export interface ClientWatch {
  onSubmitted(entries: readonly ObjectEntry[]): void;
  onCalled(task: TaskRecord, parent: IncomingTask | null): void;
  onCancelling(entry: ObjectEntry, force: boolean): void;
  onCancelTaken(entry: ObjectEntry, wasPending: boolean): void;
  /** `written`: it is in no memory. */
  onPut(entry: ObjectEntry, written: WrittenFile | null): void;
  /** `creation`: with the arguments of its constructor. */
  onCreating(registration: ActorRegistration, creation: TaskRecord | null): void;
  onKill(actorId: ActorId): void;
  onAwaited(request: PendingCall): void;
  /** What it returns ends the call instead of its outcome. */
  onSettled(request: PendingCall): Error | null;
}

export function watchClient(client: CoreWorkerClient, watch: ClientWatch): void {
  const { submitTask, submitActorTask, createActor, killActor } = client;
  const { putObject, awaitObjects } = client;
  const submitted = (task: TaskRecord, { parent }: NewCall): TaskRecord => {
    watch.onCalled(task, parent);
    watch.onSubmitted(task.moreReturns === null ? [task] : [task, ...task.moreReturns]);
    return task;
  };
  watchCancels(client, watch, submitted);
  replace(client, {
    submitTask: (shape, call) => submitted(submitTask.call(client, shape, call), call),
    submitActorTask: (actor, shape, call) =>
      submitted(submitActorTask.call(client, actor, shape, call), call),
    createActor: (shape, call, options) => {
      const created = createActor.call(client, shape, call, options);
      const { registration, creation } = created.actor;
      if (registration !== null) watch.onCreating(registration, creation?.task ?? null);
      return created;
    },
    killActor: (actorId, reason) => {
      watch.onKill(actorId);
      return killActor.call(client, actorId, reason);
    },
    putObject: (outcome, written = null) => {
      const entry = putObject.call(client, outcome, written);
      watch.onPut(entry, written);
      return entry;
    },
    awaitObjects: (request) => {
      watch.onAwaited(request);
      const tell = request.onSettled;
      const onSettled = (): void => {
        const error = watch.onSettled(request);
        if (error === null) tell.call(request);
        else request.onClosed(error);
      };
      request.onSettled = onSettled;
      awaitObjects.call(client, request);
    },
  });
}

function replace(client: CoreWorkerClient, methods: Partial<CoreWorkerClient>): void {
  Object.assign(client, methods);
}

function watchCancels(
  client: CoreWorkerClient,
  watch: ClientWatch,
  submitted: (task: TaskRecord, call: NewCall) => TaskRecord,
): void {
  const { submitAborted, abortCalls, cancel } = client;
  replace(client, {
    submitAborted: (actor, shape, call) => {
      const task = submitted(submitAborted.call(client, actor, shape, call), call);
      watch.onCancelling(task, false);
      return task;
    },
    abortCalls: (tasks) => {
      for (const task of tasks) watch.onCancelling(task, false);
      abortCalls.call(client, tasks);
    },
    cancel: async (entry, options) => {
      const wasPending = entry.state === "PENDING";
      watch.onCancelling(entry, options.force);
      const taken = cancel.call(client, entry, options);
      const isOurs = entry.owner === client.workerId;
      const isRefused = options.force && (taskOf(entry)?.actor ?? null) !== null;
      if (isOurs && !isRefused) watch.onCancelTaken(entry, wasPending);
      const refused = await taken;
      if (!isOurs && !refused) watch.onCancelTaken(entry, wasPending);
      return refused;
    },
  });
}
