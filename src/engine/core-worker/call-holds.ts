/**
 * Holds that the refs in calls of an actor need for its worker: asked for before it is the turn of
 * the call, so that it need not wait then, and given back when the call never goes there.
 *
 * State:  in the client of the actor: what was asked for each call.
 * In/out: calls whose arguments are there → holds to wait for, or none.
 * Bounds: one wait a call that has not been answered.
 * Source: protocols §6 rule 2.
 */
import type { ActorClient, ActorStream } from "./actor-client.ts";
import { type DependencyResolver, failedArgument } from "./dependency-resolver.ts";
import type { HoldMaker } from "./hold-maker.ts";
import { HoldWait } from "./hold-wait.ts";
import type { TaskRecord } from "./object-entry.ts";

export class CallHolds {
  readonly #dependencies: DependencyResolver;
  readonly #holds: HoldMaker;

  constructor(dependencies: DependencyResolver, holds: HoldMaker) {
    this.#dependencies = dependencies;
    this.#holds = holds;
  }

  /** Before it is its turn. */
  askAhead(client: ActorClient, task: TaskRecord): void {
    const { stream } = client;
    if (stream === null || stream.hasEnded || failedArgument(task) !== undefined) return;
    this.of(client, stream, task);
  }

  /** Null: its refs need none. Those for another worker, which has ended, are void. */
  of(client: ActorClient, stream: ActorStream, task: TaskRecord): HoldWait | null {
    const asked = client.holds?.get(task);
    if (asked?.send.type === "call" && asked.send.stream === stream) return asked;
    if (asked !== undefined) this.abandon(client, task);
    const wait = new HoldWait({ type: "call", client, stream });
    this.#dependencies.askForHolds(task, stream.workerId, wait);
    if (wait.missingCount === 0) return null;
    client.holds ??= new Map();
    client.holds.set(task, wait);
    return wait;
  }

  abandon(client: ActorClient, task: TaskRecord): void {
    const wait = client.holds?.get(task);
    if (wait === undefined) return;
    client.holds?.delete(task);
    this.#holds.abandon(wait);
  }
}
