/**
 * What must come out, whatever the order of events: the value of each object as it was made, who
 * was started where, who died. Knows nothing of the engine but its names and its errors.
 */
import type { EngineError } from "#engine/common/error-type.ts";
import type { RetryPolicy } from "#engine/common/task-spec.ts";
import {
  type ActorId,
  type Address,
  objectIdHex,
  objectKey,
  type WorkerId,
} from "#engine/common/ids.ts";

export interface ObjectName {
  readonly owner: WorkerId;
  readonly serial: number;
  readonly index: number;
}

/** A task goes by the name of its first return. */
export function nameOf({ owner, serial, index }: ObjectName): string {
  return objectIdHex(owner, objectKey(serial, index));
}

export interface ModelValue {
  readonly n: number;
  /** Names of the refs inside, in order. */
  readonly refs: readonly string[];
}

/** What a call was given, by position of its specials. */
export type GivenArgument =
  | { readonly kind: "value"; readonly name: string }
  | { readonly kind: "ref"; readonly name: string }
  | { readonly kind: "actor"; readonly actorId: ActorId };

export interface TaskModel {
  readonly n: number;
  readonly given: readonly GivenArgument[];
  readonly returns: readonly string[];
  /** The task that called it. */
  readonly parent: string | null;
  /** It was cancelled before it was on its way: it never starts. */
  isOver: boolean;
  /** For a call of an actor: where it goes, which getIfExists may change once. */
  readonly actorOf: (() => ActorModel) | null;
  readonly retry: RetryPolicy;
  /** Where each attempt was started, by number. */
  readonly startedOn: Map<number, WorkerId>;
  /** Who took its frame, to run it or to send it back. */
  readonly takenBy: Set<WorkerId>;
  /** Attempts that user code ended with an exception. */
  throwCount: number;
}

export interface ActorModel {
  /** Names of its constructor's arguments. */
  readonly given: readonly GivenArgument[];
  readonly creator: WorkerId;
  /** Its handle may stand for any other that is. */
  readonly isShared: boolean;
  wasKilled: boolean;
  wasMade: boolean;
  worker: Address | null;
}

export class EngineModel {
  /** What each attempt made of it; once somebody has read it, that alone. */
  readonly values = new Map<string, ModelValue[]>();
  /** Messages of the errors that user code threw, by name of the object that carries one. */
  readonly thrown = new Map<string, Set<string>>();
  /** Numbers of the values that lie in the arena. */
  readonly storedNumbers = new Set<number>();
  /** Refs inside of what user code threw, by name of the object that carries it. */
  readonly errorRefs = new Map<string, readonly string[]>();
  /** By name of the first return. */
  readonly tasks = new Map<string, TaskModel>();
  readonly taskOfReturn = new Map<string, TaskModel>();
  readonly actors = new Map<ActorId, ActorModel>();
  /** Tasks that somebody wanted to be cancelled. */
  readonly cancelled = new Set<TaskModel>();
  readonly dead = new Set<Address>();
  /** Of these, who ran out of memory. */
  readonly outOfMemory = new Set<Address>();
  /** Objects that a borrower passed on: when it dies, later borrowers have no cover. */
  readonly passedOn = new Set<string>();

  readonly oomRetriesMax: number;

  constructor(oomRetriesMax: number) {
    this.oomRetriesMax = oomRetriesMax;
  }

  addTask(first: string, task: TaskModel): void {
    this.tasks.set(first, task);
    for (const name of task.returns) this.taskOfReturn.set(name, task);
  }

  addActor(actorId: ActorId, actor: ActorModel): void {
    this.actors.set(actorId, actor);
  }

  onPlaced(actorId: ActorId, worker: Address): void {
    const actor = this.actors.get(actorId);
    if (actor !== undefined) actor.worker = worker;
  }

  /** Asked for, so that it may be dead from now on. */
  onKilled(actorId: ActorId): void {
    const killed = this.actors.get(actorId);
    if (killed === undefined) return;
    killed.wasKilled = true;
    if (!killed.isShared) return;
    for (const actor of this.actors.values()) if (actor.isShared) actor.wasKilled = true;
  }

  insideOf(name: string): readonly string[] {
    const ofValues = (this.values.get(name) ?? []).flatMap(({ refs }) => refs);
    return [...ofValues, ...(this.errorRefs.get(name) ?? [])];
  }

  /** All returns of the task that this is one of. */
  returnsOf(name: string): readonly string[] {
    return this.taskOfReturn.get(name)?.returns ?? [name];
  }

  addValue(name: string, value: ModelValue): void {
    this.values.set(name, [...(this.values.get(name) ?? []), value]);
  }

  addThrown(name: string, message: string, refs: readonly string[]): void {
    this.thrown.set(name, new Set([...(this.thrown.get(name) ?? []), message]));
    this.errorRefs.set(name, [...(this.errorRefs.get(name) ?? []), ...refs]);
  }

