/**
 * What must hold in every run, whatever the program: shown all that happens, told of violations,
 * asserts nothing itself. One object a run. Every method but the last is called while it happens.
 */
import type { ActorId, NodeId, WorkerId } from "#engine/common/ids.ts";
import type { GetRequest } from "#engine/core-worker/memory-store.ts";
import type { ObjectEntry, TaskRecord } from "#engine/core-worker/object-entry.ts";
import type { IncomingActor, IncomingTask } from "#engine/core-worker/incoming-task.ts";
import type { ActorRegistration } from "#engine/protocol/gcs.ts";
import type { Outcome } from "#engine/protocol/outcome.ts";
import type { MovedBuffers } from "#engine/protocol/transport.ts";
import type { Process } from "#api/runtime.ts";
import type { Cluster } from "#sim/cluster/cluster.ts";
import type { Link } from "#transports/simulated/network-watch.ts";
import type { Frame } from "#transports/simulated/frame.ts";

export interface Violated {
  /** Id of what it happened to. */
  readonly entity: string;
  readonly message: string;
}

export type Violate = (violated: Violated) => void;

/** Digest of an outcome as this process sees it: equal for equal values. */
export type Digest = (outcome: Outcome) => string;
/** The digest of what cannot be read here at present. */
export const unreadable = "";

/** A process whose every step the oracles see: simulated, or in local mode. */
export interface WatchedProcess extends Process {
  readonly life: { readonly name: string; readonly node: number; readonly isAlive: boolean };
}

/** What has become of the processes. */
export interface Fates {
  /** Some node has died, or was taken for dead. */
  readonly hasLostNode: boolean;
  /** Some disk has not given back what was spilled to it. */
  readonly hasLostSpilled: boolean;
  /** Something has ended with what it had: not one that was asked to when nobody needed it. */
  readonly hasLostProcess: boolean;
  readonly goneWorkerCount: number;
  /** Threads that a raylet has ended because its machine was short of memory. */
  readonly endedForMemoryCount: number;
  /** It has ended, or its node was taken for dead. */
  isGone(workerId: WorkerId): boolean;
  /** What it runs is for nobody: the GCS has taken its node for dead, or the actor it hosts. */
  isDoomed(process: WatchedProcess): boolean;
  /** The GCS has ended it because nobody had a handle to it. */
  isOutOfScope(actorId: ActorId): boolean;
  /** Taken for dead by the GCS. */
  hasBuried(nodeId: NodeId): boolean;
}

export interface Scope {
  /** From the first event to quiet. Otherwise what was made before is taken as it is first seen. */
  readonly seesAll: boolean;
  /** Ids that an oracle remembers something of, the latest used ones: a bound on its memory. */
  readonly rememberedMax: number;
  /** Of several threads that run tasks it sees this one. */
  readonly isOneThread?: boolean;
}

/** The object as the process may read it now; null while it has no value, or none within reach. */
export function readableIn(
  { client }: WatchedProcess,
  entry: ObjectEntry,
): { outcome: Outcome } | null {
  const { copies } = client.core;
  if (entry.state === "PENDING" || !copies.isReadable(entry)) return null;
  return { outcome: copies.readable(entry) };
}

export abstract class Oracle {
  /** `<number> <name>` as in docs/internals/simulation.md. */
  abstract readonly name: string;
  protected readonly violate: Violate;

  constructor(violate: Violate) {
    this.violate = violate;
  }

  /** A task or actor call of this process: its first return and the others. */
  onSubmitted?(entries: readonly ObjectEntry[], by: WatchedProcess): void;
  /** As onSubmitted, with the task that made the call; null for the driver. */
  onCalled?(task: TaskRecord, parent: IncomingTask | null): void;
  /** A call of cancel begins, or a signal is aborted. */
  onCancelling?(entry: ObjectEntry, force: boolean): void;
  /** … and the object's owner has taken it. `wasPending`: as far as its caller knew before. */
  onCancelTaken?(entry: ObjectEntry, wasPending: boolean): void;
  onPut?(entry: ObjectEntry, digest: string, by: WatchedProcess): void;
  /** An actor is asked for: made, or found by its name. */
  onCreating?(registration: ActorRegistration, creation: TaskRecord | null): void;
  onKill?(actorId: ActorId): void;
  /** A call of get or wait begins. */
  onAwaited?(request: GetRequest, by: WatchedProcess): void;
  /** … is about to be told its outcome. */
  onSettled?(request: GetRequest, by: WatchedProcess, digest: Digest): void;
  /** A decoded value is about to be given to user code. */
  onGiven?(value: unknown, outcome: Outcome): void;
  onStarted?(task: IncomingTask, by: WatchedProcess, digest: Digest): void;
  /** By position: the returns of the task, or its failure alone. */
  onEnded?(task: IncomingTask, outcomes: readonly Outcome[], digest: Digest): void;
  /** User code threw: in a task or a constructor, by its id. */
  onThrown?(subject: string): void;
  onConstructing?(actor: IncomingActor, by: WatchedProcess, digest: Digest): void;
  /** A frame is put on a link. */
  onSent?(frame: Frame, link: Link): void;
  /** … and handed to its receiver. */
  onTaken?(frame: Frame, link: Link): void;
  /** Its sender has had it back: it is never taken. */
  onRetracted?(frame: Frame, link: Link): void;
  /** Transferred buffers leave the owner of their task for its executor. */
  onMoved?(moved: MovedBuffers): void;
  /** The program waits for ever: what is told of that. */
  onStuck?(report: string): void;
  /** When nothing is left to happen but user code of tasks, just before the job is ended. */
  atJobEnd?(cluster: Cluster): void;
  /** When nothing is left to happen, after healing. */
  atQuiet?(cluster: Cluster): void;
}
