/**
 * The Reclaimer of a real process: finalization registry and weak references.
 *
 * V8 does not feel what its small objects hold in the store, so a thread that drops refs and views
 * of large values might never collect them. Each thread counts those bytes, and collects when they
 * have grown by a share of the store. Nor does it feel the thread of an actor, whose handle is
 * small: a thread that has got some collects now and then, also when it has nothing else to do.
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { Reclaimer } from "#engine/protocol/reclaimer.ts";

/**
 * Of the store: what one thread lets grow between two collections. When the store is short of room
 * before that, its raylet asks all threads to hurry.
 */
const stepShare = 1 / 4;
/** Least time between two collections for a store that is short of room. */
const hurryMs = 200;
/** Between two collections for handles: so many times the first wait. */
const waitGrowthMax = 64;
/** … and so many times what the last one took, so that it stays a small part of all time, … */
const waitPerCollection = 100;
/** … but for that no more than so many times the first wait. */
const waitForCostMax = 10;

export interface CollectionLimits {
  readonly storeBytes: number;
  /** From the first handle to a collection; 0: none for handles. */
  readonly handleCollectMs: number;
}

export class GarbageCollection implements Reclaimer {
  readonly #stepBytes: number;
  readonly #firstWaitMs: number;
  readonly #registry = new FinalizationRegistry<() => void>((collected) => collected());
  /** Of the few targets that are large. */
  readonly #weights = new WeakMap<object, number>();
  readonly #remembered = new WeakMap<object, WeakRef<object>>();
  #heldBytes = 0;
  #collectAtBytes: number;
  #isAsked = false;
  #hurriedAtMs = -Infinity;
  #waitMs = 0;
  #timer: NodeJS.Timeout | null = null;
  #tookMs = 0;
  /** Not known to be collected. */
  #dearCount = 0;

  readonly #collect: () => void;

  constructor(
    { storeBytes, handleCollectMs }: CollectionLimits,
    collect: () => void = collectGarbage,
  ) {
    this.#collect = collect;
    this.#firstWaitMs = handleCollectMs;
    this.#stepBytes = storeBytes * stepShare;
    this.#collectAtBytes = this.#stepBytes;
  }

  watch(target: object, collected: () => void, isDear = false): void {
    if (!isDear || this.#firstWaitMs === 0) {
      this.#registry.register(target, collected, target);
      return;
    }
    this.#dearCount += 1;
    const told = (): void => {
      this.#dearCount -= 1;
      collected();
    };
    this.#registry.register(target, told, target);
    if (this.#timer !== null && this.#waitMs === this.#firstWaitMs) return;
    this.#waitMs = this.#firstWaitMs;
    this.#collectLater();
  }

  weigh(target: object, bytes: number): void {
    if (this.#weights.has(target)) return;
    this.#weights.set(target, bytes);
    this.#registry.register(target, () => this.#letGo(bytes), target);
    this.#heldBytes += bytes;
    if (this.#heldBytes >= this.#collectAtBytes) this.#collectSoon();
  }

  hurry(): void {
    const nowMs = performance.now();
    if (this.#heldBytes === 0 || nowMs < this.#hurriedAtMs + hurryMs) return;
    this.#hurriedAtMs = nowMs;
    this.#collectSoon();
  }

  #collectSoon(): void {
    if (this.#isAsked) return;
    this.#isAsked = true;
    setImmediate(() => {
      this.#isAsked = false;
      // What is in use stays: the next collection is worth it when as much has come again.
      this.#collectAtBytes = this.#heldBytes + this.#stepBytes;
      this.#collect();
    });
  }

  unwatch(target: object): void {
    const bytes = this.#weights.get(target);
    if (bytes !== undefined) this.#letGo(bytes);
    this.#weights.delete(target);
    this.#registry.unregister(target);
  }

  remember(key: object, target: object): void {
    this.#remembered.set(key, new WeakRef(target));
  }

  recall(key: object): object | undefined {
    return this.#remembered.get(key)?.deref();
  }

  #collectLater(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#timer = null;
      if (this.#dearCount === 0) return;
      this.#waitMs = Math.min(2 * this.#waitMs, waitGrowthMax * this.#firstWaitMs);
      const beganMs = performance.now();
      this.#collect();
      this.#tookMs = performance.now() - beganMs;
      this.#collectLater();
    }, this.#nextWaitMs()).unref();
  }

  #nextWaitMs(): number {
    const forCostMs = Math.min(
      waitPerCollection * this.#tookMs,
      waitForCostMax * this.#firstWaitMs,
    );
    return Math.max(this.#waitMs, forCostMs);
  }

  #letGo(bytes: number): void {
    this.#heldBytes -= bytes;
    this.#collectAtBytes = Math.min(this.#collectAtBytes, this.#heldBytes + this.#stepBytes);
  }
}

let collect: (() => void) | undefined;

/** Flags belong to the process: another thread may take this one back between two lines. */
const attemptsMax = 8;

/** V8's own `gc`, which only a context made while the flag is set has. Without it there is none. */
function collectGarbage(): void {
  for (let i = 0; i < attemptsMax && collect === undefined; i++) {
    setFlagsFromString("--expose-gc");
    collect = runInNewContext("globalThis.gc") as (() => void) | undefined;
    setFlagsFromString("--no-expose-gc");
  }
  collect?.();
}
