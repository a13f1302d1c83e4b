/**
 * A map that forgets what has not been used for long: two generations, of which the older is
 * dropped when the younger is full. What is read stays.
 */
export class Recent<V> {
  readonly #youngMax: number;
  #young = new Map<string, V>();
  #old = new Map<string, V>();
  #hasForgotten = false;

  constructor(max: number) {
    this.#youngMax = max / 2;
  }

  /** Something is missing that was set once. */
  get hasForgotten(): boolean {
    return this.#hasForgotten;
  }

  get(key: string): V | undefined {
    const young = this.#young.get(key);
    if (young !== undefined || this.#old.size === 0) return young;
    const old = this.#old.get(key);
    if (old !== undefined) this.set(key, old);
    return old;
  }

  set(key: string, value: V): void {
    this.#young.set(key, value);
    if (this.#young.size < this.#youngMax) return;
    this.#hasForgotten ||= this.#old.size > 0;
    this.#old = this.#young;
    this.#young = new Map();
  }
}
