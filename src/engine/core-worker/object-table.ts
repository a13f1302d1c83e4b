/**
 * Objects with bytes in the arena, and where they were made if that is recorded: for those who ask
 * what keeps memory. Never needed by the engine itself.
 *
 * State:  entries, with the place of the call that made each, or "". Those that were freed are
 *         swept when the table has doubled.
 * Bounds: twice the entries that are alive.
 */
import type { ObjectEntry } from "./object-entry.ts";

const sweepAtLeast = 64;

export class ObjectTable {
  readonly #sites = new Map<ObjectEntry, string>();
  #sweepAt = sweepAtLeast;

  add(entry: ObjectEntry): void {
    if (!this.#sites.has(entry)) this.addWithSite(entry, "");
  }

  /** `site`: `file:line` of the call that made it. */
  addWithSite(entry: ObjectEntry, site: string): void {
    if (this.#sites.size >= this.#sweepAt) this.#sweep();
    this.#sites.set(entry, site);
  }

  siteOf(entry: ObjectEntry): string {
    return this.#sites.get(entry) ?? "";
  }

  *values(): IterableIterator<ObjectEntry> {
    for (const entry of this.#sites.keys()) if (entry.state !== "FREED") yield entry;
  }

  #sweep(): void {
    for (const entry of this.#sites.keys()) {
      if (entry.state === "FREED") this.#sites.delete(entry);
    }
    this.#sweepAt = Math.max(sweepAtLeast, 2 * this.#sites.size);
  }
}
