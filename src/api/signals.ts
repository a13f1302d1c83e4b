/** The `signal` in the options of a call: its abort cancels the call. */
import type { ActorClient } from "#engine/core-worker/actor-client.ts";
import type { TaskRecord } from "#engine/core-worker/object-entry.ts";
import type { CoreWorkerClient, NewCall } from "#engine/services/core-worker-client.ts";
import type { CallShape } from "#engine/services/task-templates.ts";

const sweepFrom = 16;

/** The calls of one process that one signal ends: one listener for all of them, while any runs. */
class SignalledCalls {
  readonly #client: CoreWorkerClient;
  #tasks: TaskRecord[] = [];
  #sweepAt = sweepFrom;
  readonly #onAbort = (): void => {
    const tasks = this.#tasks;
    this.#tasks = [];
    this.#client.abortCalls(tasks);
  };

  constructor(client: CoreWorkerClient, signal: AbortSignal) {
    this.#client = client;
    signal.addEventListener("abort", this.#onAbort, { once: true });
  }

  add(task: TaskRecord): void {
    if (this.#tasks.length >= this.#sweepAt) {
      this.#tasks = this.#tasks.filter(({ state }) => state === "PENDING");
      this.#sweepAt = Math.max(sweepFrom, 2 * this.#tasks.length);
    }
    this.#tasks.push(task);
  }
}

const bySignal = new WeakMap<CoreWorkerClient, WeakMap<AbortSignal, SignalledCalls>>();

/** Submits a call that a signal may end; `actor` is null for a task. */
export function submitWithSignal(
  client: CoreWorkerClient,
  signal: AbortSignal,
  call: { readonly actor: ActorClient | null; readonly shape: CallShape; readonly made: NewCall },
): TaskRecord {
  const { actor, shape, made } = call;
  if (signal.aborted) return client.submitAborted(actor, shape, made);
  const task =
    actor === null ? client.submitTask(shape, made) : client.submitActorTask(actor, shape, made);
  if (task.state === "PENDING") callsOf(client, signal).add(task);
  return task;
}

function callsOf(client: CoreWorkerClient, signal: AbortSignal): SignalledCalls {
  let ofClient = bySignal.get(client);
  if (ofClient === undefined) {
    ofClient = new WeakMap();
    bySignal.set(client, ofClient);
  }
  let calls = ofClient.get(signal);
  if (calls === undefined) {
    calls = new SignalledCalls(client, signal);
    ofClient.set(signal, calls);
  }
  return calls;
}