  onStarted(first: string, attempt: number, worker: WorkerId): TaskModel {
    const task = this.tasks.get(first);
    check(task !== undefined, `task ${first} was started, but never submitted`);
    check(!task.isOver, `task ${first} was started after it had been cancelled`);
    const { startedOn } = task;
    check(!startedOn.has(attempt), `attempt ${attempt} of task ${first} was started twice`);
    for (const [other, on] of startedOn) {
      check(other < attempt, `attempt ${attempt} of task ${first} came after ${other}`);
      const isOver = this.dead.has(on) || task.throwCount > 0;
      check(isOver, `attempts ${other} and ${attempt} of task ${first} run at once`);
    }
    startedOn.set(attempt, worker);
    return task;
  }

  /** `n` and refs of a value that somebody reads. */
  checkValue(name: string, n: number, refs: readonly string[]): void {
    const made = this.values.get(name) ?? [];
    check(made.length > 0, `object ${name} has a value that nobody made`);
    const value = made.find((one) => one.n === n);
    check(value !== undefined, `object ${name} is ${n}, must be ${made.map((one) => one.n)}`);
    this.values.set(name, [value]);
    const same = value.refs.length === refs.length && value.refs.every((r, i) => r === refs[i]);
    check(same, `object ${name} names ${refs.join()}, must name ${value.refs.join()}`);
  }

  /** The reason of an error must be true. */
  checkError(name: string, error: EngineError): void {
    check(this.#isTrue(name, error), `object ${name} failed for a wrong reason: ${error.message}`);
  }

  #isTrue(name: string, error: EngineError): boolean {
    switch (error.type) {
      case "TASK_ERROR":
        return this.#mayCarry(name, (origin) => {
          const text = error.message.replace(/ \(attempt .*\)$/, "");
          return this.thrown.get(origin)?.has(text) === true;
        });
      case "OUT_OF_MEMORY":
        return this.#mayCarry(name, (origin) => this.#isSpent(origin, true));
      case "WORKER_CRASHED":
        return this.#mayCarry(name, (origin) => this.#isSpent(origin, false));
      case "TASK_CANCELLED":
        return this.#mayCarry(name, (origin) => this.#mayBeCancelled(origin));
      case "ACTOR_DIED":
        return this.#mayCarry(name, (origin) => this.#actorMayBeDead(origin));
      case "OWNER_DIED":
        return this.#mayCarry(name, (origin) => this.dead.has(ownerOf(origin)));
      case "OBJECT_LOST":
        return false;
      default:
        return false;
    }
  }

  /** An error is its own object's, or that of an argument that its task needed. */
  #mayCarry(name: string, isOrigin: (name: string) => boolean): boolean {
    if (isOrigin(name)) return true;
    const task = this.taskOfReturn.get(name);
    if (task === undefined) return false;
    return task.given.some(
      (given) => given.kind === "value" && this.#mayCarry(given.name, isOrigin),
    );
  }

  #mayFail(name: string): boolean {
    if (!this.values.has(name) || this.dead.has(ownerOf(name))) return true;
    if (this.#mayBeCancelled(name)) return true;
    return this.#takenByTheDead(name) || this.#actorMayBeDead(name);
  }

  /** By name, with the task that called it, or with that one's owner. */
  #mayBeCancelled(name: string): boolean {
    const task = this.taskOfReturn.get(name);
    if (task === undefined) return false;
    const { parent } = task;
    if (this.cancelled.has(task)) return true;
    return parent !== null && (this.dead.has(ownerOf(parent)) || this.#mayBeCancelled(parent));
  }

  #takenByTheDead(name: string): boolean {
    const takenBy = this.taskOfReturn.get(name)?.takenBy ?? [];
    return [...takenBy].some((worker) => this.dead.has(worker));
  }

  /** A task fails with the system only when so many of its workers died that no retry was left. */
  #isSpent(name: string, ofMemory: boolean): boolean {
    const task = this.taskOfReturn.get(name);
    if (task === undefined) return false;
    const ended = [...task.takenBy].filter((worker) => this.dead.has(worker));
    const withoutMemory = ended.filter((worker) => this.outOfMemory.has(worker)).length;
    const { maxRetries } = task.retry;
    if (!ofMemory) return ended.length - withoutMemory + task.throwCount > maxRetries;
    return withoutMemory > (maxRetries === 0 ? 0 : this.oomRetriesMax);
  }

  #actorMayBeDead(name: string): boolean {
    const actor = this.taskOfReturn.get(name)?.actorOf?.();
    return actor !== undefined && this.mayBeDead(actor);
  }

  mayBeDead({ wasKilled, creator, worker, given }: ActorModel): boolean {
    if (wasKilled || this.dead.has(creator)) return true;
    if (worker !== null && this.dead.has(worker)) return true;
    return given.some((argument) => argument.kind === "value" && this.#mayFail(argument.name));
  }
}

export function ownerOf(name: string): WorkerId {
  return name.slice(0, 40) as WorkerId;
}

export function check(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(message);
}
