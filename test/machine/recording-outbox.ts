/** An outbox that keeps what a machine asked for, in order. */
import type { Address } from "#engine/common/ids.ts";
import type { Outbox } from "#engine/protocol/machine.ts";
import type { Message, MessageType } from "#engine/protocol/message.ts";
import type { PushTask } from "#engine/protocol/task.ts";

export interface Sent {
  readonly to: Address;
  readonly message: Message;
}

type MessageOf<T extends MessageType> = Extract<Message, { type: T }>;

export class RecordingOutbox<I> implements Outbox<I> {
  readonly sent: Sent[] = [];
  readonly instructions: I[] = [];
  readonly congested = new Set<Address>();
  /** Positions of task frames that their executor has started. */
  readonly startedFrames = new Set<number>();
  readonly retracted: number[] = [];
  #nextPosition = 1;

  send(to: Address, message: Message): void {
    this.sent.push({ to, message });
  }

  sendTask(to: Address, message: PushTask): number {
    this.sent.push({ to, message });
    return this.#nextPosition++;
  }

  retract(_to: Address, framePosition: number): boolean {
    if (this.startedFrames.has(framePosition)) return false;
    this.retracted.push(framePosition);
    return true;
  }

  /** No frame sent so far can be had back any more. */
  startAll(): void {
    for (let position = 1; position < this.#nextPosition; position++) {
      this.startedFrames.add(position);
    }
  }

  isCongested(to: Address): boolean {
    return this.congested.has(to);
  }

  instruct(instruction: I): void {
    this.instructions.push(instruction);
  }

  /** Messages of one type, in order; only those to `to`, if it is given. */
  all<T extends MessageType>(type: T, to?: Address): MessageOf<T>[] {
    return this.sent
      .filter((sent) => sent.message.type === type && (to === undefined || sent.to === to))
      .map((sent) => sent.message as MessageOf<T>);
  }

  /** The last message of a type; throws when there is none. */
  last<T extends MessageType>(type: T, to?: Address): MessageOf<T> {
    const found = this.all(type, to).at(-1);
    if (found !== undefined) return found;
    const seen = this.sent.map((sent) => sent.message.type).join(", ");
    throw new Error(`no ${type} was sent, but: ${seen || "nothing"}`);
  }

  clear(): void {
    this.sent.length = 0;
    this.instructions.length = 0;
    this.retracted.length = 0;
  }
}
