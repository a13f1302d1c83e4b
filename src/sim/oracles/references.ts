/**
 * 5 References: nothing is freed early, and at quiet the tables are what can be counted anew: an
 * owner lists exactly the living processes that count on it, nothing is under way, and a borrower
 * knows nothing that it does not use.
 *
 * A doomed process, whose verdict others know, may count on what they have let go: it ends. The
 * others count on what they know to be held for them. Before that somebody else covers the ref:
 * the owner of the task that it came with, whose death dooms the task.
 */
import type { MessageType } from "#engine/protocol/message.ts";
import { isUsed, type ObjectEntry } from "#engine/core-worker/object-entry.ts";
import type { WorkerId } from "#engine/common/ids.ts";
import type { Frame } from "#transports/simulated/frame.ts";
import { type Fates, Oracle, type Violate, type WatchedProcess } from "./oracle.ts";
import { idOf } from "./tasks.ts";

/** What may end a count. The last one of them is looked at with the next, or at quiet. */
const ending: readonly MessageType[] = [
  ...(["releaseHolds", "abandonHolds", "holdsQueried", "taskReply", "workerDied"] as const),
  ...(["nodeDied", "actorState"] as const),
];

export class ReferenceOracle extends Oracle {
  readonly name = "5 references";
  readonly #fates: () => Fates;
  readonly #processes: () => readonly WatchedProcess[];

  constructor(violate: Violate, fates: () => Fates, processes: () => readonly WatchedProcess[]) {
    super(violate);
    this.#fates = fates;
    this.#processes = processes;
  }

  override onTaken({ type }: Frame): void {
    if (ending.includes(type)) this.#checkNotEarly();
  }

  override atQuiet(): void {
    this.#checkNotEarly();
    const processes = livingOf(this.#processes());
    for (const process of processes.values()) {
      for (const entry of process.client.core.references.registered()) {
        if (entry.owner === process.client.workerId) this.#checkOwned(entry, processes);
        else this.#checkBorrowed(entry, process, processes);
      }
      this.#checkNothingUnderWay(process);
    }
  }

  #checkNotEarly(): void {
    let living: ReadonlyMap<WorkerId, WatchedProcess> | null = null;
    for (const process of this.#processes()) {
      const { client, life } = process;
      // As a rule nobody borrows anything, and this is asked with every reply.
      if (!life.isAlive || !client.core.references.hasBorrowed) continue;
      if (this.#fates().isDoomed(process)) continue;
      living ??= livingOf(this.#processes());
      for (const entry of client.core.references.registered()) {
        if (!entry.held || entry.owner === client.workerId || !isUsed(entry)) continue;
        const owner = living.get(entry.owner)?.client.core.references;
        // One that takes this process for dead holds nothing for it, and is never believed again.
        if (owner === undefined || owner.ended.has(client.workerId)) continue;
        if (owner.find(entry.owner, entry) !== undefined) continue;
        this.violate({ entity: idOf(entry), message: `freed while ${life.name} counted on it` });
      }
    }
  }

  #checkOwned(entry: ObjectEntry, processes: ReadonlyMap<WorkerId, WatchedProcess>): void {
    for (const [holder, count] of entry.holders ?? []) {
      const borrowed = processes.get(holder)?.client.core.references.find(entry.owner, entry);
      if (count === 1 && borrowed?.registered === true) continue;
      const message = `held ${count} times for ${holder}, which has no hold on it`;
      this.violate({ entity: idOf(entry), message });
    }
  }

  #checkBorrowed(
    entry: ObjectEntry,
    { client, life }: WatchedProcess,
    processes: ReadonlyMap<WorkerId, WatchedProcess>,
  ): void {
    if (!isUsed(entry)) {
      this.violate({ entity: idOf(entry), message: `${life.name} keeps it for nothing` });
    }
    if (!entry.registered || entry.state === "FAILED") return;
    const owner = processes.get(entry.owner)?.client.core.references;
    if (owner === undefined || owner.ended.has(client.workerId)) return;
    if (owner.find(entry.owner, entry)?.holders?.has(client.workerId)) return;
    const message = `${life.name} counts on a hold that its owner does not know of`;
    this.violate({ entity: idOf(entry), message });
  }

  #checkNothingUnderWay({ client, life }: WatchedProcess): void {
    const { holds, grants } = client.core;
    const entity = client.workerId;
    if (holds.askedCount > 0) {
      const message = `${life.name} waits for ${holds.askedCount} holds that nobody makes`;
      this.violate({ entity, message });
    }
    if (grants.unconfirmedCount > 0) {
      const message = `${life.name} has ${grants.unconfirmedCount} holds that nobody confirms`;
      this.violate({ entity, message });
    }
  }
}

function livingOf(processes: readonly WatchedProcess[]): Map<WorkerId, WatchedProcess> {
  const living = processes.filter(({ life }) => life.isAlive);
  return new Map(living.map((process) => [process.client.workerId, process]));
}
