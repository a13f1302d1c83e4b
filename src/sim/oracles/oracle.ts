/**
 * What must hold in every run, whatever the program: shown all that happens, told of violations,
 * asserts nothing itself. One object a run. Every method but the last is called while it happens.
 */
import type { ActorId } from "#engine/common/ids.ts";
import type { GetRequest } from "#engine/core-worker/memory-store.ts";
import type { ObjectEntry } from "#engine/core-worker/object-entry.ts";
import type { IncomingActor, IncomingTask } from "#engine/core-worker/task-receiver.ts";
import type { Outcome } from "#engine/protocol/outcome.ts";
import type { Cluster, SimProcess } from "#sim/cluster.ts";
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

/** The object as the process may read it now; null while it has no value, or none within reach. */
export function readableIn(
  { client }: SimProcess,
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
  onSubmitted?(entries: readonly ObjectEntry[], by: SimProcess): void;
  onPut?(entry: ObjectEntry, digest: string, by: SimProcess): void;
  onKill?(actorId: ActorId): void;
  /** A call of get or wait begins. */
  onAwaited?(request: GetRequest, by: SimProcess): void;
  /** … is about to be told its outcome. */
  onSettled?(request: GetRequest, by: SimProcess, digest: Digest): void;
  /** A decoded value is about to be given to user code. */
  onGiven?(value: unknown, outcome: Outcome): void;
  onStarted?(task: IncomingTask, by: SimProcess, digest: Digest): void;
  /** By position: the returns of the task, or its failure alone. */
  onEnded?(task: IncomingTask, outcomes: readonly Outcome[], digest: Digest): void;
  /** User code threw: in a task or a constructor, by its id. */
  onThrown?(subject: string): void;
  onConstructing?(actor: IncomingActor, by: SimProcess): void;
  /** A frame is put on a link. */
  onSent?(frame: Frame, link: Link): void;
  /** … and handed to its receiver. */
  onTaken?(frame: Frame): void;
  /** When nothing is left to happen, after healing. */
  atQuiet?(cluster: Cluster): void;
}
