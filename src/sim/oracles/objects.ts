/**
 * 3 Immutability: every get of an object anywhere gives what its maker made, in an object of its
 * own; of the attempts of a task the maker is the one that its owner waited for.
 */
import { objectKey } from "#engine/common/ids.ts";
import type { GetRequest } from "#engine/core-worker/memory-store.ts";
import { type ObjectEntry, TaskRecord } from "#engine/core-worker/object-entry.ts";
import type { IncomingActor, IncomingTask } from "#engine/core-worker/incoming-task.ts";
import type { ActorRegistration } from "#engine/protocol/gcs.ts";
import {
  type Encoded,
  FailedValue,
  InlineValue,
  type Outcome,
  StoredValue,
} from "#engine/protocol/outcome.ts";
import { WaitingCall } from "#api/waiting-call.ts";
import {
  type Digest,
  Oracle,
  readableIn,
  type Scope,
  unreadable,
  type Violate,
  type WatchedProcess,
} from "./oracle.ts";
import { Recent } from "./recent.ts";
import { idOf, type ObjectName } from "./tasks.ts";

/** Parts of one value that are looked at for sharing. */
const partsMax = 1_000;
/** Of one object: whom a message names. */
const suspectsMax = 8;

interface Made {
  /** What was put, or what the first attempt that ended came to. */
  readonly attempt: number;
  readonly digest: string;
  /** What other attempts came to; null if there were none. */
  others: Map<number, string> | null;
  /** Who was given a view on its bytes, by name, newest last; null until the first. */
  suspects: Set<string> | null;
  hasMoreSuspects: boolean;
}

interface Look {
  readonly digest: Digest;
  /** Who is about to get the value; "" if nobody is. */
  readonly viewer: string;
  /** Null for who cannot know which one counts. */
  readonly attempt: number | null;
}

const none: ReadonlyMap<number, string> = new Map();

interface Arguments {
  readonly args: Encoded;
  readonly values: readonly Outcome[] | null;
}

export class ObjectOracle extends Oracle {
  readonly name = "3 immutability";
  readonly #seesAll: boolean;
  readonly #isOneThread: boolean;
  readonly #made: Recent<Made>;
  readonly #given = new WeakSet<object>();

  constructor(violate: Violate, { seesAll, rememberedMax, isOneThread = false }: Scope) {
    super(violate);
    this.#seesAll = seesAll;
    this.#isOneThread = isOneThread;
    this.#made = new Recent(rememberedMax);
  }

  /** Where it runs nobody looks on our behalf: all that can be told is who was given what. */
  override onSubmitted(entries: readonly ObjectEntry[]): void {
    const [task] = entries;
    if (!(task instanceof TaskRecord)) return;
    this.#onPassed(task, `task ${task.template.definition.taskName}`);
  }

  override onCreating({ className }: ActorRegistration, creation: TaskRecord | null): void {
    if (creation !== null) this.#onPassed(creation, `the constructor of ${className}`);
  }

  override onPut(entry: ObjectEntry, digest: string): void {
    this.#seal(entry, 0, digest);
  }

