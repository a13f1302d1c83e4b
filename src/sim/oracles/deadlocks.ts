/**
 * 20 Deadlocks: whoever is told that it waits for itself does, as all processes look at that very
 * moment, seen from outside.
 */
import type { WorkerId } from "#engine/common/ids.ts";
import type { ActorClient } from "#engine/core-worker/actor-client.ts";
import type { GetRequest } from "#engine/core-worker/memory-store.ts";
import { LaterReturn, type ObjectEntry, TaskRecord } from "#engine/core-worker/object-entry.ts";
import type { IncomingTask } from "#engine/core-worker/incoming-task.ts";
import { WaitingCall } from "#api/waiting-call.ts";
import { type Fates, Oracle, type Violate, type WatchedProcess } from "./oracle.ts";
import { idOf } from "./tasks.ts";

export class DeadlockOracle extends Oracle {
  readonly name = "20 deadlocks";
  readonly #fates: () => Fates;
  readonly #processes: () => readonly WatchedProcess[];
  #hasKilled = false;

  constructor(violate: Violate, fates: () => Fates, processes: () => readonly WatchedProcess[]) {
    super(violate);
    this.#fates = fates;
    this.#processes = processes;
  }

  override onKill(): void {
    this.#hasKilled = true;
  }

  override onSettled(request: GetRequest, by: WatchedProcess): void {
    const { failure, entries } = request;
    if (failure?.type !== "DEADLOCK") return;
    const [entity = by.client.workerId] = entries.map(idOf);
    const task = taskOf(request);
    if (task === null || request.deadlineMs !== Infinity) {
      this.violate({ entity, message: `${by.life.name} was told of a deadlock without one` });
      return;
    }
    // What has ended since the cycle closed may have opened it: nobody could know.
    if (this.#hasKilled || this.#fates().hasLostProcess) return;
    const search = new Search(this.#processes(), task);
    if (!search.leadsBack(entries, by)) {
      const message = `${task.definition.taskName} does not wait for itself: ${failure.message}`;
      this.violate({ entity, message });
    }
  }
}

/** From what a task waits for along all that must come first. */
class Search {
  readonly #processes: readonly WatchedProcess[];
  readonly #wanted: IncomingTask;
  readonly #seen = new Set<object>();

  constructor(processes: readonly WatchedProcess[], wanted: IncomingTask) {
    this.#processes = processes;
    this.#wanted = wanted;
  }

  leadsBack(entries: readonly ObjectEntry[], at: WatchedProcess): boolean {
    return entries.some((entry) => entry.state === "PENDING" && this.#throughObject(entry, at));
  }

  #throughObject(entry: ObjectEntry, at: WatchedProcess): boolean {
    const owner = this.#processOf(entry.owner);
    if (owner === undefined) return false;
    const owned = owner === at ? entry : owner.client.core.references.find(entry.owner, entry);
    const record = owned instanceof LaterReturn ? owned.task : owned;
    if (!(record instanceof TaskRecord) || this.#seen.has(record)) return false;
    this.#seen.add(record);
    return record.state === "PENDING" && this.#throughCall(record, owner);
  }

  #throughCall(record: TaskRecord, owner: WatchedProcess): boolean {
    const { stream, unresolvedCount, refs } = record;
    if (stream !== null) return this.#atWorker(record, stream.workerId);
    const needs = (refs ?? []).filter((ref) => ref !== null);
    if (unresolvedCount > 0 && this.leadsBack(needs, owner)) return true;
    if (record.actor === null) return false;
    const { calls, stream: ofActor } = record.actor as ActorClient;
    const first = calls.peek();
    if (first === undefined) return false;
    if (first !== record && this.#throughCall(first, owner)) return true;
    return first === record && ofActor !== null && this.#atWorker(record, ofActor.workerId);
  }

  #atWorker({ owner, serial }: TaskRecord, workerId: WorkerId): boolean {
    const worker = this.#processOf(workerId);
    if (worker === undefined) return false;
    const running = [...worker.client.core.receiver.running];
    const own = running.find((task) => task.owner === owner && task.serial === serial);
    if (own !== undefined) return this.#throughTask(own, worker);
    return running.some((task) => this.#throughTask(task, worker));
  }

  #throughTask(task: IncomingTask, at: WatchedProcess): boolean {
    if (task === this.#wanted) return true;
    if (this.#seen.has(task)) return false;
    this.#seen.add(task);
    for (const request of at.client.core.waitingRequests) {
      if (taskOf(request) !== task || request.deadlineMs !== Infinity) continue;
      if (this.leadsBack(request.entries, at)) return true;
    }
    return false;
  }

  #processOf(workerId: WorkerId): WatchedProcess | undefined {
    return this.#processes.find(({ client }) => client.workerId === workerId);
  }
}

function taskOf(request: GetRequest): IncomingTask | null {
  return request instanceof WaitingCall ? (request.context?.task ?? null) : null;
}
