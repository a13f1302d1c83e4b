/**
 * Objects with bytes in the arena, and where objects were made if that is recorded: for those who
 * ask what keeps memory. Never needed by the engine itself.
 *
 * State:  entries, of which those that were freed are swept when the table has doubled; places,
 *         which keep no entry.
 * Bounds: twice the entries that are alive.
 */
import type { ObjectEntry } from "./object-entry.ts";

const sweepAtLeast = 64;

export class ObjectTable {
  readonly #stored = new Set<ObjectEntry>();
  /** `file:line` of the call that made it. */
  readonly #sites = new WeakMap<ObjectEntry, string>();
  #sweepAt = sweepAtLeast;

  add(entry: ObjectEntry): void {
    if (this.#stored.size >= this.#sweepAt) this.#sweep();
    this.#stored.add(entry);
  }

  setSite(entry: ObjectEntry, site: string): void {
    this.#sites.set(entry, site);
  }

  siteOf(entry: ObjectEntry): string {
    return this.#sites.get(entry) ?? "";
  }

  /** Those that were freed and not swept among them. */
  get size(): number {
    return this.#stored.size;
  }

  *values(): IterableIterator<ObjectEntry> {
    for (const entry of this.#stored) if (entry.state !== "FREED") yield entry;
  }

  #sweep(): void {
    for (const entry of this.#stored) {
      if (entry.state === "FREED") this.#stored.delete(entry);
    }
    this.#sweepAt = Math.max(sweepAtLeast, 2 * this.#stored.size);
  }
}
