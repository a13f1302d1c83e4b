/** Objects of one value in the order of first mention: their place in it is their identity. */

/** Up to here comparing one by one beats hashing. */
const linearCountMax = 8;
/** Longer lists are given back after the value instead of being emptied. */
const keptCountMax = 1024;

export class Ordinals {
  count = 0;
  /** Longer than `count`: emptying an array by its length would free its memory every time. */
  #objects: (object | undefined)[] = [];
  #lookup: Map<object, number> | undefined;

  /** The ordinal of an object mentioned before; otherwise notes it and returns -1. */
  findOrAdd(value: object): number {
    const objects = this.#objects;
    const count = this.count;
    if (count <= linearCountMax) {
      for (let ordinal = 0; ordinal < count; ordinal++) {
        if (objects[ordinal] === value) return ordinal;
      }
    } else {
      const lookup = (this.#lookup ??= this.#makeLookup());
      const ordinal = lookup.get(value);
      if (ordinal !== undefined) return ordinal;
      lookup.set(value, count);
    }
    objects[count] = value;
    this.count = count + 1;
    return -1;
  }

  /** The number of one that no value can mention. */
  addUnmentioned(): void {
    this.#objects[this.count] = undefined;
    this.count += 1;
  }

  /** Forgets what was noted since `count` was as given. */
  truncate(count: number): void {
    for (let ordinal = count; ordinal < this.count; ordinal++) this.#objects[ordinal] = undefined;
    this.count = count;
    this.#lookup = undefined;
  }

  clear(): void {
    if (this.count > keptCountMax) this.#objects = [];
    this.truncate(0);
  }

  #makeLookup(): Map<object, number> {
    const lookup = new Map<object, number>();
    for (let ordinal = 0; ordinal < this.count; ordinal++) {
      lookup.set(this.#objects[ordinal] as object, ordinal);
    }
    return lookup;
  }
}
