/** Copies in the order of their last use, and how many bytes of the store they take together. */
import type { Copy } from "./copy.ts";

export class CopyQueue {
  readonly #copies = new Set<Copy>();
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  get first(): Copy | undefined {
    for (const copy of this.#copies) return copy;
    return undefined;
  }

  has(copy: Copy): boolean {
    return this.#copies.has(copy);
  }

  /** As the one that was used last. */
  add(copy: Copy): void {
    if (!this.#copies.has(copy)) this.#bytes += copy.size;
    else this.#copies.delete(copy);
    this.#copies.add(copy);
  }

  delete(copy: Copy): boolean {
    if (!this.#copies.delete(copy)) return false;
    this.#bytes -= copy.size;
    return true;
  }

  [Symbol.iterator](): IterableIterator<Copy> {
    return this.#copies.values();
  }
}
