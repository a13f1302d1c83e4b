/**
 * The end of an actor that nobody can call any more: its process stays until nobody counts on it.
 * Others may hold what it owns, and calls that it has made go on: when its last handle happens to
 * be collected must not change what a program comes to.
 *
 * State:  the raylet's question, until it is answered.
 * In/out: drainActor → ReleaseLease, ActorDrained, after the first event that leaves nothing.
 * Bounds: looked at once an event while it drains.
 * Errors: a call of a dead caller may run on for ever; nobody waits for that.
 * Source: protocols §4 Lease, "not idle".
 */
import type { DrainActor } from "#engine/protocol/gcs.ts";
import type { ActorSubmitter } from "./actor-submitter.ts";
import type { HoldMaker } from "./hold-maker.ts";
import type { Out, ProcessContext } from "./process-context.ts";
import type { ReferenceCounter } from "./reference-counter.ts";
import type { TaskManager } from "./task-manager.ts";
import type { TaskReceiver } from "./task-receiver.ts";
import type { TaskSubmitter } from "./task-submitter.ts";

interface Parts {
  readonly context: ProcessContext;
  readonly references: ReferenceCounter;
  readonly holds: HoldMaker;
  readonly manager: TaskManager;
  readonly submitter: TaskSubmitter;
  readonly actors: ActorSubmitter;
  readonly receiver: TaskReceiver;
}

export class ActorDrain {
  readonly #parts: Parts;
  #asked: DrainActor | null = null;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  get isAsked(): boolean {
    return this.#asked !== null;
  }

  onDrainActor(message: DrainActor): void {
    this.#asked = message;
  }

  tellIfDrained(out: Out): void {
    if (this.#asked === null || this.whyNot() !== "") return;
    const { actorId, incarnation, from: raylet } = this.#asked;
    this.#asked = null;
    const { context, submitter } = this.#parts;
    const { self: from } = context;
    // Idle ones: those of a process that has ended are doomed, and their threads with them.
    submitter.releaseIdle(out, null);
    out.send(raylet, { type: "actorDrained", from, actorId, incarnation });
  }

  /** Who counts on this process, for a person; "" when nobody does. */
  whyNot(): string {
    const { references, holds, manager, submitter, actors, receiver } = this.#parts;
    const infeasibleCount = submitter.infeasibleTaskCount + actors.infeasibleTaskCount;
    if (manager.unfinishedCount > infeasibleCount) return "calls that it has made";
    for (const { owner } of receiver.running) {
      if (!references.ended.has(owner)) return "a call that runs";
    }
    if (holds.askedCount > 0) return "a message that waits for holds";
    return references.isHeldByOthers() ? "objects that it owns" : "";
  }
}
