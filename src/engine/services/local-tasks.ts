/**
 * Task frames from this thread to itself: what the transport is for others, with the same
 * take-back.
 */
import { Deque } from "#engine/common/deque.ts";
import type { Address } from "#engine/common/ids.ts";
import type { PushTask } from "#engine/protocol/task.ts";

interface LocalFrame {
  readonly position: number;
  readonly to: Address;
  readonly message: PushTask;
}

export class LocalTasks {
  readonly #frames = new Deque<LocalFrame>();
  #nextPosition = 0;

  get size(): number {
    return this.#frames.size;
  }

  /** The position names the frame for `retract`. */
  add(to: Address, message: PushTask): number {
    const position = this.#nextPosition;
    this.#nextPosition += 1;
    this.#frames.push({ position, to, message });
    return position;
  }

  take(): LocalFrame | undefined {
    return this.#frames.shift();
  }

  /** True when the frame had not been taken, and now never will be. */
  retract(position: number): boolean {
    const before = this.#frames.size;
    this.#frames.retain((frame) => frame.position !== position);
    return this.#frames.size < before;
  }
}
