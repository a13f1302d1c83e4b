/**
 * Tasks that wait their turn, oldest first. One in the middle is taken out in O(1): it stays where
 * it is, marked as cancelled, is skipped when its turn comes, and swept when those are most of it.
 */
import { assert } from "#engine/common/assert.ts";
import { Deque } from "#engine/common/deque.ts";
import { queuedSeq, type TaskRecord } from "./object-entry.ts";

const sweepFrom = 64;

export class TaskQueue {
  readonly #tasks = new Deque<TaskRecord>();
  #removedCount = 0;

  /** Of those that wait. */
  get size(): number {
    return this.#tasks.size - this.#removedCount;
  }

  push(task: TaskRecord): void {
    task.seq = queuedSeq;
    this.#tasks.push(task);
  }

  unshift(task: TaskRecord): void {
    task.seq = queuedSeq;
    this.#tasks.unshift(task);
  }

  peek(): TaskRecord | undefined {
    if (this.#removedCount > 0) this.#skipRemoved();
    return this.#tasks.peek();
  }

  shift(): TaskRecord | undefined {
    if (this.#removedCount > 0) this.#skipRemoved();
    const task = this.#tasks.shift();
    if (task !== undefined) task.seq = 0;
    return task;
  }

  /** Empties it, oldest first. */
  takeAll(): TaskRecord[] {
    const tasks = [...this];
    for (const task of tasks) task.seq = 0;
    this.#tasks.retain(() => false);
    this.#removedCount = 0;
    return tasks;
  }

  /** The task is in it, and was marked as cancelled just now. */
  onCancelled(task: TaskRecord): void {
    assert(task.isCancelled && task.isQueued, "a cancelled task leaves the middle of a queue");
    task.seq = 0;
    this.#removedCount += 1;
    if (this.#removedCount < sweepFrom || this.#removedCount * 2 < this.#tasks.size) return;
    this.#tasks.retain((other) => !other.isCancelled);
    this.#removedCount = 0;
  }

  /** Oldest first, for those who list what there is. */
  *[Symbol.iterator](): IterableIterator<TaskRecord> {
    for (const task of this.#tasks) if (!task.isCancelled) yield task;
  }

  checkInvariants(): void {
    assert(this.#removedCount >= 0 && this.size >= 0, "cancelled tasks of a queue are counted");
  }

  #skipRemoved(): void {
    while (this.#tasks.peek()?.isCancelled === true) {
      this.#tasks.shift();
      this.#removedCount -= 1;
    }
  }
}
