/**
 * Keeps the process from ending while something will still settle. Threads, ports and timers of the
 * engine are all unref'd; this one handle speaks for them.
 */
const longMs = 2 ** 30;

export class KeepAlive {
  #timer: NodeJS.Timeout | null = null;
  /** Something has settled since the process was last about to end. */
  #hasWorked = false;
  readonly #beforeExit: () => void;

  /** `finish` is called when the process is about to end by itself, once for all that was done. */
  constructor(finish?: () => Promise<void>) {
    const beforeExit = (): void => {
      if (this.#hasWorked) void finish?.();
      this.#hasWorked = false;
    };
    this.#beforeExit = beforeExit;
    process.on("beforeExit", beforeExit);
  }

  set(needed: boolean): void {
    if (needed) {
      this.#hasWorked = true;
      this.#timer ??= setInterval(() => {}, longMs);
      this.#timer.ref();
    } else {
      this.#timer?.unref();
    }
  }

  close(): void {
    process.off("beforeExit", this.#beforeExit);
    this.set(false);
  }
}
