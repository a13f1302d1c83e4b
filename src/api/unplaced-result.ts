/**
 * A result that is encoded and has no room in the arena yet. It is encoded once, however often room
 * is asked for: getters in it have run, and user code may change what it was made of.
 */
import type { ObjectEntry } from "#engine/core-worker/object-entry.ts";
import type { ArenaExtent } from "#engine/protocol/object.ts";
import type { StoredValue } from "#engine/protocol/outcome.ts";

export interface ResultParts {
  /** What it names: user code may dispose of refs while it waits for room. */
  readonly named: readonly ObjectEntry[];
  ask(): Promise<ArenaExtent> | ArenaExtent;
  write(extent: ArenaExtent): StoredValue;
  /** Nothing is written any more. */
  end(): void;
}

export class UnplacedResult {
  readonly named: readonly ObjectEntry[];
  readonly #parts: ResultParts;
  #asked: Promise<ArenaExtent> | null;

  /** `asked`: the room that has been asked for, if it has been. */
  constructor(parts: ResultParts, asked: Promise<ArenaExtent> | null) {
    this.named = parts.named;
    this.#parts = parts;
    this.#asked = asked;
  }

  /** Throws when there is no room, and may be called again then. */
  async place(): Promise<StoredValue> {
    const asked = this.#asked ?? this.#parts.ask();
    this.#asked = null;
    const placed = this.#parts.write(await asked);
    this.#parts.end();
    return placed;
  }

  /** It will not be placed; room that comes goes back. */
  giveUp(discard: (placed: StoredValue) => void): void {
    if (this.#asked === null) this.#parts.end();
    else void this.place().then(discard, () => this.#parts.end());
  }
}
