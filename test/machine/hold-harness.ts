/** A core worker between the owner of refs and whoever they are sent on to. */
import { gcsAddress, type WorkerId } from "#engine/common/ids.ts";
import type { ActorClient } from "#engine/core-worker/actor-client.ts";
import type { ObjectEntry, TaskRecord } from "#engine/core-worker/object-entry.ts";
import type { IncomingTask } from "#engine/core-worker/incoming-task.ts";
import type { HeldRef } from "#engine/protocol/hold.ts";
import type { Outcome } from "#engine/protocol/outcome.ts";
import { CoreWorkerHarness, template } from "./core-worker-harness.ts";
import { actor, worker } from "./raylet-harness.ts";

/** Of the refs; of the process under test, as a rule; of whoever they are sent on to. */
export const owner = worker(1);
export const self = worker(2);
export const receiver = worker(3);
export const other = worker(4);

export const nameOf = ({ serial, index }: ObjectEntry) => ({ serial, index });
export const refOf = (serial: number, topLevel = false) =>
  ({ type: "ref", owner, serial, index: 0, topLevel }) as const;
export const heldOf = (serial: number, hold: number): HeldRef => ({
  owner,
  serial,
  index: 0,
  hold,
});

export class HoldHarness extends CoreWorkerHarness {
  constructor() {
    super({ self });
  }

  /** An actor of `receiver`, or of the worker given, that is known to live. */
  actor(workerId: WorkerId = receiver): ActorClient {
    const client = this.core.actors.clientOf(actor(9), "Keeper", false);
    this.handle({
      type: "actorState",
      from: gcsAddress,
      actorId: client.actorId,
      version: 1,
      state: "ALIVE",
      incarnation: 0,
      workerId,
      death: null,
      pendingReason: "",
      infeasible: false,
    });
    return client;
  }

  call(client: ActorClient, args: readonly ObjectEntry[], nested = true): TaskRecord {
    const task = this.task(args, { nested, actor: client, shape: template(7) });
    this.handle({ type: "submitActorTask", actor: client, task });
    return task;
  }

  borrow(serial: number): ObjectEntry {
    return this.adopt(owner, { serial, index: 0 });
  }

  finish(task: IncomingTask | undefined, outcome: Outcome = 1): void {
    if (task === undefined) throw new Error("no task was started");
    this.handle({ type: "taskFinished", task, durationMs: 1, outcome, outcomes: null });
  }

  /** The owner's answer to all that it was asked for. */
  answer(gone: readonly number[] = []): void {
    const holds = this.out.all("createHolds", owner).flatMap((message) => message.holds);
    const created = holds.map(({ hold }) => hold).filter((hold) => !gone.includes(hold));
    this.out.clear();
    this.handle({ type: "holdsCreated", from: owner, created, gone });
  }

  /** Types of what was sent to the owner, in order. */
  toOwner(): string[] {
    return this.out.sent.filter(({ to }) => to === owner).map(({ message }) => message.type);
  }
}
