/**
 * The oracles that are on in every run, by their numbers in docs/internals/simulation.md: shows
 * each of them what happens.
 */
import { type ActorId, objectIdHex, objectKey, taskIdHex } from "#engine/common/ids.ts";
import type { GetRequest } from "#engine/core-worker/memory-store.ts";
import type { ObjectEntry } from "#engine/core-worker/object-entry.ts";
import type { IncomingActor, IncomingTask } from "#engine/core-worker/task-receiver.ts";
import type { Outcome } from "#engine/protocol/outcome.ts";
import type { Cluster, SimProcess } from "#sim/cluster.ts";
import type { RareState } from "#sim/reached.ts";
import type { Frame } from "#transports/simulated/frame.ts";
import type { Link, NetworkWatch } from "#transports/simulated/network-watch.ts";
import { AgreementOracle } from "./agreement.ts";
import { CopyOracle } from "./copies.ts";
import { LivenessOracle } from "./liveness.ts";
import { LossOracle } from "./loss.ts";
import { ObjectOracle } from "./objects.ts";
import type { Digest, Oracle, Violate, Violated } from "./oracle.ts";
import { ReferenceOracle } from "./references.ts";
import { ResourceOracle } from "./resources.ts";
import { TaskOracle } from "./tasks.ts";
import { TimeOracle } from "./time.ts";
import { TransportOracle } from "./transport.ts";

export interface OracleOptions {
  /** Made after the oracles: asked for when something has happened in it. */
  cluster(): Cluster;
  /** Whether a fault of the run may stop the machine for a while. */
  mayStandStill(node: number): boolean;
  violate(oracle: string, violated: Violated): void;
  /** A rare state was reached. */
  reach(state: RareState): void;
  /** Something happened to the task, object or process. */
  note(entity: string): void;
}

export class Oracles implements NetworkWatch {
  readonly #all: readonly Oracle[];
  readonly #note: (entity: string) => void;

  constructor(options: OracleOptions) {
    const { cluster, mayStandStill, note } = options;
    const of = <O extends Oracle>(make: (violate: Violate) => O): O => {
      const oracle: O = make((violated) => options.violate(oracle.name, violated));
      return oracle;
    };
    this.#note = note;
    this.#all = [
      of((violate) => new TaskOracle(violate)),
      of((violate) => new ObjectOracle(violate)),
      of((violate) => new LossOracle(violate, cluster)),
      of((violate) => new ReferenceOracle(violate)),
      of((violate) => new CopyOracle(violate, (state) => options.reach(state))),
      of((violate) => new ResourceOracle(violate)),
      of((violate) => new AgreementOracle(violate)),
      of((violate) => new TimeOracle(violate, mayStandStill)),
      of((violate) => new LivenessOracle(violate)),
      of((violate) => new TransportOracle(violate)),
    ];
  }

  onSubmitted(entries: readonly ObjectEntry[], by: SimProcess): void {
    for (const entry of entries) this.#noteEntry(entry);
    for (const oracle of this.#all) oracle.onSubmitted?.(entries, by);
  }

  onPut(entry: ObjectEntry, digest: string, by: SimProcess): void {
    this.#noteEntry(entry);
    for (const oracle of this.#all) oracle.onPut?.(entry, digest, by);
  }

  onKill(actorId: ActorId): void {
    this.#note(actorId);
    for (const oracle of this.#all) oracle.onKill?.(actorId);
  }

  onAwaited(request: GetRequest, by: SimProcess): void {
    for (const oracle of this.#all) oracle.onAwaited?.(request, by);
  }

  onSettled(request: GetRequest, by: SimProcess, digest: Digest): void {
    for (const entry of request.entries) this.#noteEntry(entry);
    for (const oracle of this.#all) oracle.onSettled?.(request, by, digest);
  }

  onGiven(value: unknown, outcome: Outcome): void {
    for (const oracle of this.#all) oracle.onGiven?.(value, outcome);
  }

  onStarted(task: IncomingTask, by: SimProcess, digest: Digest): void {
    this.#note(taskIdHex(task.owner, task.serial));
    for (const oracle of this.#all) oracle.onStarted?.(task, by, digest);
  }

  onEnded(task: IncomingTask, outcomes: readonly Outcome[], digest: Digest): void {
    this.#note(taskIdHex(task.owner, task.serial));
    for (const oracle of this.#all) oracle.onEnded?.(task, outcomes, digest);
  }

  onThrown(subject: string): void {
    for (const oracle of this.#all) oracle.onThrown?.(subject);
  }

  onConstructing(actor: IncomingActor, by: SimProcess): void {
    this.#note(actor.spec.actorId);
    for (const oracle of this.#all) oracle.onConstructing?.(actor, by);
  }

  onSent(frame: Frame, link: Link): void {
    for (const oracle of this.#all) oracle.onSent?.(frame, link);
  }

  onTaken(frame: Frame): void {
    this.#note(frame.to);
    for (const oracle of this.#all) oracle.onTaken?.(frame);
  }

  atQuiet(cluster: Cluster): void {
    for (const oracle of this.#all) oracle.atQuiet?.(cluster);
  }

  #noteEntry({ owner, serial, index }: ObjectEntry): void {
    this.#note(objectIdHex(owner, objectKey(serial, index)));
    // A task has the id that its returns begin with.
    if (index > 0) this.#note(taskIdHex(owner, serial));
  }
}
