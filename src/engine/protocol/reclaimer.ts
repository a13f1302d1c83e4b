/**
 * PORT: tells when JS objects are collected. Only lowers counts, so it may be late or never;
 * nothing decides by it. Machines never see it, and the simulator decides itself when what is
 * dropped is collected.
 */

export interface Reclaimer {
  /**
   * Calls back once after `target` was collected. `collected` must not refer to `target`. `isDear`:
   * small, but what it keeps is not, a hint to collect before long.
   */
  watch(target: object, collected: () => void, isDear?: boolean): void;
  /** How many bytes of the store a watched target keeps: a hint of when collecting is worth it. */
  weigh?(target: object, bytes: number): void;
  /** The store is short of room: what was dropped should be found before long. */
  hurry?(): void;
  unwatch(target: object): void;
  /** Keeps `target` findable under `key` for as long as it lives, which this does not prolong. */
  remember(key: object, target: object): void;
  recall(key: object): object | undefined;
  /**
   * Of a process whose heap is not to be searched: each ref that is made, until the program lets
   * go of it.
   */
  readonly roster?: Set<object>;
}
