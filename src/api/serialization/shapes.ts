/** Lists of keys that a value's objects have in common: each travels once. */

/** How many of the latest are compared, a power of two; more would cost more than they save. */
const comparedCountMax = 8;
const noKeys: readonly string[] = [];

export class Shapes {
  #count = 0;
  /** Shape `number` is in slot `number % comparedCountMax`. */
  #recent: (readonly string[])[] = new Array<readonly string[]>(comparedCountMax).fill(noKeys);

  /** The number (from 1) of the shape with these keys; 0, and noted, when it is new. */
  findOrAdd(keys: readonly string[]): number {
    const latest = this.#count;
    const oldest = Math.max(latest - comparedCountMax + 1, 1);
    for (let number = latest; number >= oldest; number--) {
      const compared = this.#recent[number & (comparedCountMax - 1)] as readonly string[];
      if (sameKeys(compared, keys)) return number;
    }
    this.#count = latest + 1;
    this.#recent[this.#count & (comparedCountMax - 1)] = keys;
    return 0;
  }

  clear(): void {
    const used = Math.min(this.#count, comparedCountMax - 1);
    for (let slot = 0; slot <= used; slot++) this.#recent[slot] = noKeys;
    this.#count = 0;
  }
}

function sameKeys(a: readonly string[], b: readonly string[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
