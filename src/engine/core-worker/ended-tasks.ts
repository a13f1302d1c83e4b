/**
 * The last tasks of this owner that have ended, and attempts that failed before: for those who ask
 * what has happened. Never needed by the engine itself.
 *
 * State:  a ring of rows, in columns: a task that ends costs a few stores, and keeps nothing alive
 *         but its definition.
 * Bounds: `endedTasksKept` rows; the oldest goes first.
 * Source: Ray task_event_buffer.
 */
import type { ActorId } from "#engine/common/ids.ts";
import type { TaskTemplate } from "#engine/common/task-spec.ts";
import { FailedValue, type Outcome } from "#engine/protocol/outcome.ts";
import { ActorClient } from "./actor-client.ts";
import type { TaskRecord } from "./object-entry.ts";

/** What is left of an attempt that is over. */
export interface EndedAttempt {
  readonly serial: number;
  readonly attempt: number;
  readonly template: TaskTemplate;
  readonly actorId: ActorId | null;
  /** Null: it has given its value. */
  readonly errorMessage: string | null;
}

export class EndedTasks {
  readonly #capacity: number;
  readonly #serials: number[] = [];
  readonly #attempts: number[] = [];
  readonly #templates: TaskTemplate[] = [];
  readonly #actorIds: (ActorId | null)[] = [];
  readonly #errorMessages: (string | null)[] = [];
  /** Where the next one is put. */
  #at = 0;

  constructor({ endedTasksKept }: { readonly endedTasksKept: number }) {
    this.#capacity = endedTasksKept;
  }

  onEnded(task: TaskRecord, outcome: Outcome): void {
    this.#add(task, outcome instanceof FailedValue ? outcome.error.message : null);
  }

  /** It runs again. */
  onAttemptFailed(task: TaskRecord, message: string): void {
    this.#add(task, message);
  }

  /** Newest first. */
  *newest(): IterableIterator<EndedAttempt> {
    const count = this.#serials.length;
    for (let i = 1; i <= count; i++) {
      const at = (this.#at - i + count) % count;
      yield {
        serial: this.#serials[at] as number,
        attempt: this.#attempts[at] as number,
        template: this.#templates[at] as TaskTemplate,
        actorId: this.#actorIds[at] as ActorId | null,
        errorMessage: this.#errorMessages[at] as string | null,
      };
    }
  }

  #add(task: TaskRecord, message: string | null): void {
    const { serial, attempt, template, actor } = task;
    const client = actor instanceof ActorClient ? actor : null;
    // The making of an actor is told by the row of the actor.
    if (this.#capacity === 0 || client?.creation?.task === task) return;
    const at = this.#at;
    this.#serials[at] = serial;
    this.#attempts[at] = attempt;
    this.#templates[at] = template;
    this.#actorIds[at] = client?.actorId ?? null;
    this.#errorMessages[at] = message;
    this.#at = at + 1 === this.#capacity ? 0 : at + 1;
  }
}
