/**
 * What is remembered of tasks and objects, by whose they are and their number there. What was not
 * used for long is forgotten: of two generations the older is dropped when the younger is full.
 */
type Generation<V> = Map<string, Map<number, V>>;

export class Recent<V> {
  readonly #youngMax: number;
  #young: Generation<V> = new Map();
  #youngCount = 0;
  #old: Generation<V> | null = null;
  #hasForgotten = false;

  constructor(max: number) {
    this.#youngMax = max / 2;
  }

  /** Something may be missing that was set once. */
  get hasForgotten(): boolean {
    return this.#hasForgotten;
  }

  get(owner: string, number: number): V | undefined {
    const young = this.#young.get(owner)?.get(number);
    if (young !== undefined || this.#old === null) return young;
    const old = this.#old.get(owner)?.get(number);
    if (old !== undefined) this.set(owner, number, old);
    return old;
  }

  set(owner: string, number: number, value: V): void {
    let numbers = this.#young.get(owner);
    if (numbers === undefined) this.#young.set(owner, (numbers = new Map()));
    const before = numbers.size;
    numbers.set(number, value);
    this.#youngCount += numbers.size - before;
    if (this.#youngCount < this.#youngMax) return;
    this.#hasForgotten = this.#old !== null;
    this.#old = this.#young;
    this.#young = new Map();
    this.#youngCount = 0;
  }
}
