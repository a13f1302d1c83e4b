/**
 * 3 Immutability: every get of an object anywhere gives what its maker made, in an object of its
 * own.
 */
import { objectKey } from "#engine/common/ids.ts";
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
import { idOf, type ObjectName } from "./tasks.ts";

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
    this.#seal(entry, digest);
  }

  override onEnded(task: IncomingTask, outcomes: readonly Outcome[], digest: Digest): void {
    const { owner, serial, definition } = task;
    if (outcomes.length === 0) return;
    for (let index = 1; index <= definition.numReturns; index++) {
      const outcome = outcomes.length === 1 ? outcomes[0] : outcomes[index - 1];
      this.#seal({ owner, serial, index }, digest(outcome));
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
      if (entry.state === "FREED") {
        this.violate({ entity: idOf(entry), message: "it was freed while a call waited for it" });
        continue;
      }
      // A call of wait gives no value.
      const { outcome } = entry;
      const givesView = outcome instanceof StoredValue && request.failsEarly && !request.timedOut;
      this.#look(entry, outcome, { digest, viewer: givesView ? callerOf(request, by) : "" });
    }
  }

  override onGiven(value: unknown, outcome: Outcome): void {
    const frame = outcome instanceof InlineValue ? outcome.bytes.buffer : null;
    if (!isPlain(value)) return;
    // A value may hold itself, or one object twice.
    const parts = new Set<unknown>([value]);
    for (const part of parts) {
      if (!isPlain(part)) continue;
      if (this.#given.has(part)) {
        this.violate({ entity: "value", message: "two gets gave the same object" });
        return;
      }
      if (ArrayBuffer.isView(part)) {
        if (part.buffer === frame) {
          this.violate({ entity: "value", message: "a view on the bytes of a frame was given" });
        }
        continue;
      }
      for (const inside of Array.isArray(part) ? (part as unknown[]) : Object.values(part)) {
        if (parts.size >= partsMax) break;
        parts.add(inside);
      }
    }
    for (const part of parts) if (isPlain(part)) this.#given.add(part);
  }

  #seal({ owner, serial, index }: ObjectName, digest: string): Made {
    const made: Made = { digest, suspects: null, hasMoreSuspects: false };
    this.#made.set(owner, objectKey(serial, index), made);
    return made;
  }

  /** Refs whose values a body gets: stored ones as views. */
  #onArguments({ args, values }: Arguments, name: string, digest: Digest): void {
    for (const [i, special] of args.specials.entries()) {
      if (special.type !== "ref" || !special.topLevel) continue;
      this.#look(special, values?.[i], { digest, viewer: name });
    }
  }

  /** `viewer` is about to get the value; "" if nobody is. */
  #look(object: ObjectName, outcome: Outcome, by: { digest: Digest; viewer: string }): void {
    if (outcome instanceof FailedValue && !isOwnFailure(outcome, idOf(object))) return;
    const key = objectKey(object.serial, object.index);
    let made = this.#made.get(object.owner, key);
    // What fails before it runs, or cannot even be told, has no outcome of its own.
    if (made === undefined && outcome instanceof FailedValue) return;
    const got = by.digest(outcome);
    if (made === undefined && !this.#seesAll) made = this.#seal(object, got);
    if (made?.digest !== got) {
      this.violate({ entity: idOf(object), message: whyDifferent(made, got, outcome) });
    } else if (outcome instanceof StoredValue && by.viewer !== "") suspect(made, by.viewer);
  }
}

function suspect(made: Made, name: string): void {
  const suspects = (made.suspects ??= new Set());
  suspects.delete(name);
  suspects.add(name);
  if (suspects.size <= suspectsMax) return;
  const [oldest] = suspects;
  suspects.delete(oldest as string);
  made.hasMoreSuspects = true;
}

function callerOf(request: GetRequest, { life }: WatchedProcess): string {
  const task = request instanceof WaitingCall ? request.context?.task : null;
  return task ? `task ${task.definition.taskName} on ${life.name}` : `the ${life.name}`;
}

function whyDifferent(made: Made | undefined, got: string, outcome: Outcome): string {
  if (made === undefined) return `nobody made ${got}`;
  const message = `${made.digest} was made, ${got} was got`;
  if (!(outcome instanceof StoredValue)) return message;
  const changed = `${message}: its bytes changed after it was sealed`;
  if (made.suspects === null) return `${changed}, though nobody had been given a view on them`;
  const names = [...made.suspects, ...(made.hasMoreSuspects ? ["others before them"] : [])];
  return (
    `${changed}. Who had been given a view on them since, and may have written into it: ` +
    `${names.join(", ")}. A typed array that comes as an argument or from get() is a view on ` +
    "shared memory, for reading only: copy it before writing, for example with .slice()"
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
