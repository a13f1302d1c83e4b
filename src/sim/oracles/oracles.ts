/** Shows each oracle of a run what happens. */
import { type ActorId, objectKey, type WorkerId } from "#engine/common/ids.ts";
import type { GetRequest } from "#engine/core-worker/memory-store.ts";
import type { ObjectEntry, TaskRecord } from "#engine/core-worker/object-entry.ts";
import type { IncomingActor, IncomingTask } from "#engine/core-worker/incoming-task.ts";
import type { ActorRegistration } from "#engine/protocol/gcs.ts";
import type { Outcome } from "#engine/protocol/outcome.ts";
import type { MovedBuffers } from "#engine/protocol/transport.ts";
import type { Cluster } from "#sim/cluster/cluster.ts";
import type { Frame } from "#transports/simulated/frame.ts";
import type { Link, NetworkWatch } from "#transports/simulated/network-watch.ts";
import type { Digest, Oracle, Violate, Violated, WatchedProcess } from "./oracle.ts";

export interface OracleOptions {
  violate(oracle: string, violated: Violated): void;
  /** Null if nobody asks what has happened to what. */
  readonly notes: Notes | null;
}

/** Something happens to it now. */
export interface Notes {
  /** An actor or a process. */
  note(id: string): void;
  noteTask(owner: WorkerId, serial: number): void;
  noteObject(owner: WorkerId, key: number): void;
}

/** What an oracle may be shown, each in a method of that name. */
const shown = [
  ...(["onSubmitted", "onCalled", "onCancelling", "onCancelTaken", "onPut", "onKill"] as const),
  ...(["onAwaited", "onSettled", "onGiven", "onStarted", "onEnded", "onThrown"] as const),
  ...(["onConstructing", "onCreating", "onSent", "onTaken", "onRetracted", "onMoved"] as const),
  ...(["onStuck", "atJobEnd", "atQuiet"] as const),
];
type Shown = (typeof shown)[number];

/** By what they want to be shown: most of them want little, and a run shows a lot. */
type Lookers = { readonly [S in Shown]: (Oracle & Required<Pick<Oracle, S>>)[] };

/** By class: a short run would feel how long it takes to look. */
const shownTo = new Map<unknown, readonly Shown[]>();

export class Oracles implements NetworkWatch {
  readonly #for: Lookers;
  readonly #notes: Notes | null;

  constructor(
    makers: readonly ((violate: Violate) => Oracle)[],
    { violate, notes }: OracleOptions,
  ) {
    this.#notes = notes;
    const all = makers.map((make) => {
      const oracle: Oracle = make((violated) => violate(oracle.name, violated));
      return oracle;
    });
    this.#for = lookersOf(all);
  }

