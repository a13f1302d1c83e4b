/**
 * 4 No loss: while its owner lives, every get of an object ends, with its outcome or with an error
 * whose reason is true.
 */
import type { EngineError } from "#engine/common/error-type.ts";
import { type ActorId, nodeIdOf, type WorkerId } from "#engine/common/ids.ts";
import type { GetRequest } from "#engine/core-worker/memory-store.ts";
import type { IncomingActor } from "#engine/core-worker/task-receiver.ts";
import { FailedValue } from "#engine/protocol/outcome.ts";
import type { Cluster, SimProcess } from "#sim/cluster.ts";
import { Oracle, type Violate } from "./oracle.ts";
import { idOf, isGone, mayWaitForEver } from "./tasks.ts";

const workerIdLength = 40;

export class LossOracle extends Oracle {
  readonly name = "4 no loss";
  readonly #cluster: () => Cluster;
  readonly #thrown = new Set<string>();
  readonly #killed = new Set<ActorId>();
  readonly #hosts = new Map<ActorId, WorkerId>();

  constructor(violate: Violate, cluster: () => Cluster) {
    super(violate);
    this.#cluster = cluster;
  }

  override onThrown(subject: string): void {
    this.#thrown.add(subject);
  }

  override onKill(actorId: ActorId): void {
    this.#killed.add(actorId);
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
        return isGone(cluster, workerId as WorkerId) ? "" : "that worker lives";
      }
      case "NODE_DIED":
        return cluster.hasLostNode ? "" : "every node lives";
      case "OWNER_DIED": {
        const owner = subject.slice(0, workerIdLength) as WorkerId;
        return isGone(cluster, owner) ? "" : "its owner lives";
      }
      case "OBJECT_LOST":
        // The owner of a task covers its arguments: when it dies they may be gone before the task.
        return cluster.hasLostProcess ? "" : "every process lives";
      case "ACTOR_DIED":
        return this.#hasDied(subject as ActorId) ? "" : "nothing has happened to that actor";
      default:
        return "";
    }
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
