/**
 * 3 Immutability: every get of an object anywhere gives what its maker made, in an object of its
 * own; of the attempts of a task the maker is the one that its owner waited for.
 */
import { objectIdHex, objectKey } from "#engine/common/ids.ts";
import type { GetRequest } from "#engine/core-worker/memory-store.ts";
import { type ObjectEntry, TaskRecord } from "#engine/core-worker/object-entry.ts";
import type { IncomingTask } from "#engine/core-worker/task-receiver.ts";
import { FailedValue, InlineValue, type Outcome } from "#engine/protocol/outcome.ts";
import type { SimProcess } from "#sim/cluster.ts";
import { type Digest, Oracle } from "./oracle.ts";
import { idOf } from "./tasks.ts";

/** Parts of one value that are looked at for sharing. */
const partsMax = 1_000;

export class ObjectOracle extends Oracle {
  readonly name = "3 immutability";
  /** What was put, or what each attempt came to. */
  readonly #made = new Map<string, Map<number, string>>();
  readonly #given = new WeakSet<object>();

  override onPut(entry: ObjectEntry, digest: string): void {
    this.#note(idOf(entry), 0, digest);
  }

  override onEnded(task: IncomingTask, outcomes: readonly Outcome[], digest: Digest): void {
    const { owner, serial, attempt, definition } = task;
    if (outcomes.length === 0) return;
    for (let index = 1; index <= definition.numReturns; index++) {
      const outcome = outcomes.length === 1 ? outcomes[0] : outcomes[index - 1];
      this.#note(
        objectIdHex(owner, objectKey(serial, index)),
        attempt,
        digest(withoutAttempts(outcome)),
      );
    }
  }

  override onStarted({ args, values }: IncomingTask, _by: SimProcess, digest: Digest): void {
    for (const [i, special] of args.specials.entries()) {
      if (special.type !== "ref" || !special.topLevel) continue;
      const { serial, index } = special;
      this.#compare(objectIdHex(special.owner, objectKey(serial, index)), values?.[i], digest);
    }
  }

  override onSettled({ entries }: GetRequest, _by: SimProcess, digest: Digest): void {
    for (const entry of entries) {
      if (entry.state === "PENDING") continue;
      if (entry.state === "FREED") {
        this.violate({ entity: idOf(entry), message: "it was freed while a call waited for it" });
      } else {
        const attempt = entry instanceof TaskRecord ? entry.attempt : null;
        this.#compare(idOf(entry), entry.outcome, digest, attempt);
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

  #note(entity: string, attempt: number, digest: string): void {
    const attempts = this.#made.get(entity) ?? new Map<number, string>();
    this.#made.set(entity, attempts.set(attempt, digest));
  }

  /** `attempt` is null for who cannot know which one counts. */
  // oxlint-disable-next-line max-params -- an object, what was got of it, and how to compare them.
  #compare(entity: string, outcome: Outcome, digest: Digest, attempt: number | null = null): void {
    if (outcome instanceof FailedValue && !isOwnFailure(outcome, entity)) return;
    const attempts = this.#made.get(entity);
    const made = attempt === null ? [...(attempts?.values() ?? [])] : [attempts?.get(attempt)];
    // What fails before it runs, or cannot even be told, has no outcome of its own.
    if (made.length === 0 && outcome instanceof FailedValue) return;
    if (made[0] === undefined && outcome instanceof FailedValue) return;
    const got = digest(withoutAttempts(outcome));
    if (made.includes(got)) return;
    const message = made.length === 0 ? `nobody made ${got}` : `${made} was made, ${got} was got`;
    this.violate({ entity, message });
  }
}

/** The owner may add how often it was tried to what the maker told. */
function withoutAttempts(outcome: Outcome): Outcome {
  if (!(outcome instanceof FailedValue)) return outcome;
  const message = outcome.error.message.replace(
    /(?: \(attempt \d+ of \d+; maxRetries \d+\))+$/,
    "",
  );
  return new FailedValue({ ...outcome.error, message }, outcome.cause);
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
