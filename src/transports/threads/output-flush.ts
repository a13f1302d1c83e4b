/**
 * Brings home what workers have printed: the output of a thread goes through the event loop of its
 * parent, a piece at a time, so the end of either would lose the rest.
 */
import type { MessagePort } from "node:worker_threads";

/** A thread that does not answer is inside of a long computation; so long is waited for it. */
const patienceMs = 200;

export class OutputFlush {
  readonly #waiting = new Map<MessagePort, () => void>();

  /** Ends when all have answered or ended, or patience has. Keeps the process alive meanwhile. */
  async ask(ports: Iterable<MessagePort>): Promise<void> {
    const answers: Promise<void>[] = [];
    for (const port of ports) {
      if (this.#waiting.has(port)) continue;
      answers.push(new Promise((resolve) => void this.#waiting.set(port, resolve)));
      port.postMessage({ type: "flushOutput" });
    }
    if (answers.length === 0) return;
    let timer: NodeJS.Timeout | undefined;
    const patience = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, patienceMs);
    });
    await Promise.race([Promise.all(answers), patience]);
    clearTimeout(timer);
    this.#waiting.clear();
  }

  /** It has answered, or there is no one left to answer. */
  onFlushed(port: MessagePort): void {
    this.#waiting.get(port)?.();
    this.#waiting.delete(port);
  }
}

/** In the worker: when all that it has printed so far is with its parent. */
export async function outputFlushed(): Promise<void> {
  const flushed = (stream: NodeJS.WriteStream): Promise<void> =>
    new Promise((resolve) => void stream.write("", () => resolve()));
  await Promise.all([flushed(process.stdout), flushed(process.stderr)]);
}
