/** The unfinished calls of one running task, for the time that it runs: its cancel reaches them. */
import type { TaskRecord } from "./object-entry.ts";

const sweepFrom = 16;

export class ChildTasks {
  #tasks: TaskRecord[] = [];
  #sweepAt = sweepFrom;

  add(task: TaskRecord): void {
    if (this.#tasks.length >= this.#sweepAt) {
      this.#tasks = this.unfinished();
      this.#sweepAt = Math.max(sweepFrom, 2 * this.#tasks.length);
    }
    this.#tasks.push(task);
  }

  /** Oldest first. One that was cancelled may still run, and children of its own with it. */
  unfinished(): TaskRecord[] {
    return this.#tasks.filter((task) => task.state === "PENDING" || task.stream !== null);
  }
}
