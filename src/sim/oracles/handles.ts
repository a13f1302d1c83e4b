/**
 * 5 References, for actors: none is ended while a living process counts on a handle to it, and at
 * quiet none is left that nobody has a handle to, nor a process whose actor has ended and that
 * nobody counts on.
 */
import { actorIdOf, actorIndex, makerOf, type WorkerId } from "#engine/common/ids.ts";
import { isUsed, type ObjectEntry } from "#engine/core-worker/object-entry.ts";
import type { MessageType } from "#engine/protocol/message.ts";
import type { RareState } from "#sim/report/reached.ts";
import type { Cluster } from "#sim/cluster/cluster.ts";
import type { Frame } from "#transports/simulated/frame.ts";
import { type Fates, Oracle, type Violate, type WatchedProcess } from "./oracle.ts";

/** An actor has just ended, or is about to. */
const ending: readonly MessageType[] = ["actorOutOfScope", "stopActorWorker", "actorState"];

export interface HandleFacts {
  fates(): Fates;
  processes(): readonly WatchedProcess[];
  mark(state: RareState): void;
}

export class HandleOracle extends Oracle {
  readonly name = "5 references";
  readonly #facts: HandleFacts;

  constructor(violate: Violate, facts: HandleFacts) {
    super(violate);
    this.#facts = facts;
  }

  override onTaken({ type }: Frame): void {
    if (ending.includes(type)) this.#checkNotEarly();
  }

  override atQuiet(cluster: Cluster): void {
    this.#checkNotEarly();
    const living = this.#living();
    for (const actorId of cluster.gcs.liveActors) {
      const { maker, serial } = makerOf(actorId);
      const owner = living.get(maker)?.client.core.references;
      const entry = owner?.find(maker, { serial, index: actorIndex });
      // The GCS has yet to hear of the death of its owner, or never will: a zombie.
      if (owner === undefined || (entry !== undefined && countsHere(entry))) continue;
      this.violate({ entity: actorId, message: "lives, and nobody has a handle to it" });
    }
    for (const process of living.values()) this.#checkNeeded(process, living);
  }

  #checkNotEarly(): void {
    const living = this.#living();
    for (const process of living.values()) {
      const { client, life } = process;
      if (client.core.drain.isAsked) this.#facts.mark("actorNeededAfterItsEnd");
      if (this.#facts.fates().isDoomed(process)) continue;
      for (const entry of client.core.references.registered()) {
        if (entry.index !== actorIndex || !counts(entry, client.workerId, living)) continue;
        const actorId = actorIdOf(entry.owner, entry.serial);
        if (!this.#facts.fates().isOutOfScope(actorId)) continue;
        const message = `ended as out of scope while ${life.name} counted on it`;
        this.violate({ entity: actorId, message });
      }
    }
  }

  #checkNeeded(process: WatchedProcess, living: ReadonlyMap<WorkerId, WatchedProcess>): void {
    const { core, workerId } = process.client;
    if (!core.drain.isAsked || core.tasks.unfinishedCount > 0) return;
    for (const { client } of living.values()) {
      for (const entry of client.core.references.registered()) {
        if (entry.owner === workerId && client.workerId !== workerId) return;
      }
    }
    const message = `${process.life.name} goes on: its actor has ended, nobody counts on it`;
    this.violate({ entity: workerId, message });
  }

  #living(): Map<WorkerId, WatchedProcess> {
    const living = this.#facts.processes().filter(({ life }) => life.isAlive);
    return new Map(living.map((process) => [process.client.workerId, process]));
  }
}

function countsHere(entry: ObjectEntry): boolean {
  return isUsed(entry) || (entry.holders !== null && entry.holders.size > 0);
}

/** A borrower counts once it knows of its hold: see ReferenceOracle. */
function counts(
  entry: ObjectEntry,
  self: WorkerId,
  living: ReadonlyMap<WorkerId, WatchedProcess>,
): boolean {
  if (entry.owner === self) return countsHere(entry);
  if (!entry.held || !isUsed(entry)) return false;
  const owner = living.get(entry.owner)?.client.core.references;
  return owner !== undefined && !owner.ended.has(self);
}
