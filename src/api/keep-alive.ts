/**
 * Keeps the process from ending while something will still settle. Threads, ports and timers of the
 * engine are all unref'd; this one handle speaks for them.
 */
const longMs = 2 ** 30;

export class KeepAlive {
  #timer: NodeJS.Timeout | null = null;

  set(needed: boolean): void {
    if (needed) {
      this.#timer ??= setInterval(() => {}, longMs);
      this.#timer.ref();
    } else {
      this.#timer?.unref();
    }
  }
}
