/** A raylet with an outbox, a hand-moved clock, and checked invariants after every event. */
import { defaultConfig } from "#engine/common/config.ts";
import type { Config } from "#engine/common/config.ts";
import { actorIdOf, gcsAddress, workerIdOf } from "#engine/common/ids.ts";
import type { ActorId, NodeId, WorkerId } from "#engine/common/ids.ts";
import { makeRequest, toFixedPoint } from "#engine/common/resources.ts";
import type { ResourceRequest } from "#engine/common/resources.ts";
import type { SchedulingStrategy } from "#engine/common/task-spec.ts";
import type { ActorSpec, FailedCreation } from "#engine/protocol/gcs.ts";
import type { WorkerExit } from "#engine/protocol/launcher.ts";
import { noArguments } from "#engine/protocol/outcome.ts";
import { Raylet } from "#engine/raylet/raylet.ts";
import type { RayletEvent, RayletInstruction } from "#engine/raylet/raylet.ts";
import { RecordingOutbox } from "./recording-outbox.ts";

export const nodeId = "0123456789abcdef0123456789abcdef" as NodeId;
export const otherNodeId = "fedcba9876543210fedcba9876543210" as NodeId;
export const driver = workerIdOf(nodeId, 0);

export const worker = (counter: number): WorkerId => workerIdOf(nodeId, counter);
export const actor = (serial: number): ActorId => actorIdOf(driver, serial);

/** `{ CPU: 0.5 }` in fixed point. */
export function resources(amounts: Readonly<Record<string, number>>): ResourceRequest {
  return makeRequest(Object.entries(amounts).map(([name, n]) => [name, toFixedPoint(n)] as const));
}

export interface LeaseOptions {
  readonly from?: WorkerId;
  readonly resources?: Readonly<Record<string, number>>;
  readonly depth?: number;
  readonly strategy?: SchedulingStrategy;
  readonly taskName?: string;
  readonly noSpill?: boolean;
  readonly isRetriable?: boolean;
}

export interface ActorOptions {
  readonly placement?: Readonly<Record<string, number>>;
  readonly running?: Readonly<Record<string, number>>;
  readonly strategy?: SchedulingStrategy;
}

export function actorSpec(actorId: ActorId, options: ActorOptions = {}): ActorSpec {
  return {
    actorId,
    descriptor: {
      moduleUrl: "file:///counter.ts",
      ordinal: 0,
      name: "",
      kind: "class",
      parameterCount: 0,
      sourceHash: 0,
      displayName: "Counter",
    },
    actorName: "",
    namespace: "default",
    detached: false,
    args: noArguments,
    values: null,
    placementResources: resources(options.placement ?? { CPU: 1 }),
    runningResources: resources(options.running ?? {}),
    strategy: options.strategy ?? { type: "default" },
    maxConcurrency: 0,
  };
}

export class RayletHarness {
  readonly out = new RecordingOutbox<RayletInstruction>();
  readonly raylet: Raylet;
  nowMs = 0;

  constructor(
    options: {
      totals?: Readonly<Record<string, number>>;
      labels?: Readonly<Record<string, string>>;
      prestartCount?: number;
      segments?: readonly number[];
      config?: Partial<Config>;
      isHead?: boolean;
    } = {},
  ) {
    this.raylet = new Raylet({
      nodeId,
      config: { ...defaultConfig, ...options.config },
      isHead: options.isHead ?? true,
      totals: resources(options.totals ?? { CPU: 2 }),
      labels: new Map(Object.entries(options.labels ?? {})),
      address: "local",
      hostname: "host",
      prestartCount: options.prestartCount ?? 0,
      segments: options.segments ?? [1024],
    });
    this.handle({ type: "attachDriver", workerId: driver });
  }

  /** With `count` workers that are ready, and nothing recorded yet. */
  withWorkers(count: number): this {
    this.handle({ type: "start" });
    for (let counter = 1; counter <= count; counter++) this.ready(counter);
    this.out.clear();
    return this;
  }

  handle(event: RayletEvent): void {
    this.raylet.handle(event, this.nowMs, this.out);
    this.raylet.checkInvariants();
  }

  /** Forgets what was recorded before the event. */
  only(event: RayletEvent): RecordingOutbox<RayletInstruction> {
    this.out.clear();
    this.handle(event);
    return this.out;
  }

  request(leaseId: number, options: LeaseOptions = {}): void {
    this.handle({
      type: "requestWorkerLease",
      from: options.from ?? driver,
      leaseId,
      taskName: options.taskName ?? "work",
      resources: resources(options.resources ?? { CPU: 1 }),
      strategy: options.strategy ?? { type: "default" },
      depth: options.depth ?? 0,
      noSpill: options.noSpill ?? false,
      isRetriable: options.isRetriable ?? true,
    });
  }

  release(leaseId: number, from: WorkerId = driver): void {
    this.handle({ type: "releaseLease", from, leaseId });
  }

  block(on: WorkerId, leaseId: number, blockSeq: number, options: BlockOptions = {}): void {
    const { blocked = true, owner = driver } = options;
    this.handle({ type: "taskBlocked", from: on, owner, leaseId, blockSeq, blocked });
  }

  ready(counter: number): void {
    this.handle({ type: "workerReady", workerId: worker(counter) });
  }

  exit(counter: number, exit: WorkerExit = { type: "exited", code: 7 }): void {
    this.handle({ type: "workerExited", workerId: worker(counter), exit });
  }

  createActor(serial: number, options: ActorOptions = {}, incarnation = 0): void {
    const spec = actorSpec(actor(serial), options);
    this.handle({ type: "createActor", from: gcsAddress, incarnation, spec });
  }

  constructed(serial: number, on: number, failure: FailedCreation | null = null): void {
    this.handle({
      type: "actorConstructed",
      from: worker(on),
      actorId: actor(serial),
      incarnation: 0,
      failure,
    });
  }

  stopActor(serial: number, graceful = false): void {
    this.handle({
      type: "stopActorWorker",
      from: gcsAddress,
      actorId: actor(serial),
      incarnation: 0,
      graceful,
    });
  }

  /** The worker says that nobody counts on it. */
  drained(serial: number, on: number): void {
    const actorId = actor(serial);
    this.handle({ type: "actorDrained", from: worker(on), actorId, incarnation: 0 });
  }

  /** The worker says that no task of a dead owner runs on it any more. */
  doomedEnded(counter: number, owner: WorkerId = driver): void {
    this.handle({ type: "doomedEnded", from: worker(counter), owner });
  }

  deadline(): void {
    this.handle({ type: "deadline" });
  }

  /** Which worker each lease of the driver got, by leaseId. */
  granted(): Map<number, WorkerId> {
    return new Map(this.out.all("leaseGranted").map((m) => [m.leaseId, m.workerId]));
  }

  started(): WorkerId[] {
    return this.#instructed("startWorker");
  }

  stopped(): WorkerId[] {
    return this.#instructed("stopWorker");
  }

  availableCpu(): number {
    return this.raylet.available("CPU") / 10_000;
  }

  #instructed(type: RayletInstruction["type"]): WorkerId[] {
    return this.out.instructions.flatMap((i) =>
      i.type === type && "workerId" in i ? [i.workerId] : [],
    );
  }
}

interface BlockOptions {
  readonly blocked?: boolean;
  readonly owner?: WorkerId;
}
