/**
 * The contract of every role: a synchronous, deterministic state machine. It is told events and
 * says what it wants done through the outbox; its host does that, in order, before the next event.
 * Machines know no clock, timer, thread or promise.
 */
import type { Address } from "#engine/common/ids.ts";
import type { Message } from "./message.ts";
import type { PushTask } from "./task.ts";

export interface Machine<E, I> {
  /** `nowMs` is monotonic and the same for a batch of events. */
  handle(event: E, nowMs: number, out: Outbox<I>): void;
  /** When `handle` wants to be called with a deadline event; Infinity for never. O(1). */
  nextDeadlineMs(): number;
  /** Throws AssertionError when the machine's own state is inconsistent. */
  checkInvariants(): void;
}

/**
 * What a machine may ask. Sends never fail and never wait: the host queues, links report their own
 * end.
 */
export interface Outbox<I> {
  send(to: Address, message: Message): void;
  /** Sends a task frame; the result names the frame for `retract`. */
  sendTask(to: Address, message: PushTask): number;
  /** Take-back: true when the executor had not started the frame and never will. */
  retract(to: Address, framePosition: number): boolean;
  /** True while frames to `to` wait for room: optional work should wait for `writable`. */
  isCongested(to: Address): boolean;
  instruct(instruction: I): void;
}

/** The time told by nextDeadlineMs has come. */
export interface Deadline {
  readonly type: "deadline";
}

/** A link that was congested has room again. */
export interface Writable {
  readonly type: "writable";
  readonly peer: Address;
}

export const deadline: Deadline = { type: "deadline" };
