/**
 * Spilled copies that are read back into memory, each once for all who wait.
 *
 * State:  by request, the copy and the room it will lie in; those that are to be read again.
 * In/out: copies with room → RestoreObject; objectRestored → in memory, again, or lost.
 * Bounds: `ioWorkers` at once. Each has a pin, so that neither its file nor its room is given up
 *         before the disk is done with them.
 * Errors: what cannot be read, or is not what was written, is read again (ReadTries), and then a
 *         lost copy: its owner is told.
 * Source: Ray local_object_manager (AsyncRestoreSpilledObject).
 */
import { assert } from "#engine/common/assert.ts";
import type { Config } from "#engine/common/config.ts";
import type { ArenaExtent } from "#engine/protocol/object.ts";
import type { ObjectStore } from "#engine/object-store/object-store.ts";
import type { Copy } from "./copy.ts";
import type { LocalObjects } from "./local-objects.ts";
import type { RayletOut } from "./placement-queue.ts";
import { ReadTries } from "./read-tries.ts";
import type { ObjectRestored } from "./spill-io.ts";
import type { SpillCounts } from "./spill-manager.ts";

interface Restore {
  readonly copy: Copy;
  readonly extent: ArenaExtent;
  readonly tries: ReadTries;
}

export class Restores {
  readonly #config: Config;
  readonly #store: ObjectStore;
  readonly #objects: LocalObjects;
  readonly #counts: SpillCounts;
  readonly #running = new Map<number, Restore>();
  /** Read again when their time has come. */
  #failed: (readonly [restore: Restore, atMs: number])[] = [];
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
    return this.#running.size + this.#failed.length;
  }

  mayStart(copy: Copy): boolean {
    return copy.isRestoring || this.size < this.#config.ioWorkers;
  }

  start(copy: Copy, extent: ArenaExtent, out: RayletOut): void {
    const { spilled } = copy;
    assert(spilled !== null && copy.extent === null, "what is read back is on the disk alone");
    assert(!copy.isRestoring, "a copy is read back once");
    copy.isRestoring = true;
    this.#objects.pin(copy);
    this.#read({ copy, extent, tries: new ReadTries() }, out);
  }

  /**
   * Its copy, which keeps its pin until `end`; with an extent if all is well. Undefined while it is
   * to be read again.
   */
  onObjectRestored(event: ObjectRestored, nowMs: number, out: RayletOut): Copy | undefined {
    const { requestId, failure } = event;
    const restore = this.#running.get(requestId);
    if (restore === undefined) return undefined;
    this.#running.delete(requestId);
    const { copy, extent } = restore;
    if (failure === null) {
      this.#counts.restoredObjects += 1;
      this.#counts.restoredBytes += copy.size;
      this.#objects.onRestored(copy, extent);
      return copy;
    }
    const againMs = restore.tries.next(failure, nowMs, this.#config);
    if (againMs !== null && !this.#objects.isLeaving(copy)) {
      this.#failed.push([restore, againMs]);
      return undefined;
    }
    this.#counts.lostObjects += 1;
    this.#store.free(extent);
    copy.isRestoring = false;
    this.#objects.lose(copy, `what was spilled cannot be read back: ${failure.text}`, out);
    return copy;
  }

  nextDeadlineMs(): number {
    return this.#failed.reduce((least, [, atMs]) => Math.min(least, atMs), Infinity);
  }

  onDeadline(nowMs: number, out: RayletOut): void {
    if (this.#failed.length === 0) return;
    const due = this.#failed.filter(([, atMs]) => atMs <= nowMs);
    this.#failed = this.#failed.filter(([, atMs]) => atMs > nowMs);
    for (const [restore] of due) this.#read(restore, out);
  }

  end(copy: Copy, out: RayletOut): void {
    this.#objects.unpin(copy, out);
  }

  #read(restore: Restore, out: RayletOut): void {
    const { copy, extent } = restore;
    assert(copy.spilled !== null, "a copy with a pin keeps its place on the disk");
    const requestId = this.#nextRequestId++;
    this.#running.set(requestId, restore);
    out.instruct({ type: "restoreObject", requestId, place: copy.spilled, to: extent });
  }
}
