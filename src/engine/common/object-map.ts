/** One thing an object, by owner and name. */
import { assert } from "./assert.ts";
import { objectKey, type WorkerId } from "./ids.ts";

interface OfObject {
  readonly owner: WorkerId;
  readonly serial: number;
  readonly index: number;
}

export class ObjectMap<T extends OfObject> {
  /** Owner → key → thing; no owner without any. */
  readonly #byOwner = new Map<WorkerId, Map<number, T>>();

  get size(): number {
    let count = 0;
    for (const things of this.#byOwner.values()) count += things.size;
    return count;
  }

  /** Whether any is of another owner. */
  hasOthersThan(owner: WorkerId): boolean {
    return this.#byOwner.size > (this.#byOwner.has(owner) ? 1 : 0);
  }

  owners(): Iterable<WorkerId> {
    return this.#byOwner.keys();
  }

  of(owner: WorkerId): Iterable<T> {
    return this.#byOwner.get(owner)?.values() ?? [];
  }

  *values(): IterableIterator<T> {
    for (const things of this.#byOwner.values()) yield* things.values();
  }

  find(owner: WorkerId, { serial, index }: Pick<OfObject, "serial" | "index">): T | undefined {
    return this.#byOwner.get(owner)?.get(objectKey(serial, index));
  }

  add(thing: T): void {
    let things = this.#byOwner.get(thing.owner);
    if (things === undefined) {
      things = new Map();
      this.#byOwner.set(thing.owner, things);
    }
    things.set(objectKey(thing.serial, thing.index), thing);
  }

  delete({ owner, serial, index }: OfObject): void {
    const things = this.#byOwner.get(owner);
    if (things === undefined) return;
    things.delete(objectKey(serial, index));
    if (things.size === 0) this.#byOwner.delete(owner);
  }

  checkInvariants(): void {
    for (const [owner, things] of this.#byOwner) {
      assert(things.size > 0, "an owner without objects is not listed");
      for (const [key, thing] of things) {
        assert(key === objectKey(thing.serial, thing.index), "it is listed by its name");
        assert(thing.owner === owner, "it is listed under its owner");
      }
    }
  }
}
