/**
 * 4 No loss: while its owner lives, every get of an object ends, with its outcome or with an error
 * whose reason is true; a task does not fail with the system while it has a retry left, nor for a
 * worker of its owner's node that never began it.
 */
import type { EngineError } from "#engine/common/error-type.ts";
import { type ActorId, nodeIdOf, taskIdHex, type WorkerId } from "#engine/common/ids.ts";
import type { GetRequest } from "#engine/core-worker/memory-store.ts";
import { type ObjectEntry, TaskRecord } from "#engine/core-worker/object-entry.ts";
import type { IncomingActor, IncomingTask } from "#engine/core-worker/task-receiver.ts";
import { FailedValue } from "#engine/protocol/outcome.ts";
import type { Cluster, SimProcess } from "#sim/cluster.ts";
import { Oracle, type Violate } from "./oracle.ts";
import { idOf, isGone, mayWaitForEver } from "./tasks.ts";

const workerIdLength = 40;

export class LossOracle extends Oracle {
  readonly name = "4 no loss";
  readonly #cluster: () => Cluster;
  /** How often, by id of the task or actor. */
  readonly #thrown = new Map<string, number>();
  readonly #maxRetries = new Map<string, number>();
  /** Task and worker. */
  readonly #begun = new Set<string>();
  readonly #killed = new Set<ActorId>();
  readonly #hosts = new Map<ActorId, WorkerId>();

  constructor(violate: Violate, cluster: () => Cluster) {
    super(violate);
    this.#cluster = cluster;
  }

  override onThrown(subject: string): void {
    this.#thrown.set(subject, (this.#thrown.get(subject) ?? 0) + 1);
  }

  override onSubmitted(entries: readonly ObjectEntry[]): void {
    for (const entry of entries) {
      if (!(entry instanceof TaskRecord)) continue;
      const { owner, serial, template } = entry;
      this.#maxRetries.set(taskIdHex(owner, serial), template.retry.maxRetries);
    }
  }

  override onKill(actorId: ActorId): void {
    this.#killed.add(actorId);
  }

  override onStarted({ owner, serial }: IncomingTask, { client }: SimProcess): void {
    this.#begun.add(`${taskIdHex(owner, serial)} ${client.workerId}`);
  }

  override onConstructing({ spec }: IncomingActor, { client }: SimProcess): void {
    this.#hosts.set(spec.actorId, client.workerId);
  }

  override onSettled({ entries }: GetRequest): void {
    for (const entry of entries) {
      const { outcome } = entry;
      if (!(outcome instanceof FailedValue)) continue;
      const untrue = this.#whyUntrue(outcome.error);
      if (untrue === "") continue;
      const { type, message } = outcome.error;
      this.violate({ entity: idOf(entry), message: `${type}, but ${untrue}: ${message}` });
    }
  }

  override atQuiet(cluster: Cluster): void {
    if (mayWaitForEver(cluster)) return;
    for (const { client, life } of [cluster.driver, ...cluster.liveWorkers]) {
      if (!life.isAlive) continue;
      for (const request of client.core.waitingRequests) {
        const entry = request.entries.find(({ state }) => state === "PENDING");
        if (entry === undefined) continue;
        this.violate({ entity: idOf(entry), message: `${life.name} waits for it for ever` });
      }
    }
  }

  /** "" for an error that tells the truth. */
  #whyUntrue({ type, message, subject }: EngineError): string {
    const cluster = this.#cluster();
    switch (type) {
      case "TASK_ERROR":
        return this.#thrown.has(subject) ? "" : "no execution of that task threw";
      case "WORKER_CRASHED": {
        const [, workerId] = /worker thread ([0-9a-f]{40})/.exec(message) ?? [];
        if (workerId === undefined) return "no worker is named";
        if (!isGone(cluster, workerId as WorkerId)) return "that worker lives";
        if (isNear(subject, workerId) && !this.#begun.has(`${subject} ${workerId}`)) {
          return "that worker never began it";
        }
        return this.#hasRetryLeft(subject) ? "it had a retry left" : "";
      }
      case "NODE_DIED":
        if (!cluster.hasLostNode) return "every node lives";
        return this.#hasRetryLeft(subject) ? "it had a retry left" : "";
      case "OWNER_DIED": {
        const owner = subject.slice(0, workerIdLength) as WorkerId;
        return isGone(cluster, owner) ? "" : "its owner lives";
      }
      case "OBJECT_LOST":
        // Whoever held it for another may have ended before the owner knew of the other.
        return cluster.hasLostProcess ? "" : "every process lives";
      case "ACTOR_DIED":
        return this.#hasDied(subject as ActorId) ? "" : "nothing has happened to that actor";
      default:
        return "";
    }
  }

  /** By the number of workers that died so far, each of which may have cost it an attempt. */
  #hasRetryLeft(taskId: string): boolean {
    const cluster = this.#cluster();
    const ended = cluster.workers.filter(({ client }) => isGone(cluster, client.workerId));
    const most = (this.#maxRetries.get(taskId) ?? 0) - (this.#thrown.get(taskId) ?? 0);
    return ended.length <= most;
  }

  #hasDied(actorId: ActorId): boolean {
    const cluster = this.#cluster();
    if (this.#thrown.has(actorId) || this.#killed.has(actorId)) return true;
    const maker = actorId.slice(0, workerIdLength) as WorkerId;
    if (isGone(cluster, maker)) return true;
    const host = this.#hosts.get(actorId);
    // Its node may have died before the constructor began.
    if (host === undefined) return cluster.hasLostProcess || this.#thrown.size > 0;
    return isGone(cluster, host) || cluster.gcs.hasBuried(nodeIdOf(host));
  }
}

/** Of one node: then it is known what a worker has begun. */
function isNear(taskId: string, workerId: string): boolean {
  return nodeIdOf(taskId.slice(0, workerIdLength) as WorkerId) === nodeIdOf(workerId as WorkerId);
}
