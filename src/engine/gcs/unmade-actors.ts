/**
 * Registrations that made no actor: getIfExists found another, or the name was taken. Their handles
 * may have been sent on before the answer, so whoever subscribes to one is told what its maker was.
 *
 * State:  requested id → the answer, final: where another was found, the maker has a handle to it.
 * Bounds: `unmadeMax`, the oldest of which is then forgotten. One goes when its maker says that
 *         nobody has a handle to it; that a maker dies ends none: who has such a handle may go on.
 * Errors: one that was forgotten is gone like an actor that died long ago.
 */
import { assert } from "#engine/common/assert.ts";
import type { ActorId } from "#engine/common/ids.ts";
import type { ActorRegistered } from "#engine/protocol/gcs.ts";

const unmadeMax = 10_000;

export class UnmadeActors {
  /** Oldest first. */
  readonly #answers = new Map<ActorId, ActorRegistered>();

  find(requested: ActorId): ActorRegistered | undefined {
    return this.#answers.get(requested);
  }

  add(answer: ActorRegistered): void {
    this.#answers.set(answer.requested, answer);
    if (this.#answers.size <= unmadeMax) return;
    for (const oldest of this.#answers.keys()) {
      this.#answers.delete(oldest);
      break;
    }
  }

  forget(requested: ActorId): void {
    this.#answers.delete(requested);
  }

  checkInvariants(): void {
    assert(this.#answers.size <= unmadeMax, "too many registrations without an actor");
    for (const [requested, answer] of this.#answers) {
      assert(requested === answer.requested, "an answer under another's id");
      const isUnmade = answer.error !== null || answer.actorId !== requested;
      assert(isUnmade, "an actor that was made has a row");
    }
  }
}
