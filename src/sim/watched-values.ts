/** The values of a simulated process, with all that user code gets shown to the oracles. */
import type { ObjectEntry } from "#engine/core-worker/object-entry.ts";
import type { Outcome } from "#engine/protocol/outcome.ts";
import type { CoreWorkerClient } from "#engine/services/core-worker-client.ts";
import { Values } from "#api/values.ts";
import type { SharedArena } from "#transports/threads/shared-arena.ts";

export class WatchedValues extends Values {
  readonly #onGiven: (value: unknown, outcome: Outcome) => void;

  constructor(
    client: CoreWorkerClient,
    arena: SharedArena,
    onGiven: (value: unknown, outcome: Outcome) => void,
  ) {
    super(client, arena);
    this.#onGiven = onGiven;
  }

  override decode(outcome: Outcome, entry: ObjectEntry | null): unknown {
    const value = super.decode(outcome, entry);
    this.#onGiven(value, outcome);
    return value;
  }
}
