/**
 * The frames in flight to one executor on one stream, by seq.
 *
 * State:  a circular table seq → task and frame position; slots before `oldestSeq` are empty. Tasks
 *         that outlast most of those after them (an actor's call that waits for ever) move aside.
 * Bounds: room for as many as are in flight at once, however long one of them takes.
 */
import { assert } from "#engine/common/assert.ts";
import type { WorkerId } from "#engine/common/ids.ts";
import type { TaskRecord } from "./object-entry.ts";

interface InFlight {
  readonly task: TaskRecord;
  readonly framePosition: number;
}

export class PushStream {
  readonly stream: number;
  readonly workerId: WorkerId;
  inFlightCount = 0;
  #tasks: (TaskRecord | null)[] = new Array<TaskRecord | null>(16).fill(null);
  #positions: number[] = new Array<number>(16).fill(0);
  #oldestSeq = 0;
  #nextSeq = 0;
  /** By seq, all below `oldestSeq`, rising; null until the first. */
  #stragglers: Map<number, InFlight> | null = null;

  constructor(stream: number, workerId: WorkerId) {
    this.stream = stream;
    this.workerId = workerId;
  }

  get nextSeq(): number {
    return this.#nextSeq;
  }

  add(task: TaskRecord, framePosition: number): void {
    if (this.#nextSeq - this.#oldestSeq === this.#tasks.length) this.#makeRoom();
    const slot = this.#nextSeq & (this.#tasks.length - 1);
    this.#tasks[slot] = task;
    this.#positions[slot] = framePosition;
    task.stream = this;
    task.seq = this.#nextSeq;
    this.#nextSeq += 1;
    this.inFlightCount += 1;
  }

  /** The task of this seq, taken out; undefined for one that is unknown or over (a repeat). */
  remove(seq: number): TaskRecord | undefined {
    if (seq >= this.#nextSeq) return undefined;
    if (seq < this.#oldestSeq) return this.#removeStraggler(seq);
    const slot = seq & (this.#tasks.length - 1);
    const task = this.#tasks[slot];
    if (task === null || task === undefined) return undefined;
    this.#tasks[slot] = null;
    task.stream = null;
    this.inFlightCount -= 1;
    this.#skipEmpty();
    return task;
  }

  /** The task of this seq, left where it is. */
  find(seq: number): TaskRecord | undefined {
    if (seq < this.#oldestSeq) return this.#stragglers?.get(seq)?.task;
    if (seq >= this.#nextSeq) return undefined;
    return this.#tasks[seq & (this.#tasks.length - 1)] ?? undefined;
  }

  /** Frame position of a task in flight. */
  positionOf(seq: number): number {
    if (seq < this.#oldestSeq) return this.#stragglers?.get(seq)?.framePosition ?? -1;
    return this.#positions[seq & (this.#tasks.length - 1)] ?? -1;
  }

  /**
   * Frame position of the newest task, for a take-back from the tail; -1 when nothing is in flight.
   */
  newestPosition(): number {
    const seq = this.#newestSeq();
    return seq === -1 ? -1 : this.positionOf(seq);
  }

  /** Takes out the newest task, whose frame was retracted. */
  removeNewest(): TaskRecord {
    const task = this.removeRetracted(this.#newestSeq());
    assert(task !== undefined, "the newest frame of a stream is in flight");
    return task;
  }

  /** Takes out a task whose frame was retracted. The last seq is free again: nobody saw it. */
  removeRetracted(seq: number): TaskRecord | undefined {
    const task = this.remove(seq);
    if (task === undefined || seq !== this.#nextSeq - 1) return task;
    this.#nextSeq -= 1;
    if (this.#oldestSeq > this.#nextSeq) this.#oldestSeq = this.#nextSeq;
    return task;
  }

  /** Oldest first. */
  *inFlight(): IterableIterator<InFlight> {
    if (this.#stragglers !== null) yield* this.#stragglers.values();
    for (let seq = this.#oldestSeq; seq < this.#nextSeq; seq++) {
      const slot = seq & (this.#tasks.length - 1);
      const task = this.#tasks[slot];
      if (task) yield { task, framePosition: this.#positions[slot] ?? -1 };
    }
  }

  /** Those behind it were taken back or retracted, out of their order. -1: nothing is in flight. */
  #newestSeq(): number {
    for (let seq = this.#nextSeq - 1; seq >= this.#oldestSeq; seq--) {
      if (this.#tasks[seq & (this.#tasks.length - 1)] !== null) return seq;
    }
    let newest = -1;
    for (const seq of this.#stragglers?.keys() ?? []) newest = seq;
    return newest;
  }

  #removeStraggler(seq: number): TaskRecord | undefined {
    const straggler = this.#stragglers?.get(seq);
    if (straggler === undefined) return undefined;
    this.#stragglers?.delete(seq);
    const { task } = straggler;
    task.stream = null;
    this.inFlightCount -= 1;
    return task;
  }

  #skipEmpty(): void {
    const mask = this.#tasks.length - 1;
    while (this.#oldestSeq < this.#nextSeq && this.#tasks[this.#oldestSeq & mask] === null) {
      this.#oldestSeq += 1;
    }
  }

  /** A table that is mostly holes is not for growing: its oldest task moves aside. */
  #makeRoom(): void {
    const aside = this.#stragglers?.size ?? 0;
    if ((this.inFlightCount - aside) * 2 > this.#tasks.length) {
      this.#grow();
      return;
    }
    const slot = this.#oldestSeq & (this.#tasks.length - 1);
    const task = this.#tasks[slot];
    assert(task !== null && task !== undefined, "the oldest slot of a stream is in use");
    this.#stragglers ??= new Map();
    this.#stragglers.set(this.#oldestSeq, { task, framePosition: this.#positions[slot] ?? -1 });
    this.#tasks[slot] = null;
    this.#skipEmpty();
  }

  #grow(): void {
    const size = this.#tasks.length * 2;
    const tasks = new Array<TaskRecord | null>(size).fill(null);
    const positions = new Array<number>(size).fill(0);
    for (let seq = this.#oldestSeq; seq < this.#nextSeq; seq++) {
      const from = seq & (this.#tasks.length - 1);
      tasks[seq & (size - 1)] = this.#tasks[from] ?? null;
      positions[seq & (size - 1)] = this.#positions[from] ?? 0;
    }
    this.#tasks = tasks;
    this.#positions = positions;
  }
}
