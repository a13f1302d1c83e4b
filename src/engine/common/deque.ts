/** Queue with O(1) push and shift at both ends on a growing circular array. Oldest first. */
export class Deque<T> {
  #items: (T | undefined)[] = new Array<T | undefined>(16);
  #head = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  push(item: T): void {
    if (this.#size === this.#items.length) this.#grow();
    this.#items[(this.#head + this.#size) & (this.#items.length - 1)] = item;
    this.#size += 1;
  }

  unshift(item: T): void {
    if (this.#size === this.#items.length) this.#grow();
    this.#head = (this.#head - 1) & (this.#items.length - 1);
    this.#items[this.#head] = item;
    this.#size += 1;
  }

  peek(): T | undefined {
    return this.#size === 0 ? undefined : this.#items[this.#head];
  }

  shift(): T | undefined {
    if (this.#size === 0) return undefined;
    const item = this.#items[this.#head];
    this.#items[this.#head] = undefined;
    this.#head = (this.#head + 1) & (this.#items.length - 1);
    this.#size -= 1;
    return item;
  }

  pop(): T | undefined {
    if (this.#size === 0) return undefined;
    this.#size -= 1;
    const at = (this.#head + this.#size) & (this.#items.length - 1);
    const item = this.#items[at];
    this.#items[at] = undefined;
    return item;
  }

  /** Keeps what `keep` says, in order. */
  retain(keep: (item: T) => boolean): void {
    const mask = this.#items.length - 1;
    let kept = 0;
    for (let i = 0; i < this.#size; i++) {
      const item = this.#items[(this.#head + i) & mask] as T;
      if (!keep(item)) continue;
      this.#items[(this.#head + kept) & mask] = item;
      kept += 1;
    }
    for (let i = kept; i < this.#size; i++) this.#items[(this.#head + i) & mask] = undefined;
    this.#size = kept;
  }

  *[Symbol.iterator](): IterableIterator<T> {
    const mask = this.#items.length - 1;
    for (let i = 0; i < this.#size; i++) yield this.#items[(this.#head + i) & mask] as T;
  }

  #grow(): void {
    const items = new Array<T | undefined>(this.#items.length * 2);
    const mask = this.#items.length - 1;
    for (let i = 0; i < this.#size; i++) items[i] = this.#items[(this.#head + i) & mask];
    this.#items = items;
    this.#head = 0;
  }
}
