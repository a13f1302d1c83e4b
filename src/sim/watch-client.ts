/** Shows every call through the client of a process to the oracles, from now on. */
import type { ActorId } from "#engine/common/ids.ts";
import type { ObjectEntry, TaskRecord } from "#engine/core-worker/object-entry.ts";
import type { CoreWorkerClient, PendingCall } from "#engine/services/core-worker-client.ts";

export interface ClientWatch {
  onSubmitted(entries: readonly ObjectEntry[]): void;
  onPut(entry: ObjectEntry): void;
  onKill(actorId: ActorId): void;
  onAwaited(request: PendingCall): void;
  /** What it returns ends the call instead of its outcome. */
  onSettled(request: PendingCall): Error | null;
}

export function watchClient(client: CoreWorkerClient, watch: ClientWatch): void {
  const { submitTask, submitActorTask, killActor, putObject, awaitObjects } = client;
  const submitted = (task: TaskRecord): TaskRecord => {
    watch.onSubmitted(task.moreReturns === null ? [task] : [task, ...task.moreReturns]);
    return task;
  };
  client.submitTask = (shape, call) => submitted(submitTask.call(client, shape, call));
  client.submitActorTask = (actor, shape, call) =>
    submitted(submitActorTask.call(client, actor, shape, call));
  client.killActor = (actorId, reason) => {
    watch.onKill(actorId);
    return killActor.call(client, actorId, reason);
  };
  client.putObject = (outcome) => {
    const entry = putObject.call(client, outcome);
    watch.onPut(entry);
    return entry;
  };
  client.awaitObjects = (request) => {
    watch.onAwaited(request);
    const tell = request.onSettled;
    request.onSettled = () => {
      const error = watch.onSettled(request);
      if (error === null) tell.call(request);
      else request.onClosed(error);
    };
    awaitObjects.call(client, request);
  };
}
