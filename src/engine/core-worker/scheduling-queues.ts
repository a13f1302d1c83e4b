/** The queues of one owner, by scheduling key: found by a task's template as a rule. */
import type { TaskRecord } from "./object-entry.ts";
import { SchedulingQueue } from "./scheduling-queue.ts";

export class SchedulingQueues {
  readonly #byKey = new Map<string, SchedulingQueue>();
  /** Templates seen before, so that a call does not build its key anew. By nesting depth. */
  readonly #ofTemplate: WeakMap<object, SchedulingQueue>[] = [];

  get size(): number {
    return this.#byKey.size;
  }

  values(): IterableIterator<SchedulingQueue> {
    return this.#byKey.values();
  }

  find(task: TaskRecord): SchedulingQueue | undefined {
    return this.#byKey.get(keyOf(task));
  }

  /** Made if need be. */
  of(task: TaskRecord): SchedulingQueue {
    const { depth, template } = task;
    let byTemplate = this.#ofTemplate[depth];
    if (byTemplate === undefined) {
      byTemplate = new WeakMap();
      this.#ofTemplate[depth] = byTemplate;
    }
    const cached = byTemplate.get(template);
    if (cached !== undefined && !cached.isDropped) return cached;
    const key = keyOf(task);
    let queue = this.#byKey.get(key);
    if (queue === undefined) {
      queue = new SchedulingQueue(key, template, depth);
      this.#byKey.set(key, queue);
    }
    byTemplate.set(template, queue);
    return queue;
  }

  delete(queue: SchedulingQueue): void {
    queue.isDropped = true;
    this.#byKey.delete(queue.key);
  }
}

function keyOf({ template, depth }: TaskRecord): string {
  return `${template.schedulingKey}@${depth}`;
}
