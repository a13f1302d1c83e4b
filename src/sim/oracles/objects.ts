/**
 * 3 Immutability: every get of an object anywhere gives what its maker made, in an object of its
 * own.
 */
import { objectIdHex, objectKey } from "#engine/common/ids.ts";
import type { GetRequest } from "#engine/core-worker/memory-store.ts";
import type { ObjectEntry } from "#engine/core-worker/object-entry.ts";
import type { IncomingTask } from "#engine/core-worker/task-receiver.ts";
import { FailedValue, InlineValue, type Outcome } from "#engine/protocol/outcome.ts";
import type { SimProcess } from "#sim/cluster.ts";
import { type Digest, Oracle, readableIn } from "./oracle.ts";
import { idOf } from "./tasks.ts";

/** Parts of one value that are looked at for sharing. */
const partsMax = 1_000;

export class ObjectOracle extends Oracle {
  readonly name = "3 immutability";
  /** What was put, or what an execution came to. */
  readonly #made = new Map<string, string>();
  readonly #given = new WeakSet<object>();

  override onPut(entry: ObjectEntry, digest: string): void {
    this.#made.set(idOf(entry), digest);
  }

  override onEnded(task: IncomingTask, outcomes: readonly Outcome[], digest: Digest): void {
    const { owner, serial, definition } = task;
    if (outcomes.length === 0) return;
    for (let index = 1; index <= definition.numReturns; index++) {
      const outcome = outcomes.length === 1 ? outcomes[0] : outcomes[index - 1];
      this.#made.set(objectIdHex(owner, objectKey(serial, index)), digest(outcome));
    }
  }

  override onStarted({ args, values }: IncomingTask, _by: SimProcess, digest: Digest): void {
    for (const [i, special] of args.specials.entries()) {
      if (special.type !== "ref" || !special.topLevel) continue;
      const { serial, index } = special;
      this.#compare(objectIdHex(special.owner, objectKey(serial, index)), values?.[i], digest);
    }
  }

  override onSettled({ entries }: GetRequest, by: SimProcess, digest: Digest): void {
    for (const entry of entries) {
      const read = readableIn(by, entry);
      if (read === null) continue;
      if (entry.state === "FREED") {
        this.violate({ entity: idOf(entry), message: "it was freed while a call waited for it" });
      } else this.#compare(idOf(entry), read.outcome, digest);
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

  #compare(entity: string, outcome: Outcome, digest: Digest): void {
    if (outcome instanceof FailedValue && !isOwnFailure(outcome, entity)) return;
    const made = this.#made.get(entity);
    // What fails before it runs, or cannot even be told, has no outcome of its own.
    if (made === undefined && outcome instanceof FailedValue) return;
    const got = digest(outcome);
    if (made === got) return;
    const message = made === undefined ? `nobody made ${got}` : `${made} was made, ${got} was got`;
    this.violate({ entity, message });
  }
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
