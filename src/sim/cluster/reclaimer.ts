/**
 * The Reclaimer of a simulated process: nothing is collected by itself. What the program has given
 * up (disposed refs leave at once; views when a fault says so) goes when the run says so, in the
 * order it says.
 */
import type { Prng } from "#engine/common/prng.ts";
import type { Reclaimer } from "#engine/protocol/reclaimer.ts";

export type CollectOrder = "oldest" | "newest" | "random";

export class SimReclaimer implements Reclaimer {
  readonly #watched = new Map<object, () => void>();
  readonly #remembered = new Map<object, object>();
  readonly #keys = new Map<object, object>();
  /** What the program says it no longer uses. */
  readonly #dropped = new Set<object>();
  readonly roster = new Set<object>();

  watch(target: object, collected: () => void): void {
    this.#watched.set(target, collected);
  }

  unwatch(target: object): void {
    this.#watched.delete(target);
    this.#dropped.delete(target);
  }

  remember(key: object, target: object): void {
    this.#remembered.set(key, target);
    this.#keys.set(target, key);
  }

  recall(key: object): object | undefined {
    const target = this.#remembered.get(key);
    // In use again, as if it had never been dropped.
    if (target !== undefined) this.#dropped.delete(target);
    return target;
  }

  /** The program gives this up: from now on it may be collected. */
  drop(target: object): void {
    if (this.#watched.has(target)) this.#dropped.add(target);
    else this.roster.delete(target);
  }

  hurry(): void {
    for (const target of [...this.#dropped]) this.#collect(target);
  }

  /** Collects what was dropped. Returns how many. */
  collect(order: CollectOrder, random: Prng): number {
    const targets = [...this.#dropped];
    if (order === "newest") targets.reverse();
    if (order === "random") shuffle(targets, random);
    this.#dropped.clear();
    for (const target of targets) this.#collect(target);
    return targets.length;
  }

  /** The program is over: nobody looks at stored bytes any more. */
  collectViews(): void {
    for (const target of [...this.#watched.keys()]) {
      if (target instanceof SharedArrayBuffer) this.#collect(target);
    }
  }

  #collect(target: object): void {
    const collected = this.#watched.get(target);
    const key = this.#keys.get(target);
    this.#watched.delete(target);
    this.#dropped.delete(target);
    this.#keys.delete(target);
    this.roster.delete(target);
    if (key !== undefined) this.#remembered.delete(key);
    collected?.();
  }
}

function shuffle(items: unknown[], random: Prng): void {
  for (let i = items.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [items[i], items[j]] = [items[j], items[i]];
  }
}
