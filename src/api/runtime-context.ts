/** `getRuntimeContext()`: who and where the calling code is. */
import { gpuName, toRecord } from "#engine/common/resources.ts";
import { nodeIdOf, taskIdHex } from "#engine/common/ids.ts";
import { weakHandle } from "./actor-handle.ts";
import { NotInitializedError } from "./errors.ts";
import type { ActorId, JobId, TaskId } from "./ids.ts";
import { namespaceOf } from "./remote.ts";
import { type Caller, realmState, requireClient } from "./runtime.ts";
import type { GetRuntimeContextSignature } from "./signatures.ts";
import { cancelledError, insideTask, type TaskContext } from "./task-context.ts";
import type { ActorHandle, RuntimeContext, WorkerModes } from "./types.ts";

export const WorkerMode: WorkerModes = {
  SCRIPT: 0,
  WORKER: 1,
  LOCAL: 2,
  SPILL_WORKER: 3,
  RESTORE_WORKER: 4,
};

/** The driver's job is the first and only one of an embedded runtime. */
export const embeddedJobId = "00000001" as JobId;

export const getRuntimeContext: GetRuntimeContextSignature = () => {
  const caller = requireClient("getRuntimeContext");
  if (caller === null) {
    throw new NotInitializedError(
      "getRuntimeContext: not while a worker imports the module; call it inside a task",
    );
  }
  return contextOf(caller);
};

export const getGpuIds = (): string[] => [...(getRuntimeContext().acceleratorIds[gpuName] ?? [])];

function contextOf(caller: Caller): RuntimeContext {
  const { client, context } = caller;
  const { workerId } = client;
  return {
    jobId: embeddedJobId,
    nodeId: nodeIdOf(workerId),
    workerId,
    namespace: namespaceOf(caller),
    workerMode: workerModeOf(context),
    attemptNumber: context?.task?.attempt ?? 0,
    wasCurrentActorReconstructed: (context?.actor?.incarnation ?? 0) > 0,
    assignedResources: assignedResources(context),
    acceleratorIds: acceleratorIds(context),
    ...taskFields(context),
    ...actorFields(context),
    currentActor: <I>() => currentActor(caller) as ActorHandle<I>,
    get signal(): AbortSignal {
      return signalOf(context);
    },
    progress: (done, total, message) => reportProgress(context, done, total, message),
  };
}

function taskFields(context: TaskContext | null): { taskId?: TaskId; taskName?: string } {
  const task = context?.task;
  if (task === undefined || task === null) return {};
  const taskId = taskIdHex(task.owner, task.serial) as TaskId;
  return { taskId, taskName: task.definition.taskName };
}

function actorFields(context: TaskContext | null): { actorId?: ActorId; actorName?: string } {
  const spec = context?.actor?.spec;
  if (spec === undefined) return {};
  return spec.actorName === ""
    ? { actorId: spec.actorId }
    : { actorId: spec.actorId, actorName: spec.actorName };
}

function currentActor({ client, context }: Caller): unknown {
  const self = context?.self() ?? null;
  if (self === null) throw new TypeError("currentActor: only inside an actor");
  return weakHandle(self, client);
}

function workerModeOf(context: TaskContext | null): WorkerModes[keyof WorkerModes] {
  if (realmState().driver?.mode === "local") return WorkerMode.LOCAL;
  return context === null ? WorkerMode.SCRIPT : WorkerMode.WORKER;
}

function assignedResources(context: TaskContext | null): Record<string, number> {
  if (context === null) return {};
  if (context.actor !== null) return toRecord(context.actor.spec.runningResources);
  return context.task === null ? {} : toRecord(context.task.definition.resources);
}

function acceleratorIds(context: TaskContext | null): Record<string, string[]> {
  const gpuIds = context?.actor?.gpuIds ?? context?.task?.gpuIds ?? [];
  return gpuIds.length === 0 ? {} : { [gpuName]: gpuIds.map(String) };
}

function signalOf(context: TaskContext | null): AbortSignal {
  if (context === null) return driverController.signal;
  if (context.abortController !== null) return context.abortController.signal;
  const controller = new AbortController();
  context.abortController = controller;
  const { task } = context;
  if (task === null) return controller.signal;
  const abort = (): void => controller.abort(cancelledError(context));
  const onAbort = (): void => insideTask(context, abort);
  if (task.isCancelled) abort();
  else task.onAbort = onAbort;
  return controller.signal;
}

/** Nothing cancels the driver; it has a signal so that shared code can pass one on. */
const driverController = new AbortController();

function reportProgress(
  context: TaskContext | null,
  done: number,
  total: number | undefined,
  message: string | undefined,
): void {
  if (typeof done !== "number" || (total !== undefined && typeof total !== "number")) {
    throw new TypeError("progress(done, total?, message?) takes numbers");
  }
  if (context === null) return;
  context.progress = {
    done,
    ...(total === undefined ? {} : { total }),
    ...(message === undefined ? {} : { message }),
  };
}