  override onEnded(task: IncomingTask, outcomes: readonly Outcome[], digest: Digest): void {
    const { owner, serial, attempt, definition } = task;
    if (outcomes.length === 0) return;
    for (let index = 1; index <= definition.numReturns; index++) {
      const outcome = outcomes.length === 1 ? outcomes[0] : outcomes[index - 1];
      this.#seal({ owner, serial, index }, attempt, digest(withoutText(outcome)));
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
      const read = readableIn(by, entry);
      if (read === null) continue;
      if (entry.state === "FREED") {
        this.violate({ entity: idOf(entry), message: "it was freed while a call waited for it" });
        continue;
      }
      // A call of wait gives no value.
      const { outcome } = read;
      const givesView = outcome instanceof StoredValue && request.failsEarly && !request.timedOut;
      this.#look(entry, outcome, {
        digest,
        viewer: givesView ? callerOf(request, by) : "",
        attempt: attemptOf(entry, outcome),
      });
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
      // Of an array with holes the length says nothing of how much is in it.
      for (const inside of Array.isArray(part) ? part.slice(0, partsMax) : Object.values(part)) {
        if (parts.size >= partsMax) break;
        parts.add(inside);
      }
    }
    for (const part of parts) if (isPlain(part)) this.#given.add(part);
  }

  #seal({ owner, serial, index }: ObjectName, attempt: number, digest: string): Made {
    const key = objectKey(serial, index);
    let made = this.#made.get(owner, key);
    if (made === undefined) {
      made = { attempt, digest, others: null, suspects: null, hasMoreSuspects: false };
      this.#made.set(owner, key, made);
    } else (made.others ??= new Map()).set(attempt, digest);
    return made;
  }

  #onPassed({ args, refs }: TaskRecord, name: string): void {
    if (!this.#isOneThread || refs === null) return;
    for (const [i, ref] of refs.entries()) {
      const special = args.specials[i];
      if (ref === null || special?.type !== "ref") continue;
      const made = this.#made.get(ref.owner, objectKey(ref.serial, ref.index));
      if (made === undefined || !(ref.outcome instanceof StoredValue)) continue;
      const how = special.topLevel ? "it was an argument of" : "was given a ref to it";
      suspect(made, `${name}, which ${how}`);
    }
  }

  /** Refs whose values a body gets, stored ones as views; and those it may get at once. */
  #onArguments({ args, values }: Arguments, name: string, digest: Digest): void {
    for (const [i, special] of args.specials.entries()) {
      if (special.type !== "ref") continue;
      const value = values?.[i];
      if (!special.topLevel && value === undefined) continue;
      // What is stored tells which one it is.
      const attempt = value instanceof StoredValue ? value.version : null;
      this.#look(special, value, { digest, viewer: special.topLevel ? name : "", attempt });
    }
  }

  #look(object: ObjectName, outcome: Outcome, { digest, viewer, attempt }: Look): void {
    if (outcome instanceof FailedValue && !isOwnFailure(outcome, idOf(object))) return;
    let made = this.#made.get(object.owner, objectKey(object.serial, object.index));
    let digests = digestsOf(made, attempt);
    // What fails before it runs, or cannot even be told, has no outcome of its own.
    if (digests.length === 0 && outcome instanceof FailedValue) return;
    const got = digest(withoutText(outcome));
    if (got === unreadable) return;
    if (digests.length === 0 && !this.#seesAll) {
      made = this.#seal(object, attempt ?? 0, got);
      digests = [got];
    }
    if (made === undefined || !digests.includes(got)) {
      this.violate({ entity: idOf(object), message: whyDifferent(digests, got, made, outcome) });
    } else if (outcome instanceof StoredValue && viewer !== "") suspect(made, viewer);
  }
}

/** `attempt` is null for who cannot know which one counts. */
function digestsOf(made: Made | undefined, attempt: number | null): readonly string[] {
  if (made === undefined) return [];
  const others = made.others ?? none;
  if (attempt === null) return [made.digest, ...others.values()];
  const digest = others.get(attempt) ?? (attempt === made.attempt ? made.digest : undefined);
  return digest === undefined ? [] : [digest];
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

/** Which one its owner waited for; null for who cannot know, or of whom several may count. */
function attemptOf(entry: ObjectEntry, outcome: Outcome): number | null {
  if (outcome instanceof StoredValue) return outcome.version;
  return entry instanceof TaskRecord && entry.moreReturns === null ? entry.attempt : null;
}

function callerOf(request: GetRequest, { life }: WatchedProcess): string {
  const task = request instanceof WaitingCall ? request.context?.task : null;
  return task ? `task ${task.definition.taskName} on ${life.name}` : `the ${life.name}`;
}

// oxlint-disable-next-line max-params -- an object, and what was got of it.
function whyDifferent(
  digests: readonly string[],
  got: string,
  made: Made | undefined,
  outcome: Outcome,
): string {
  if (made === undefined || digests.length === 0) return `nobody made ${got}`;
  const message = `${digests.join(" or ")} was made, ${got} was got`;
  if (!(outcome instanceof StoredValue)) return message;
  const changed = `${message}: its bytes changed after it was sealed`;
  if (made.suspects === null) return `${changed}, though nobody is known to have a view on them`;
  const names = [...made.suspects, ...(made.hasMoreSuspects ? ["others before them"] : [])];
  return (
    `${changed}. Who had been given a view on them since, and may have written into it: ` +
    `${names.join(", ")}. A typed array that comes as an argument or from get() is a view on ` +
    "shared memory, for reading only: copy it before writing, for example with .slice()"
  );
}

/** Its owner adds to the text how often it was tried, and why not again. */
function withoutText(outcome: Outcome): Outcome {
  if (!(outcome instanceof FailedValue)) return outcome;
  return new FailedValue({ ...outcome.error, message: "" }, outcome.cause);
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
