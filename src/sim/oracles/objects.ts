/**
 * 3 Immutability: every get of an object anywhere gives what its maker made, in an object of its
 * own.
 */
import { objectIdHex, objectKey } from "#engine/common/ids.ts";
import type { GetRequest } from "#engine/core-worker/memory-store.ts";
import type { ObjectEntry } from "#engine/core-worker/object-entry.ts";
import type { IncomingActor, IncomingTask } from "#engine/core-worker/task-receiver.ts";
import {
  type Encoded,
  FailedValue,
  InlineValue,
  type Outcome,
  StoredValue,
} from "#engine/protocol/outcome.ts";
import { WaitingCall } from "#api/get.ts";
import { type Digest, Oracle, type Scope, type Violate, type WatchedProcess } from "./oracle.ts";
import { Recent } from "./recent.ts";
import { idOf } from "./tasks.ts";

/** Parts of one value that are looked at for sharing. */
const partsMax = 1_000;
/** Of one object: whom a message names. */
const suspectsMax = 8;

interface Made {
  readonly digest: string;
  /** Who was given a view on its bytes, by name, newest last; null until the first. */
  suspects: Set<string> | null;
  hasMoreSuspects: boolean;
}

interface Arguments {
  readonly args: Encoded;
  readonly values: readonly Outcome[] | null;
}

export class ObjectOracle extends Oracle {
  readonly name = "3 immutability";
  readonly #seesAll: boolean;
  /** What was put, or what an execution came to. */
  readonly #made: Recent<Made>;
  readonly #given = new WeakSet<object>();

  constructor(violate: Violate, { seesAll, rememberedMax }: Scope) {
    super(violate);
    this.#seesAll = seesAll;
    this.#made = new Recent(rememberedMax);
  }

  override onPut(entry: ObjectEntry, digest: string): void {
    this.#seal(idOf(entry), digest);
  }

  override onEnded(task: IncomingTask, outcomes: readonly Outcome[], digest: Digest): void {
    const { owner, serial, definition } = task;
    if (outcomes.length === 0) return;
    for (let index = 1; index <= definition.numReturns; index++) {
      const outcome = outcomes.length === 1 ? outcomes[0] : outcomes[index - 1];
      this.#seal(objectIdHex(owner, objectKey(serial, index)), digest(outcome));
    }
  }

  override onStarted(task: IncomingTask, { life }: WatchedProcess, digest: Digest): void {
    if (task.args.specials.length === 0) return;
    this.#onArguments(task, `task ${task.definition.taskName} on ${life.name}`, digest);
  }

  override onConstructing({ spec }: IncomingActor, { life }: WatchedProcess, digest: Digest): void {
    const name = `the constructor of ${spec.descriptor.displayName} on ${life.name}`;
    this.#onArguments(spec, name, digest);
  }

  override onSettled(request: GetRequest, by: WatchedProcess, digest: Digest): void {
    for (const entry of request.entries) {
      if (entry.state === "PENDING") continue;
      const entity = idOf(entry);
      if (entry.state === "FREED") {
        this.violate({ entity, message: "it was freed while a call waited for it" });
        continue;
      }
      const { outcome } = entry;
      this.#compare(entity, outcome, digest);
      // A call of wait gives no value.
      if (outcome instanceof StoredValue && request.failsEarly && !request.timedOut) {
        this.#suspect(entity, callerOf(request, by));
      }
    }
  }

  override onGiven(value: unknown, outcome: Outcome): void {
    const frame = outcome instanceof InlineValue ? outcome.bytes.buffer : null;
    const parts: unknown[] = [value];
    for (let i = 0; i < parts.length && i < partsMax; i++) {
      const part = parts[i];
      if (!isPlain(part)) continue;
      if (this.#given.has(part)) {
        this.violate({ entity: "value", message: "two gets gave the same object" });
        return;
      }
      this.#given.add(part);
      if (!ArrayBuffer.isView(part)) parts.push(...Object.values(part));
      else if (part.buffer === frame) {
        this.violate({ entity: "value", message: "a view on the bytes of a frame was given" });
      }
    }
  }

  #seal(entity: string, digest: string): void {
    this.#made.set(entity, { digest, suspects: null, hasMoreSuspects: false });
  }

  /** Refs whose values a body gets: stored ones as views. */
  #onArguments({ args, values }: Arguments, name: string, digest: Digest): void {
    for (const [i, special] of args.specials.entries()) {
      if (special.type !== "ref" || !special.topLevel) continue;
      const { serial, index } = special;
      const entity = objectIdHex(special.owner, objectKey(serial, index));
      const outcome = values?.[i];
      this.#compare(entity, outcome, digest);
      if (outcome instanceof StoredValue) this.#suspect(entity, name);
    }
  }

  #suspect(entity: string, name: string): void {
    const made = this.#made.get(entity);
    if (made === undefined) return;
    const suspects = (made.suspects ??= new Set());
    suspects.delete(name);
    suspects.add(name);
    if (suspects.size <= suspectsMax) return;
    const [oldest] = suspects;
    suspects.delete(oldest as string);
    made.hasMoreSuspects = true;
  }

  #compare(entity: string, outcome: Outcome, digest: Digest): void {
    if (outcome instanceof FailedValue && !isOwnFailure(outcome, entity)) return;
    const made = this.#made.get(entity);
    // What fails before it runs, or cannot even be told, has no outcome of its own.
    if (made === undefined && outcome instanceof FailedValue) return;
    const got = digest(outcome);
    if (made === undefined) {
      if (this.#seesAll) this.violate({ entity, message: `nobody made ${got}` });
      else this.#seal(entity, got);
    } else if (made.digest !== got) {
      const message = `${made.digest} was made, ${got} was got`;
      const why = outcome instanceof StoredValue ? whyChanged(made) : "";
      this.violate({ entity, message: message + why });
    }
  }
}

function callerOf(request: GetRequest, { life }: WatchedProcess): string {
  const task = request instanceof WaitingCall ? request.context?.task : null;
  return task ? `task ${task.definition.taskName} on ${life.name}` : `the ${life.name}`;
}

function whyChanged({ suspects, hasMoreSuspects }: Made): string {
  if (suspects === null) return ": its bytes changed after it was sealed, though nobody saw them";
  const names = [...suspects, ...(hasMoreSuspects ? ["others before them"] : [])].join(", ");
  return (
    ": its bytes changed after it was sealed. Who had been given a view on them since, and may " +
    `have written into it: ${names}. A typed array that ` +
    "comes as an argument or from get() is a view on shared memory, for reading only: copy it " +
    "before writing, for example with .slice()"
  );
}

/** What the task itself threw, not what happened to it or to an argument. */
function isOwnFailure({ error }: FailedValue, objectId: string): boolean {
  return error.type === "TASK_ERROR" && objectId.startsWith(error.subject) && error.subject !== "";
}

function isPlain(value: unknown): value is object {
  if (typeof value !== "object" || value === null) return false;
  if (ArrayBuffer.isView(value)) return true;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === Array.prototype || prototype === null;
}
