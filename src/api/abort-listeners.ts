/**
 * Who waits until a signal aborts. One listener a signal, however many wait: Node warns of more
 * than ten, and no program can know how many of its calls wait at once. It is there while anybody
 * waits.
 */

class Waiting {
  readonly #signal: AbortSignal;
  readonly #callbacks = new Set<() => void>();

  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  add(callback: () => void): void {
    if (this.#callbacks.size === 0) this.#signal.addEventListener("abort", this.#onAbort);
    this.#callbacks.add(callback);
  }

  remove(callback: () => void): void {
    if (!this.#callbacks.delete(callback) || this.#callbacks.size > 0) return;
    this.#signal.removeEventListener("abort", this.#onAbort);
  }

  readonly #onAbort = (): void => {
    // Each may end others, which are not called then.
    for (const callback of this.#callbacks) {
      this.remove(callback);
      callback();
    }
  };
}

const bySignal = new WeakMap<AbortSignal, Waiting>();

/** Calls back once, unless what is returned was called before. The signal is not aborted yet. */
export function whenAborted(signal: AbortSignal, callback: () => void): () => void {
  let waiting = bySignal.get(signal);
  if (waiting === undefined) {
    waiting = new Waiting(signal);
    bySignal.set(signal, waiting);
  }
  const those = waiting;
  those.add(callback);
  return () => those.remove(callback);
}
