/**
 * 4 No loss: while its owner lives, every get of an object ends, with its outcome or with an error
 * whose reason is true; a task does not fail with the system while it has a retry left, nor for a
 * worker of its owner's node that never took it.
 */
import type { EngineError } from "#engine/common/error-type.ts";
import { type ActorId, makerOf, nodeIdOf, type WorkerId } from "#engine/common/ids.ts";
import type { GetRequest } from "#engine/core-worker/memory-store.ts";
import { type ObjectEntry, TaskRecord } from "#engine/core-worker/object-entry.ts";
import type { IncomingActor } from "#engine/core-worker/incoming-task.ts";
import type { ActorRegistered, ActorRegistration } from "#engine/protocol/gcs.ts";
import { FailedValue } from "#engine/protocol/outcome.ts";
import type { MovedBuffers } from "#engine/protocol/transport.ts";
import type { Cluster } from "#sim/cluster/cluster.ts";
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
  readonly #maxRetries = new Recent<number>(Infinity);
  /** By which workers, by task. */
  readonly #begun = new Recent<WorkerId[]>(Infinity);
  /** Tasks whose transferred buffers are gone. */
  readonly #moved = new Recent<true>(Infinity);
  readonly #killed: Recent<true>;
  readonly #hosts: Recent<WorkerId>;
  /** Requested → the actor that getIfExists found. */
  readonly #joined: Recent<ActorId>;
  #hasThrown = false;
  /** Where no frames tell what was joined: of actors that were asked for, by namespace and name. */
  readonly #names: Recent<string>;
  /** Names of those that were killed before they were made: another of the name may be meant. */
  readonly #killedNames: Recent<true>;
  /** Of one that nobody was seen to ask for. */
  #hasKilledUnknown = false;
  #hasKilledNamed = false;

  constructor(violate: Violate, fates: () => Fates, { seesAll, rememberedMax }: Scope) {
    super(violate);
    this.#fates = fates;
    this.#seesAll = seesAll;
    this.#thrown = new Recent(rememberedMax);
    this.#killed = new Recent(rememberedMax);
    this.#joined = new Recent(rememberedMax);
    this.#hosts = new Recent(rememberedMax);
    this.#names = new Recent(rememberedMax);
    this.#killedNames = new Recent(rememberedMax);
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
      this.#maxRetries.set(owner, serial, maxRetries);
    }
  }

  override onKill(actorId: ActorId): void {
    this.#killed.set(actorId, 0, true);
    const found = this.#joined.get(actorId, 0);
    if (found !== undefined) this.#killed.set(found, 0, true);
    if (this.#seesAll || this.#hosts.get(actorId, 0) !== undefined) return;
    const name = this.#names.get(actorId, 0);
    if (name === undefined) this.#hasKilledUnknown = true;
    else if (name !== "") {
      this.#killedNames.set(name, 0, true);
      this.#hasKilledNamed = true;
    }
  }

  /** "": it stands for no other, since it has no name, and no other for it. */
  override onCreating({ actorId, namespace, name }: ActorRegistration): void {
    if (this.#seesAll) return;
    this.#names.set(actorId, 0, name === "" ? "" : `${namespace}/${name}`);
  }

  /** A handle that is killed may stand for another actor: before its kill, or after. */
  override onSent(frame: Frame): void {
    if (frame.type !== "actorRegistered") return;
    const { requested, actorId } = messageOf(frame) as ActorRegistered;
    if (requested === actorId) return;
    this.#joined.set(requested, 0, actorId);
    if (this.#killed.get(requested, 0) !== undefined) this.#killed.set(actorId, 0, true);
  }

  /** From here on its owner cannot know whether it runs, or waits there for its arguments. */
  override onTaken({ type, from, to, serial }: Frame): void {
    if (type !== "pushTask") return;
    const workers = this.#begun.get(from, serial);
    if (workers === undefined) this.#begun.set(from, serial, [to as WorkerId]);
    else workers.push(to as WorkerId);
  }

  override onMoved({ from, serial }: MovedBuffers): void {
    this.#moved.set(from, serial, true);
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
        const untrue = this.#whyNotLostThere(message, subject);
        if (untrue !== "" || !this.#seesAll) return untrue;
        return this.#hasRetryLeft(subject) ? "it had a retry left" : "";
      }
      case "OUT_OF_MEMORY":
        // Retries for want of memory are counted apart.
        return this.#whyNotLostThere(message, subject);
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

  /** With the worker that is named. */
  #whyNotLostThere(message: string, subject: string): string {
    const [, workerId] = /worker thread ([0-9a-f]{40})/.exec(message) ?? [];
    if (workerId === undefined) return "no worker is named";
    if (!this.#fates().isGone(workerId as WorkerId)) return "that worker lives";
    if (!this.#seesAll) return "";
    if (isNear(subject, workerId) && !this.#hasBegun(subject, workerId as WorkerId)) {
      return "that worker never took it";
    }
    return "";
  }

  /** Why what is lost could have been made anew; "" if it could not. */
  #mayRunAgain(reason: string, taskId: string): string {
    if (reason === "MAX_ATTEMPTS_EXCEEDED") {
      return this.#hasRetryLeft(taskId) ? "it had a retry left" : "";
    }
    const mayRetry = this.#maxRetriesOf(taskId) > 0;
    return reason === "RETRIES_DISABLED" && mayRetry ? "its task may run again" : "";
  }

  /** By the number of workers that died so far, each of which may have cost it an attempt. */
  #hasRetryLeft(taskId: string): boolean {
    const most = this.#maxRetriesOf(taskId) - (this.#thrown.get(taskId, 0) ?? 0);
    // What was lost on a disk costs attempts, too.
    const { goneWorkerCount, hasLostSpilled } = this.#fates();
    return !hasLostSpilled && goneWorkerCount <= most;
  }

  #maxRetriesOf(taskId: string): number {
    const { maker, serial } = makerOf(taskId as ActorId);
    // It cannot run without them.
    if (this.#moved.get(maker, serial) !== undefined) return 0;
    return this.#maxRetries.get(maker, serial) ?? 0;
  }

  #hasBegun(taskId: string, workerId: WorkerId): boolean {
    const { maker, serial } = makerOf(taskId as ActorId);
    return this.#begun.get(maker, serial)?.includes(workerId) === true;
  }

  #hasDied(actorId: ActorId): boolean {
    const fates = this.#fates();
    if (this.#hasSeen(this.#thrown, actorId) || this.#hasSeen(this.#killed, actorId)) return true;
    if (this.#joined.hasForgotten || this.#mayHaveBeenMeant(actorId)) return true;
    const maker = actorId.slice(0, workerIdLength) as WorkerId;
    if (fates.isGone(maker)) return true;
    const host = this.#hosts.get(actorId, 0);
    // Its node may have died before the constructor began.
    if (host === undefined) {
      return this.#hosts.hasForgotten || fates.hasLostProcess || this.#hasThrown;
    }
    return fates.isGone(host) || fates.hasBuried(nodeIdOf(host));
  }

  /** Without frames, as in local mode, nobody tells which actor a killed handle stood for. */
  #mayHaveBeenMeant(actorId: ActorId): boolean {
    if (this.#seesAll) return false;
    if (this.#hasKilledUnknown) return true;
    const name = this.#names.get(actorId, 0);
    if (name === undefined) return this.#hasKilledNamed;
    return name !== "" && this.#hasSeen(this.#killedNames, name);
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
