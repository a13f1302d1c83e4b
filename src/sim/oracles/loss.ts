/**
 * 4 No loss: while its owner lives, every get of an object ends, with its outcome or with an error
 * whose reason is true; a task does not fail with the system while it has a retry left, nor for a
 * worker of its owner's node that never began it.
 */
import type { EngineError } from "#engine/common/error-type.ts";
import { type ActorId, nodeIdOf, taskIdHex, type WorkerId } from "#engine/common/ids.ts";
import type { GetRequest } from "#engine/core-worker/memory-store.ts";
import { type ObjectEntry, TaskRecord } from "#engine/core-worker/object-entry.ts";
import type { IncomingActor, IncomingTask } from "#engine/core-worker/incoming-task.ts";
import type { ActorRegistered } from "#engine/protocol/gcs.ts";
import { FailedValue } from "#engine/protocol/outcome.ts";
import type { Cluster } from "#sim/cluster.ts";
import { type Frame, messageOf } from "#transports/simulated/frame.ts";
import { type Fates, Oracle, type Scope, type Violate, type WatchedProcess } from "./oracle.ts";
import { Recent } from "./recent.ts";
import { idOf, mayWaitForEver } from "./tasks.ts";

const workerIdLength = 40;
const taskIdLength = 52;

export class LossOracle extends Oracle {
  readonly name = "4 no loss";
  readonly #fates: () => Fates;
  readonly #seesAll: boolean;
  /** How often, by id of the task or actor. */
  readonly #thrown: Recent<number>;
  /** Where workers can crash, and so in whole runs only, as the next. */
  readonly #maxRetries = new Map<string, number>();
  /** Task and worker. */
  readonly #begun = new Set<string>();
  readonly #killed: Recent<true>;
  readonly #hosts: Recent<WorkerId>;
  /** Requested → the actor that getIfExists found. */
  readonly #joined: Recent<ActorId>;
  #hasThrown = false;
  /** One that had not been constructed: it may have stood for another. */
  #hasKilledUnmade = false;

  constructor(violate: Violate, fates: () => Fates, { seesAll, rememberedMax }: Scope) {
    super(violate);
    this.#fates = fates;
    this.#seesAll = seesAll;
    this.#thrown = new Recent(rememberedMax);
    this.#killed = new Recent(rememberedMax);
    this.#joined = new Recent(rememberedMax);
    this.#hosts = new Recent(rememberedMax);
  }

  override onThrown(subject: string): void {
    this.#hasThrown = true;
    this.#thrown.set(subject, 0, (this.#thrown.get(subject, 0) ?? 0) + 1);
  }

  override onSubmitted(entries: readonly ObjectEntry[]): void {
    if (!this.#seesAll) return;
    for (const entry of entries) {
      if (!(entry instanceof TaskRecord)) continue;
      const { owner, serial, template, actor } = entry;
      const maxRetries = actor === null ? template.retry.maxRetries : 0;
      this.#maxRetries.set(taskIdHex(owner, serial), maxRetries);
    }
  }

  override onKill(actorId: ActorId): void {
    this.#killed.set(actorId, 0, true);
    const found = this.#joined.get(actorId, 0);
    if (found !== undefined) this.#killed.set(found, 0, true);
    if (this.#hosts.get(actorId, 0) === undefined) this.#hasKilledUnmade = true;
  }

  /** A handle that is killed may stand for another actor: before its kill, or after. */
  override onSent(frame: Frame): void {
    if (frame.type !== "actorRegistered") return;
    const { requested, actorId } = messageOf(frame) as ActorRegistered;
    if (requested === actorId) return;
    this.#joined.set(requested, 0, actorId);
    if (this.#killed.get(requested, 0) !== undefined) this.#killed.set(actorId, 0, true);
  }

  override onStarted({ owner, serial }: IncomingTask, { client }: WatchedProcess): void {
    if (this.#seesAll) this.#begun.add(`${taskIdHex(owner, serial)} ${client.workerId}`);
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
  #whyUntrue({ type, message, subject, detail }: EngineError): string {
    const fates = this.#fates();
    switch (type) {
      case "TASK_ERROR":
        return this.#hasSeen(this.#thrown, subject) ? "" : "no execution of that task threw";
      case "WORKER_CRASHED": {
        const [, workerId] = /worker thread ([0-9a-f]{40})/.exec(message) ?? [];
        if (workerId === undefined) return "no worker is named";
        if (!fates.isGone(workerId as WorkerId)) return "that worker lives";
        if (!this.#seesAll) return "";
        if (isNear(subject, workerId) && !this.#begun.has(`${subject} ${workerId}`)) {
          return "that worker never began it";
        }
        return this.#hasRetryLeft(subject) ? "it had a retry left" : "";
      }
      case "NODE_DIED":
        if (!fates.hasLostNode) return "every node lives";
        return this.#hasRetryLeft(subject) ? "it had a retry left" : "";
      case "OWNER_DIED": {
        const owner = subject.slice(0, workerIdLength) as WorkerId;
        return fates.isGone(owner) ? "" : "its owner lives";
      }
      case "OBJECT_LOST":
        // The owner of a task covers its arguments: when it dies they may be gone before the task.
        return fates.hasLostProcess || fates.hasLostSpilled ? "" : "every process lives";
      case "OBJECT_RECONSTRUCTION_FAILED":
        if (!fates.hasLostNode && !fates.hasLostSpilled) return "every node lives";
        if (fates.hasLostSpilled) return "";
        if (detail === "PUT") return "what was put lies on its owner's node";
        return this.#mayRunAgain(detail, subject.slice(0, taskIdLength));
      case "ACTOR_DIED":
        return this.#hasDied(subject as ActorId) ? "" : "nothing has happened to that actor";
      default:
        return "";
    }
  }

  /** Why what is lost could have been made anew; "" if it could not. */
  #mayRunAgain(reason: string, taskId: string): string {
    if (reason === "MAX_ATTEMPTS_EXCEEDED") {
      return this.#hasRetryLeft(taskId) ? "it had a retry left" : "";
    }
    const mayRetry = (this.#maxRetries.get(taskId) ?? 0) > 0;
    return reason === "RETRIES_DISABLED" && mayRetry ? "its task may run again" : "";
  }

  /** By the number of workers that died so far, each of which may have cost it an attempt. */
  #hasRetryLeft(taskId: string): boolean {
    const most = (this.#maxRetries.get(taskId) ?? 0) - (this.#thrown.get(taskId, 0) ?? 0);
    // What was lost on a disk costs attempts, too.
    const { goneWorkerCount, hasLostSpilled } = this.#fates();
    return !hasLostSpilled && goneWorkerCount <= most;
  }

  #hasDied(actorId: ActorId): boolean {
    const fates = this.#fates();
    if (this.#hasSeen(this.#thrown, actorId) || this.#hasSeen(this.#killed, actorId)) return true;
    // Without frames, as in local mode, nobody tells what was joined.
    if (this.#joined.hasForgotten || (!this.#seesAll && this.#hasKilledUnmade)) return true;
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
  #hasSeen(seen: Recent<unknown>, id: string): boolean {
    return seen.get(id, 0) !== undefined || seen.hasForgotten;
  }
}

/** Of one node: then it is known what a worker has begun. */
function isNear(taskId: string, workerId: string): boolean {
  return nodeIdOf(taskId.slice(0, workerIdLength) as WorkerId) === nodeIdOf(workerId as WorkerId);
}
