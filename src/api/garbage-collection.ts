/** The Reclaimer of a real process: finalization registry and weak references. */
import type { Reclaimer } from "#engine/protocol/reclaimer.ts";

export class GarbageCollection implements Reclaimer {
  readonly #registry = new FinalizationRegistry<() => void>((collected) => collected());
  readonly #remembered = new WeakMap<object, WeakRef<object>>();

  watch(target: object, collected: () => void): void {
    this.#registry.register(target, collected, target);
  }

  unwatch(target: object): void {
    this.#registry.unregister(target);
  }

  remember(key: object, target: object): void {
    this.#remembered.set(key, new WeakRef(target));
  }

  recall(key: object): object | undefined {
    return this.#remembered.get(key)?.deref();
  }
}
