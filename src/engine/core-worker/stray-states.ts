/**
 * Borrowed objects that were given up before their owner had said what they come to: what it says
 * may still be under way, and must not be taken for the answer to a later question. It might name a
 * place where the object lies no more.
 *
 * State:  names by owner, until something is said of them.
 * In/out: entries that are forgotten, objectState → whether it may be such an answer.
 * Bounds: `namesMax`: the oldest has long come by then, or never will.
 * Errors: none; an owner that need not answer any more does not.
 */
import { objectKey, type WorkerId } from "#engine/common/ids.ts";
import type { ObjectName } from "#engine/protocol/task.ts";

const namesMax = 10_000;

export class StrayStates {
  readonly #names = new Set<string>();

  note(owner: WorkerId, name: ObjectName): void {
    const text = textOf(owner, name);
    this.#names.delete(text);
    this.#names.add(text);
    if (this.#names.size <= namesMax) return;
    for (const oldest of this.#names) {
      this.#names.delete(oldest);
      return;
    }
  }

  /** True once for each that was noted. */
  take(owner: WorkerId, name: ObjectName): boolean {
    return this.#names.size > 0 && this.#names.delete(textOf(owner, name));
  }
}

function textOf(owner: WorkerId, { serial, index }: ObjectName): string {
  return `${owner} ${objectKey(serial, index)}`;
}
