/**
 * Questions of this process that wait for one answer, by number: kill, cancel, getActor, lists of
 * state. No object stands for them.
 */
import type { ActorId } from "#engine/common/ids.ts";
import type { StatePage } from "#engine/core-worker/calls.ts";

export interface FoundActor {
  readonly actorId: ActorId | null;
  readonly className: string;
  readonly detached: boolean;
}

interface Finder {
  resolve(found: FoundActor): void;
  reject(error: Error): void;
}

/** The pages of a list that have come. */
interface Lister {
  readonly pages: StatePage[];
  resolve(pages: readonly StatePage[]): void;
  reject(error: Error): void;
}

/** Puts the question, which may be answered at once. */
type Ask = (requestId: number) => void;

export class OpenRequests {
  readonly #killed = new Map<number, () => void>();
  readonly #found = new Map<number, Finder>();
  readonly #cancelled = new Map<number, (refused: boolean) => void>();
  readonly #lists = new Map<number, Lister>();
  #nextId = 1;
  #count = 0;

  /** Whether an answer is to come. */
  get areOpen(): boolean {
    return this.#count > 0;
  }

  kill(ask: Ask): Promise<void> {
    return new Promise((resolve) => {
      const requestId = this.#open();
      this.#killed.set(requestId, resolve);
      ask(requestId);
    });
  }

  onKilled(requestId: number): void {
    this.#answer(this.#killed, requestId)?.();
  }

  /** True if it was refused. */
  cancel(ask: Ask): Promise<boolean> {
    return new Promise((resolve) => {
      const requestId = this.#open();
      this.#cancelled.set(requestId, resolve);
      ask(requestId);
    });
  }

  onCancelled(requestId: number, refused: boolean): void {
    this.#answer(this.#cancelled, requestId)?.(refused);
  }

  find(ask: Ask): Promise<FoundActor> {
    return new Promise((resolve, reject) => {
      const requestId = this.#open();
      this.#found.set(requestId, { resolve, reject });
      ask(requestId);
    });
  }

  onFound(requestId: number, found: FoundActor): void {
    this.#answer(this.#found, requestId)?.resolve(found);
  }

  list(ask: Ask): Promise<readonly StatePage[]> {
    return new Promise((resolve, reject) => {
      const requestId = this.#open();
      this.#lists.set(requestId, { pages: [], resolve, reject });
      ask(requestId);
    });
  }

  onListed(requestId: number, page: StatePage): void {
    this.#lists.get(requestId)?.pages.push(page);
    if (!page.isLast) return;
    const lister = this.#answer(this.#lists, requestId);
    lister?.resolve(lister.pages);
  }

  /** The runtime has ended: what was killed or cancelled is over, the others are told. */
  close(error: Error): void {
    for (const killed of this.#killed.values()) killed();
    for (const finder of this.#found.values()) finder.reject(error);
    for (const cancelled of this.#cancelled.values()) cancelled(false);
    for (const lister of this.#lists.values()) lister.reject(error);
    this.#killed.clear();
    this.#found.clear();
    this.#cancelled.clear();
    this.#lists.clear();
  }

  #open(): number {
    this.#count += 1;
    return this.#nextId++;
  }

  #answer<T>(waiting: Map<number, T>, requestId: number): T | undefined {
    const asker = waiting.get(requestId);
    if (waiting.delete(requestId)) this.#count -= 1;
    return asker;
  }
}
