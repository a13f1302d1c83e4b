/** Beginnings in an engine world: a task or constructor starts, and reads what it was given. */
import { actorIdOf } from "#engine/common/ids.ts";
import type { ActorClient } from "#engine/core-worker/actor-client.ts";
import type { TaskRecord } from "#engine/core-worker/object-entry.ts";
import type { IncomingActor, IncomingTask } from "#engine/core-worker/incoming-task.ts";
import { check, type GivenArgument, nameOf } from "./engine-model.ts";
import { Context, type EngineProcess } from "./engine-process.ts";
import { inlineValue } from "./engine-values.ts";
import type { EngineWorld } from "./engine-world.ts";

export class EngineExecutor {
  readonly #world: EngineWorld;
  readonly #constructing: { readonly process: EngineProcess; readonly actor: IncomingActor }[] = [];
  readonly #calls = new Map<string, { readonly client: ActorClient; readonly order: number }>();
  readonly #lastStarted = new Map<ActorClient, number>();

  constructor(world: EngineWorld) {
    this.#world = world;
  }

  /** A task begins in its worker: it must be what was submitted. */
  start(process: EngineProcess, task: IncomingTask): void {
    const name = nameOf({ owner: task.owner, serial: task.serial, index: 1 });
    const submitted = this.#world.model.onStarted(name, task.attempt, process.id);
    if (task.attempt > 0) this.#world.reached.add("another attempt");
    submitted.takenBy.add(process.id);
    check(isAlone(process, task), "two tasks of one lease run at once");
    this.#checkOrder(name);
    const context = new Context(process, task, process.client.core.receiver.actor);
    process.contexts.push(context);
    this.#readArguments(context, submitted, task);
  }

  startConstructor(process: EngineProcess, actor: IncomingActor): void {
    this.#constructing.push({ process, actor });
  }

  constructSteps(calmly: boolean): (() => void)[] {
    return this.#constructing.map((due) => () => {
      this.#constructing.splice(this.#constructing.indexOf(due), 1);
      this.#construct(due.process, due.actor, !calmly && this.#world.pick(4) === 0);
    });
  }

  onCrash(process: EngineProcess): void {
    for (const late of this.#constructing.filter((other) => other.process === process)) {
      this.#constructing.splice(this.#constructing.indexOf(late), 1);
    }
  }

  /** Calls of one handle are started in the order in which they were made. */
  onActorCall(client: ActorClient, task: TaskRecord): void {
    this.#calls.set(nameOf(task), { client, order: this.#world.nextNumber() });
  }

  #construct(process: EngineProcess, actor: IncomingActor, fails: boolean): void {
    const { actorId, maxConcurrency } = actor.spec;
    const known = this.#world.model.actors.get(actorId);
    check(known !== undefined && !known.wasMade, "an actor is made once, if at all");
    known.wasMade = true;
    const context = new Context(process, null, actor);
    process.contexts.push(context);
    this.#readArguments(context, { n: null, given: known.given }, actor.spec);
    const n = this.#world.nextNumber();
    if (fails) known.wasKilled = true;
    const message = `boom ${n}`;
    const error = { type: "ACTOR_DIED", message, subject: actorId, detail: "" } as const;
    const failure = fails ? { error, cause: inlineValue(n, []) } : null;
    process.client.dispatch({ type: "constructorFinished", actor, failure, maxConcurrency });
  }

  #readArguments(
    context: Context,
    expected: { n: number | null; given: readonly GivenArgument[] },
    came: Pick<IncomingTask, "args" | "values">,
  ): void {
    const read = this.#world.memory.read(came.args);
    if (expected.n !== null) check(read.n === expected.n, "the arguments are those of the call");
    check(read.specials.length === expected.given.length, "as many arguments as were given");
    for (const [i, given] of expected.given.entries()) {
      const special = read.specials[i];
      if (given.kind === "actor") {
        check(special?.type === "actor", "a handle");
        check(actorIdOf(special.owner, special.serial) === given.actorId, "the same actor");
        context.revive([special]);
        continue;
      }
      check(special?.type === "ref" && nameOf(special) === given.name, "the same object");
      check(special.topLevel === (given.kind === "value"), "as a value or as a ref");
      if (!special.topLevel) context.revive([special]);
      else context.revive(this.#world.checkRead(given.name, came.values?.[i]).specials);
    }
  }

  #checkOrder(name: string): void {
    const call = this.#calls.get(name);
    if (call === undefined) return;
    const last = this.#lastStarted.get(call.client) ?? 0;
    check(call.order > last, "calls of an actor were started out of order");
    this.#lastStarted.set(call.client, call.order);
  }
}

function isAlone(process: EngineProcess, { owner, stream }: IncomingTask): boolean {
  if (process.client.core.receiver.actor !== null) return true;
  return process.contexts.every(
    ({ task }) => task === null || task.owner !== owner || task.stream !== stream,
  );
}
