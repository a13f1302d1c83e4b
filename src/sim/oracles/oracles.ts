/** Shows each oracle of a run what happens. */
import { type ActorId, objectIdHex, objectKey, taskIdHex } from "#engine/common/ids.ts";
import type { GetRequest } from "#engine/core-worker/memory-store.ts";
import type { ObjectEntry, TaskRecord } from "#engine/core-worker/object-entry.ts";
import type { IncomingActor, IncomingTask } from "#engine/core-worker/incoming-task.ts";
import type { ActorRegistration } from "#engine/protocol/gcs.ts";
import type { Outcome } from "#engine/protocol/outcome.ts";
import type { Cluster } from "#sim/cluster.ts";
import type { Frame } from "#transports/simulated/frame.ts";
import type { Link, NetworkWatch } from "#transports/simulated/network-watch.ts";
import type { Digest, Oracle, Violate, Violated, WatchedProcess } from "./oracle.ts";

export interface OracleOptions {
  violate(oracle: string, violated: Violated): void;
  /** Something happened to the task, object or process; null if nobody asks. */
  readonly note: ((entity: string) => void) | null;
}

export class Oracles implements NetworkWatch {
  readonly #all: readonly Oracle[];
  readonly #note: ((entity: string) => void) | null;

  constructor(makers: readonly ((violate: Violate) => Oracle)[], { violate, note }: OracleOptions) {
    this.#note = note;
    this.#all = makers.map((make) => {
      const oracle: Oracle = make((violated) => violate(oracle.name, violated));
      return oracle;
    });
  }

  onSubmitted(entries: readonly ObjectEntry[], by: WatchedProcess): void {
    this.#noteEntries(entries);
    for (const oracle of this.#all) oracle.onSubmitted?.(entries, by);
  }

  onCalled(task: TaskRecord, parent: IncomingTask | null): void {
    for (const oracle of this.#all) oracle.onCalled?.(task, parent);
  }

  onCancelling(entry: ObjectEntry, force: boolean): void {
    this.#noteEntries([entry]);
    for (const oracle of this.#all) oracle.onCancelling?.(entry, force);
  }

  onCancelTaken(entry: ObjectEntry, wasPending: boolean): void {
    for (const oracle of this.#all) oracle.onCancelTaken?.(entry, wasPending);
  }

  onPut(entry: ObjectEntry, digest: string, by: WatchedProcess): void {
    this.#noteEntries([entry]);
    for (const oracle of this.#all) oracle.onPut?.(entry, digest, by);
  }

  onCreating(registration: ActorRegistration): void {
    for (const oracle of this.#all) oracle.onCreating?.(registration);
  }

  onKill(actorId: ActorId): void {
    this.#note?.(actorId);
    for (const oracle of this.#all) oracle.onKill?.(actorId);
  }

  onAwaited(request: GetRequest, by: WatchedProcess): void {
    for (const oracle of this.#all) oracle.onAwaited?.(request, by);
  }

  onSettled(request: GetRequest, by: WatchedProcess, digest: Digest): void {
    this.#noteEntries(request.entries);
    const once = this.#once(digest);
    for (const oracle of this.#all) oracle.onSettled?.(request, by, once);
  }

  onGiven(value: unknown, outcome: Outcome): void {
    for (const oracle of this.#all) oracle.onGiven?.(value, outcome);
  }

  onStarted(task: IncomingTask, by: WatchedProcess, digest: Digest): void {
    this.#noteTask(task);
    for (const oracle of this.#all) oracle.onStarted?.(task, by, digest);
  }

  onEnded(task: IncomingTask, outcomes: readonly Outcome[], digest: Digest): void {
    this.#noteTask(task);
    for (const oracle of this.#all) oracle.onEnded?.(task, outcomes, digest);
  }

  onThrown(subject: string): void {
    for (const oracle of this.#all) oracle.onThrown?.(subject);
  }

  onConstructing(actor: IncomingActor, by: WatchedProcess, digest: Digest): void {
    this.#note?.(actor.spec.actorId);
    for (const oracle of this.#all) oracle.onConstructing?.(actor, by, digest);
  }

  onSent(frame: Frame, link: Link): void {
    for (const oracle of this.#all) oracle.onSent?.(frame, link);
  }

  onTaken(frame: Frame, link: Link): void {
    this.#note?.(frame.to);
    for (const oracle of this.#all) oracle.onTaken?.(frame, link);
  }

  onRetracted(frame: Frame, link: Link): void {
    for (const oracle of this.#all) oracle.onRetracted?.(frame, link);
  }

  onStuck(report: string): void {
    for (const oracle of this.#all) oracle.onStuck?.(report);
  }

  atJobEnd(cluster: Cluster): void {
    for (const oracle of this.#all) oracle.atJobEnd?.(cluster);
  }

  atQuiet(cluster: Cluster): void {
    for (const oracle of this.#all) oracle.atQuiet?.(cluster);
  }

  /** Oracles ask for the same digests, which are dear for large values. */
  #once(digest: Digest): Digest {
    const known = new Map<object, string>();
    return (outcome) => {
      if (typeof outcome !== "object" || outcome === null) return digest(outcome);
      let found = known.get(outcome);
      if (found === undefined) known.set(outcome, (found = digest(outcome)));
      return found;
    };
  }

  #noteTask({ owner, serial }: IncomingTask): void {
    this.#note?.(taskIdHex(owner, serial));
  }

  #noteEntries(entries: readonly ObjectEntry[]): void {
    if (this.#note === null) return;
    for (const { owner, serial, index } of entries) {
      this.#note(objectIdHex(owner, objectKey(serial, index)));
      // A task has the id that its returns begin with.
      if (index > 0) this.#note(taskIdHex(owner, serial));
    }
  }
}
