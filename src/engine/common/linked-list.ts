/**
 * A list whose members carry their neighbours: one is taken out in O(1), and nothing is made for
 * it, where a set makes its table anew after every few members.
 */
export interface Linked<T> {
  newer: T | null;
  older: T | null;
}

export class LinkedList<T extends Linked<T>> {
  #oldest: T | null = null;
  #newest: T | null = null;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get oldest(): T | null {
    return this.#oldest;
  }

  has(item: T): boolean {
    return item.older !== null || item === this.#oldest;
  }

  /** One that is in no list. */
  add(item: T): void {
    const newest = this.#newest;
    item.older = newest;
    if (newest === null) this.#oldest = item;
    else newest.newer = item;
    this.#newest = item;
    this.#size += 1;
  }

  /** One that is in this list. */
  remove(item: T): void {
    const { newer, older } = item;
    if (newer === null) this.#newest = older;
    else newer.older = older;
    if (older === null) this.#oldest = newer;
    else older.newer = newer;
    // Whoever still refers to it must not keep its neighbours.
    item.newer = null;
    item.older = null;
    this.#size -= 1;
  }

  /** Oldest first. */
  *[Symbol.iterator](): IterableIterator<T> {
    for (let item = this.#oldest; item !== null; item = item.newer) yield item;
  }

  *newestFirst(): IterableIterator<T> {
    for (let item = this.#newest; item !== null; item = item.older) yield item;
  }
}