  onSubmitted(entries: readonly ObjectEntry[], by: WatchedProcess): void {
    this.#noteEntries(entries);
    for (const oracle of this.#for.onSubmitted) oracle.onSubmitted(entries, by);
  }

  onCalled(task: TaskRecord, parent: IncomingTask | null): void {
    for (const oracle of this.#for.onCalled) oracle.onCalled(task, parent);
  }

  onCancelling(entry: ObjectEntry, force: boolean): void {
    this.#noteEntries([entry]);
    for (const oracle of this.#for.onCancelling) oracle.onCancelling(entry, force);
  }

  onCancelTaken(entry: ObjectEntry, wasPending: boolean): void {
    for (const oracle of this.#for.onCancelTaken) oracle.onCancelTaken(entry, wasPending);
  }

  onPut(entry: ObjectEntry, digest: string, by: WatchedProcess): void {
    this.#noteEntries([entry]);
    for (const oracle of this.#for.onPut) oracle.onPut(entry, digest, by);
  }

  onCreating(registration: ActorRegistration, creation: TaskRecord | null): void {
    for (const oracle of this.#for.onCreating) oracle.onCreating(registration, creation);
  }

  onKill(actorId: ActorId): void {
    this.#notes?.note(actorId);
    for (const oracle of this.#for.onKill) oracle.onKill(actorId);
  }

  onAwaited(request: GetRequest, by: WatchedProcess): void {
    for (const oracle of this.#for.onAwaited) oracle.onAwaited(request, by);
  }

  onSettled(request: GetRequest, by: WatchedProcess, digest: Digest): void {
    this.#noteEntries(request.entries);
    const once = this.#once(digest);
    for (const oracle of this.#for.onSettled) oracle.onSettled(request, by, once);
  }

  onGiven(value: unknown, outcome: Outcome): void {
    for (const oracle of this.#for.onGiven) oracle.onGiven(value, outcome);
  }

  onStarted(task: IncomingTask, by: WatchedProcess, digest: Digest): void {
    this.#noteTask(task);
    for (const oracle of this.#for.onStarted) oracle.onStarted(task, by, digest);
  }

  onEnded(task: IncomingTask, outcomes: readonly Outcome[], digest: Digest): void {
    this.#noteTask(task);
    for (const oracle of this.#for.onEnded) oracle.onEnded(task, outcomes, digest);
  }

  onThrown(subject: string): void {
    for (const oracle of this.#for.onThrown) oracle.onThrown(subject);
  }

  onConstructing(actor: IncomingActor, by: WatchedProcess, digest: Digest): void {
    this.#notes?.note(actor.spec.actorId);
    for (const oracle of this.#for.onConstructing) oracle.onConstructing(actor, by, digest);
  }

  onSent(frame: Frame, link: Link): void {
    for (const oracle of this.#for.onSent) oracle.onSent(frame, link);
  }

  onTaken(frame: Frame, link: Link): void {
    this.#notes?.note(frame.to);
    for (const oracle of this.#for.onTaken) oracle.onTaken(frame, link);
  }

  onRetracted(frame: Frame, link: Link): void {
    for (const oracle of this.#for.onRetracted) oracle.onRetracted(frame, link);
  }

  onMoved(moved: MovedBuffers): void {
    for (const oracle of this.#for.onMoved) oracle.onMoved(moved);
  }

  onStuck(report: string): void {
    for (const oracle of this.#for.onStuck) oracle.onStuck(report);
  }

  atJobEnd(cluster: Cluster): void {
    for (const oracle of this.#for.atJobEnd) oracle.atJobEnd(cluster);
  }

  atQuiet(cluster: Cluster): void {
    for (const oracle of this.#for.atQuiet) oracle.atQuiet(cluster);
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
    this.#notes?.noteTask(owner, serial);
  }

  #noteEntries(entries: readonly ObjectEntry[]): void {
    if (this.#notes === null) return;
    for (const { owner, serial, index } of entries) {
      this.#notes.noteObject(owner, objectKey(serial, index));
      // A task has the id that its returns begin with.
      if (index > 0) this.#notes.noteTask(owner, serial);
    }
  }
}

function lookersOf(all: readonly Oracle[]): Lookers {
  const lookers: Lookers = {
    onSubmitted: [],
    onCalled: [],
    onCancelling: [],
    onCancelTaken: [],
    onPut: [],
    onKill: [],
    onAwaited: [],
    onSettled: [],
    onGiven: [],
    onStarted: [],
    onEnded: [],
    onThrown: [],
    onConstructing: [],
    onSent: [],
    onTaken: [],
    atJobEnd: [],
    atQuiet: [],
    onCreating: [],
    onRetracted: [],
    onMoved: [],
    onStuck: [],
  };
  for (const oracle of all) {
    let names = shownTo.get(oracle.constructor);
    if (names === undefined) {
      names = shown.filter((name) => name in oracle);
      shownTo.set(oracle.constructor, names);
    }
    for (const name of names) (lookers[name] as Oracle[]).push(oracle);
  }
  return lookers;
}
