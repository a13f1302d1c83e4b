/** Live actors by a process: its owner, or one that subscribed. */
import { assert } from "#engine/common/assert.ts";
import type { Address } from "#engine/common/ids.ts";
import type { ActorRow } from "./actor-row.ts";

const none: ReadonlySet<ActorRow> = new Set();

export class RowIndex {
  /** A set in the map is never empty. */
  readonly #rows = new Map<Address, Set<ActorRow>>();

  rows(process: Address): ReadonlySet<ActorRow> {
    return this.#rows.get(process) ?? none;
  }

  get processes(): IterableIterator<Address> {
    return this.#rows.keys();
  }

  add(process: Address, row: ActorRow): void {
    const rows = this.#rows.get(process);
    if (rows === undefined) this.#rows.set(process, new Set([row]));
    else rows.add(row);
  }

  remove(process: Address, row: ActorRow): void {
    const rows = this.#rows.get(process);
    rows?.delete(row);
    if (rows?.size === 0) this.#rows.delete(process);
  }

  removeAll(process: Address): void {
    this.#rows.delete(process);
  }

  /** Pairs of process and actor; also a check of the sets. */
  count(): number {
    let count = 0;
    for (const rows of this.#rows.values()) {
      assert(rows.size > 0, "an empty set in an index of actors");
      count += rows.size;
    }
    return count;
  }
}
