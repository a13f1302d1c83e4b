/**
 * Spilled copies that are read back into memory, each once for all who wait.
 *
 * State:  by request, the copy and the room it will lie in.
 * In/out: copies with room → RestoreObject; objectRestored → in memory, or lost.
 * Bounds: `ioWorkers` at once. Each has a pin, so that neither its file nor its room is given up
 *         before the disk is done with them.
 * Errors: what cannot be read, or is not what was written, is a lost copy: its owner is told.
 * Source: Ray local_object_manager (AsyncRestoreSpilledObject).
 */
import { assert } from "#engine/common/assert.ts";
import type { Config } from "#engine/common/config.ts";
import type { ArenaExtent } from "#engine/protocol/object.ts";
import type { ObjectStore } from "#engine/object-store/object-store.ts";
import type { Copy, LocalObjects } from "./local-objects.ts";
import type { RayletOut } from "./placement-queue.ts";
import type { ObjectRestored } from "./spill-io.ts";
import type { SpillCounts } from "./spill-manager.ts";

export class Restores {
  readonly #config: Config;
  readonly #store: ObjectStore;
  readonly #objects: LocalObjects;
  readonly #counts: SpillCounts;
  readonly #running = new Map<number, { readonly copy: Copy; readonly extent: ArenaExtent }>();
  #nextRequestId = 1;

  constructor(parts: {
    config: Config;
    store: ObjectStore;
    objects: LocalObjects;
    counts: SpillCounts;
  }) {
    this.#config = parts.config;
    this.#store = parts.store;
    this.#objects = parts.objects;
    this.#counts = parts.counts;
  }

  get size(): number {
    return this.#running.size;
  }

  mayStart(copy: Copy): boolean {
    return copy.isRestoring || this.#running.size < this.#config.ioWorkers;
  }

  start(copy: Copy, extent: ArenaExtent, out: RayletOut): void {
    const { spilled } = copy;
    assert(spilled !== null && copy.extent === null, "what is read back is on the disk alone");
    assert(!copy.isRestoring, "a copy is read back once");
    copy.isRestoring = true;
    this.#objects.pin(copy);
    const requestId = this.#nextRequestId++;
    this.#running.set(requestId, { copy, extent });
    out.instruct({ type: "restoreObject", requestId, place: spilled, to: extent });
  }

  /** Its copy, which keeps its pin until `end`; with an extent if all is well. */
  onObjectRestored({ requestId, failure }: ObjectRestored, out: RayletOut): Copy | undefined {
    const running = this.#running.get(requestId);
    if (running === undefined) return undefined;
    this.#running.delete(requestId);
    const { copy, extent } = running;
    if (failure === null) {
      this.#counts.restoredObjects += 1;
      this.#counts.restoredBytes += copy.size;
      this.#objects.onRestored(copy, extent);
    } else {
      this.#counts.lostObjects += 1;
      this.#store.free(extent);
      copy.isRestoring = false;
      this.#objects.lose(copy, `what was spilled cannot be read back: ${failure.text}`, out);
    }
    return copy;
  }

  end(copy: Copy, out: RayletOut): void {
    this.#objects.unpin(copy, out);
  }
}
