/**
 * Binary heap of things due at a time, soonest first; entries that no longer matter are skipped by
 * the reader.
 */
export class DeadlineQueue<T> {
  #times: number[] = [];
  #items: T[] = [];

  get size(): number {
    return this.#times.length;
  }

  /** Time of the soonest entry; Infinity when empty. O(1). */
  nextMs(): number {
    return this.#times.length === 0 ? Infinity : (this.#times[0] as number);
  }

  add(atMs: number, item: T): void {
    let at = this.#times.length;
    this.#times.push(atMs);
    this.#items.push(item);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if ((this.#times[parent] as number) <= atMs) break;
      this.#swap(at, parent);
      at = parent;
    }
  }

  /** The soonest entry if it is due, taken out. */
  takeDue(nowMs: number): T | undefined {
    if (this.nextMs() > nowMs) return undefined;
    const item = this.#items[0];
    const last = this.#times.length - 1;
    this.#swap(0, last);
    this.#times.pop();
    this.#items.pop();
    this.#siftDown();
    return item;
  }

  /** In no order. */
  values(): IterableIterator<T> {
    return this.#items.values();
  }

  /** Forgets the others. O(n). */
  retain(keep: (item: T) => boolean): void {
    const times = this.#times;
    const items = this.#items;
    this.#times = [];
    this.#items = [];
    for (let i = 0; i < items.length; i++) {
      if (keep(items[i] as T)) this.add(times[i] as number, items[i] as T);
    }
  }

  #siftDown(): void {
    const size = this.#times.length;
    let at = 0;
    for (;;) {
      let least = at;
      const left = 2 * at + 1;
      if (left < size && this.#isSooner(left, least)) least = left;
      if (left + 1 < size && this.#isSooner(left + 1, least)) least = left + 1;
      if (least === at) return;
      this.#swap(at, least);
      at = least;
    }
  }

  #isSooner(a: number, b: number): boolean {
    return (this.#times[a] as number) < (this.#times[b] as number);
  }

  #swap(a: number, b: number): void {
    const time = this.#times[a] as number;
    const item = this.#items[a] as T;
    this.#times[a] = this.#times[b] as number;
    this.#items[a] = this.#items[b] as T;
    this.#times[b] = time;
    this.#items[b] = item;
  }
}
