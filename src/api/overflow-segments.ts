/** Segments that the store of this node makes beyond what it has, in this process. */
import type { OverflowPort } from "#engine/services/overflow-port.ts";
import { sharedMemory } from "#engine/services/shared-memory.ts";
import type { SharedArena } from "#transports/threads/shared-arena.ts";

/** Other threads with the arena mapped. */
export interface ArenaListener {
  announceSegment(segment: number, buffer: SharedArrayBuffer): void;
  announceDrop(segment: number): void;
}

export class OverflowSegments implements OverflowPort {
  readonly #arena: SharedArena;
  readonly #listeners: readonly ArenaListener[];

  constructor(arena: SharedArena, listeners: readonly ArenaListener[] = []) {
    this.#arena = arena;
    this.#listeners = listeners;
  }

  make(segment: number, size: number): boolean {
    const buffer = sharedMemory(size);
    if (buffer === null) return false;
    this.#arena.add(segment, buffer);
    for (const listener of this.#listeners) listener.announceSegment(segment, buffer);
    return true;
  }

  drop(segment: number): void {
    this.#arena.drop(segment);
    for (const listener of this.#listeners) listener.announceDrop(segment);
  }
}
