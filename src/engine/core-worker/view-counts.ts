/**
 * Objects whose bytes are read in place by views of this process: they must stay where they are.
 *
 * State:  by entry, how many views; none is listed with 0.
 * In/out: views made and collected → whether an entry has one.
 * Bounds: the views that user code keeps.
 */
import type { ObjectEntry } from "./object-entry.ts";

export class ViewCounts {
  readonly #counts = new Map<ObjectEntry, number>();

  add(entry: ObjectEntry): void {
    this.#counts.set(entry, (this.#counts.get(entry) ?? 0) + 1);
  }

  drop(entry: ObjectEntry): void {
    const count = this.#counts.get(entry) ?? 0;
    if (count > 1) this.#counts.set(entry, count - 1);
    else this.#counts.delete(entry);
  }

  has(entry: ObjectEntry): boolean {
    return this.#counts.has(entry);
  }
}
