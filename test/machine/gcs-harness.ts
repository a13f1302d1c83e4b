/** A GCS with an outbox and checked invariants after every event. */
import { engineError } from "#engine/common/error-type.ts";
import { gcsAddress } from "#engine/common/ids.ts";
import type { Address, WorkerId } from "#engine/common/ids.ts";
import { Gcs } from "#engine/gcs/gcs.ts";
import type { GcsEvent } from "#engine/gcs/gcs.ts";
import type { ActorRegistration, ActorState, FailedCreation } from "#engine/protocol/gcs.ts";
import { actor, actorSpec, driver, nodeId, resources } from "./raylet-harness.ts";
import { RecordingOutbox } from "./recording-outbox.ts";

export class GcsHarness {
  readonly out = new RecordingOutbox<never>();
  readonly gcs: Gcs;

  constructor(options: { deadActorsMax?: number; hasNode?: boolean } = {}) {
    const { deadActorsMax, hasNode = true } = options;
    this.gcs = new Gcs(deadActorsMax === undefined ? {} : { deadActorsMax });
    if (hasNode) this.join();
    this.out.clear();
  }

  handle(event: GcsEvent): void {
    this.gcs.handle(event, 0, this.out);
    this.gcs.checkInvariants();
  }

  join(id = nodeId, amounts: Record<string, number> = { CPU: 1 }): void {
    this.handle({
      type: "registerNode",
      from: id,
      nodeId: id,
      address: "local",
      hostname: "host",
      isHead: id === nodeId,
      resources: resources(amounts),
      labels: new Map(),
    });
  }

  register(serial: number, options: Partial<ActorRegistration> = {}, from = driver): void {
    const registration: ActorRegistration = {
      actorId: actor(serial),
      className: "Counter",
      name: "",
      namespace: "default",
      getIfExists: false,
      detached: false,
      ...options,
    };
    this.handle({ type: "registerActor", from, registration });
  }

  start(serial: number): void {
    this.handle({ type: "startActor", from: driver, spec: actorSpec(actor(serial)) });
  }

  subscribe(serial: number, from: Address = driver): void {
    this.handle({ type: "subscribeActor", from, actorId: actor(serial) });
  }

  created(serial: number, workerId: WorkerId | null, failure: FailedCreation | null = null): void {
    const actorId = actor(serial);
    this.handle({ type: "actorCreated", from: nodeId, actorId, incarnation: 0, workerId, failure });
  }

  pending(serial: number, reason: string, incarnation = 0): void {
    const actorId = actor(serial);
    const place = { reason, infeasible: false };
    this.handle({ type: "actorPending", from: nodeId, actorId, incarnation, ...place });
  }

  workerOfActorDied(serial: number, text: string, incarnation = 0): void {
    const error = engineError("WORKER_CRASHED", text);
    const actorId = actor(serial);
    this.handle({ type: "actorWorkerDied", from: nodeId, actorId, incarnation, error });
  }

  workerDied(workerId: WorkerId, text = "worker thread w called process.exit(7)"): void {
    const error = engineError("WORKER_CRASHED", text);
    this.handle({ type: "workerDied", from: nodeId, workerId, error });
  }

  kill(serial: number, requestId: number, reason = "killed by kill()"): void {
    const actorId = actor(serial);
    this.handle({ type: "killActor", from: driver, requestId, actorId, reason });
  }

  byName(name: string, namespace = "default"): string | null {
    this.handle({ type: "getActorByName", from: driver, requestId: 1, name, namespace });
    return this.out.last("actorByName").actorId;
  }

  /** The last state that a subscriber was told. */
  state(serial: number, to: Address = driver): ActorState {
    const found = this.out.all("actorState", to).findLast((m) => m.actorId === actor(serial));
    if (found === undefined) throw new Error(`no state of actor ${serial} was sent to ${to}`);
    return found;
  }

  /** Why a subscriber was told that the actor is dead. */
  deathOf(serial: number, to: Address = driver): string {
    return this.state(serial, to).death?.error.message ?? "";
  }

  stops(): string[] {
    return this.out.all("stopActorWorker", nodeId).map((m) => m.actorId);
  }
}

export const fromGcs = { from: gcsAddress } as const;
