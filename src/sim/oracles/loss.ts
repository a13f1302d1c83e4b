/**
 * 4 No loss: while its owner lives, every get of an object ends, with its outcome or with an error
 * whose reason is true.
 */
import type { EngineError } from "#engine/common/error-type.ts";
import { type ActorId, nodeIdOf, type WorkerId } from "#engine/common/ids.ts";
import type { GetRequest } from "#engine/core-worker/memory-store.ts";
import type { IncomingActor } from "#engine/core-worker/task-receiver.ts";
import { FailedValue } from "#engine/protocol/outcome.ts";
import type { Cluster } from "#sim/cluster.ts";
import { type Fates, Oracle, type Scope, type Violate, type WatchedProcess } from "./oracle.ts";
import { Recent } from "./recent.ts";
import { idOf, mayWaitForEver } from "./tasks.ts";

const workerIdLength = 40;

export class LossOracle extends Oracle {
  readonly name = "4 no loss";
  readonly #fates: () => Fates;
  readonly #thrown: Recent<true>;
  readonly #killed: Recent<true>;
  readonly #hosts: Recent<WorkerId>;
  #hasThrown = false;

  constructor(violate: Violate, fates: () => Fates, { rememberedMax }: Scope) {
    super(violate);
    this.#fates = fates;
    this.#thrown = new Recent(rememberedMax);
    this.#killed = new Recent(rememberedMax);
    this.#hosts = new Recent(rememberedMax);
  }

  override onThrown(subject: string): void {
    this.#hasThrown = true;
    this.#thrown.set(subject, 0, true);
  }

  override onKill(actorId: ActorId): void {
    this.#killed.set(actorId, 0, true);
  }

  override onConstructing({ spec }: IncomingActor, { client }: WatchedProcess): void {
    this.#hosts.set(spec.actorId, 0, client.workerId);
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
    const fates = this.#fates();
    switch (type) {
      case "TASK_ERROR":
        return this.#hasSeen(this.#thrown, subject) ? "" : "no execution of that task threw";
      case "WORKER_CRASHED": {
        const [, workerId] = /worker thread ([0-9a-f]{40})/.exec(message) ?? [];
        if (workerId === undefined) return "no worker is named";
        return fates.isGone(workerId as WorkerId) ? "" : "that worker lives";
      }
      case "NODE_DIED":
        return fates.hasLostNode ? "" : "every node lives";
      case "OWNER_DIED": {
        const owner = subject.slice(0, workerIdLength) as WorkerId;
        return fates.isGone(owner) ? "" : "its owner lives";
      }
      case "OBJECT_LOST":
        // Whoever held it for another may have ended before the owner knew of the other.
        return fates.hasLostProcess ? "" : "every process lives";
      case "ACTOR_DIED":
        return this.#hasDied(subject as ActorId) ? "" : "nothing has happened to that actor";
      default:
        return "";
    }
  }

  #hasDied(actorId: ActorId): boolean {
    const fates = this.#fates();
    if (this.#hasSeen(this.#thrown, actorId) || this.#hasSeen(this.#killed, actorId)) return true;
    const maker = actorId.slice(0, workerIdLength) as WorkerId;
    if (fates.isGone(maker)) return true;
    const host = this.#hosts.get(actorId, 0);
    // Its node may have died before the constructor began.
    if (host === undefined) {
      return this.#hosts.hasForgotten || fates.hasLostProcess || this.#hasThrown;
    }
    return fates.isGone(host) || fates.hasBuried(nodeIdOf(host));
  }

  /** True too when it would have been forgotten. */
  #hasSeen(seen: Recent<true>, id: string): boolean {
    return seen.get(id, 0) === true || seen.hasForgotten;
  }
}
