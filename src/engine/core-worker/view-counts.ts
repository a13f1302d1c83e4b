/**
 * Objects whose bytes are read in place by views of this process: they must stay where they are.
 *
 * State:  by entry, how many views, and on which bytes; none is listed with 0.
 * In/out: views made and collected → whether an entry has one, and what they read of an owner.
 * Bounds: the views that user code keeps.
 */
import type { WorkerId } from "#engine/common/ids.ts";
import type { ArenaExtent } from "#engine/protocol/object.ts";
import type { ObjectEntry } from "./object-entry.ts";

interface Views {
  count: number;
  /** One as a rule; another if the object was made anew under a view. */
  readonly extents: ArenaExtent[];
}

export class ViewCounts {
  readonly #views = new Map<ObjectEntry, Views>();
  /** Rises with every view that goes. */
  #dropCount = 0;

  get dropCount(): number {
    return this.#dropCount;
  }

  add(entry: ObjectEntry, extent: ArenaExtent): void {
    let views = this.#views.get(entry);
    if (views === undefined) this.#views.set(entry, (views = { count: 0, extents: [] }));
    views.count += 1;
    const { segment, offset } = extent;
    const isKnown = views.extents.some((one) => one.segment === segment && one.offset === offset);
    if (!isKnown) views.extents.push(extent);
  }

  drop(entry: ObjectEntry): void {
    this.#dropCount += 1;
    const views = this.#views.get(entry);
    if (views === undefined) return;
    views.count -= 1;
    if (views.count === 0) this.#views.delete(entry);
  }

  has(entry: ObjectEntry): boolean {
    return this.#views.has(entry);
  }

  /** What views read of one owner. */
  *extentsOf(owner: WorkerId): IterableIterator<ArenaExtent> {
    for (const [entry, { extents }] of this.#views) if (entry.owner === owner) yield* extents;
  }
}
