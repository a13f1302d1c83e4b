/**
 * The results of one task that returns several, on their way into the arena: all of them or none.
 * When there is no room for all, others may wait for what some of them took: that goes back, and
 * room is asked for again. Nothing is encoded again: getters have run.
 */
import type { ObjectEntry } from "#engine/core-worker/object-entry.ts";
import { type Outcome, StoredValue } from "#engine/protocol/outcome.ts";
import { ObjectStoreFullError, OutOfDiskError } from "./errors.ts";
import { UnplacedResult } from "./unplaced-result.ts";
import type { Values } from "./values.ts";

/** So often room is asked for. */
const roomTriesMax = 4;

type Result = Outcome | UnplacedResult;

/** `mayChange`: user code goes on with them meanwhile. */
export function encodeSeveral(
  values: Values,
  results: readonly unknown[],
  mayChange: boolean,
): readonly Outcome[] | Promise<readonly Outcome[]> {
  const begun: Result[] = [];
  const named: ObjectEntry[] = [];
  try {
    for (const value of results) begun.push(values.beginResult(value, mayChange, named));
  } catch (error) {
    new SeveralResults(values, begun).giveUp();
    throw error;
  }
  if (!begun.some((result) => result instanceof UnplacedResult)) return begun as Outcome[];
  // User code may dispose of the refs in those that have room, too.
  const release = values.hold(named);
  return new SeveralResults(values, begun).place().finally(release);
}

class SeveralResults {
  readonly #values: Values;
  /** By position. */
  readonly #results: Result[];
  /** Positions of those that have room of their own. */
  readonly #placed: number[] = [];
  #triesLeft = roomTriesMax;
  #failure: { readonly reason: unknown } | null = null;

  constructor(values: Values, begun: Result[]) {
    this.#values = values;
    this.#results = begun;
    for (const [at, result] of begun.entries()) {
      if (result instanceof StoredValue) this.#placed.push(at);
    }
  }

  async place(): Promise<readonly Outcome[]> {
    for (;;) {
      this.#triesLeft -= 1;
      await Promise.all(this.#results.map((result, at) => this.#placeOne(result, at)));
      if (this.#failure === null) return this.#results as Outcome[];
      const { reason } = this.#failure;
      if (!this.#mayTryAgain) {
        this.giveUp();
        throw reason;
      }
      this.#failure = null;
    }
  }

  giveUp(): void {
    const discard = (placed: StoredValue): void => this.#values.discard(placed);
    for (const result of this.#results.splice(0)) {
      if (result instanceof UnplacedResult) result.giveUp(discard);
      else this.#values.discard(result);
    }
  }

  async #placeOne(result: Result, at: number): Promise<void> {
    if (result instanceof UnplacedResult) {
      try {
        this.#results[at] = await result.place();
        this.#placed.push(at);
      } catch (reason) {
        this.#failure ??= { reason };
      }
    }
    // At once: it may be what those wait for who are behind the rest of ours.
    if (this.#failure !== null) this.#takeBack();
  }

  #takeBack(): void {
    for (const at of this.#placed.splice(0)) {
      const placed = this.#results[at] as StoredValue;
      if (this.#mayTryAgain) this.#results[at] = this.#values.takeBack(placed);
      else {
        this.#results[at] = undefined;
        this.#values.discard(placed);
      }
    }
  }

  get #mayTryAgain(): boolean {
    const reason = this.#failure?.reason;
    const isNoRoom = reason instanceof ObjectStoreFullError || reason instanceof OutOfDiskError;
    return isNoRoom && this.#triesLeft > 0;
  }
}
