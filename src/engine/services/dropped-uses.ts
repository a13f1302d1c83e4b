/**
 * Refs, views and copies that user code let go of, or that were collected: told to the core worker
 * together, soon, or at once where their room is needed.
 */
import type { CoreWorkerEvent } from "#engine/core-worker/calls.ts";
import type { CopyUser, LocalCopy } from "#engine/core-worker/local-copies.ts";
import type { ObjectEntry } from "#engine/core-worker/object-entry.ts";

export class DroppedUses {
  readonly #dispatch: (event: CoreWorkerEvent) => void;
  /** Runs it before the turn of the host is over. */
  readonly #soon: (run: () => void) => void;
  #refs: ObjectEntry[] = [];
  #views: ObjectEntry[] = [];
  #copies: { copy: LocalCopy; user: CopyUser }[] = [];
  #isDue = false;

  constructor(dispatch: (event: CoreWorkerEvent) => void, soon: (run: () => void) => void) {
    this.#dispatch = dispatch;
    this.#soon = soon;
  }

  addRef(entry: ObjectEntry): void {
    this.#refs.push(entry);
    this.#tellSoon();
  }

  addView(entry: ObjectEntry): void {
    this.#views.push(entry);
    this.#tellSoon();
  }

  addCopy(copy: LocalCopy, user: CopyUser): void {
    this.#copies.push({ copy, user });
    this.#tellSoon();
  }

  tell(): void {
    if (!this.#isDue) return;
    this.#isDue = false;
    const [refs, views, uses] = [this.#refs, this.#views, this.#copies];
    this.#refs = [];
    this.#views = [];
    this.#copies = [];
    if (refs.length > 0) this.#dispatch({ type: "removeRefs", entries: refs });
    if (views.length > 0) this.#dispatch({ type: "releaseViews", entries: views });
    if (uses.length > 0) this.#dispatch({ type: "releaseCopies", uses });
  }

  #tellSoon(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    this.#soon(() => this.tell());
  }
}
