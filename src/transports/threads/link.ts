/** One peer thread: rings to and from it, its bell, and the addresses that live there. */
import type { Address } from "#engine/common/ids.ts";
import { decodeMessage, endpointsOf } from "#engine/protocol/codec/codec.ts";
import type { Message } from "#engine/protocol/message.ts";
import type { PushTask } from "#engine/protocol/task.ts";
import type { MovedBuffers, TransportReceiver } from "#engine/protocol/transport.ts";
import { FrameQueue } from "./frame-queue.ts";
import type { LinkEnds } from "./link-memory.ts";
import type { Bell } from "./parking.ts";
import type { RingReader } from "./ring-reader.ts";

/** By slot, at most 16 a side. */
export type Slots = readonly Address[];

export class Link {
  readonly peer: Address;
  readonly #localSlots: Slots;
  readonly #remoteSlots: Slots;
  readonly #control = new FrameQueue(false);
  readonly #tasks = new FrameQueue(true);
  #ends: LinkEnds | null = null;
  #bell: Bell | null = null;
  /** The peer's thread has ended: what it wrote is still read, what is written is dropped. */
  #dead = false;
  /** Somebody was told that frames wait, and is told when none do. */
  #owesWritable = false;

  constructor(peer: Address, localSlots: Slots, remoteSlots: Slots) {
    this.peer = peer;
    this.#localSlots = localSlots;
    this.#remoteSlots = remoteSlots;
  }

  get isOpen(): boolean {
    return this.#ends !== null;
  }

  /** Whoever hears that frames wait is told once when they do not any more. */
  isCongested(): boolean {
    const isCongested = !this.#dead && this.#isFull();
    if (isCongested) this.#owesWritable = true;
    return isCongested;
  }

  /** The next `flush` tells it. */
  get isWritableDue(): boolean {
    return this.#owesWritable && !this.#isFull();
  }

  open(ends: LinkEnds, bell: Bell): void {
    this.#ends = ends;
    this.#bell = bell;
    const tell = (): void => bell.ring();
    ends.controlIn.onRoom = tell;
    ends.tasksIn.onRoom = tell;
    this.#control.open(ends.controlOut);
    this.#tasks.open(ends.tasksOut);
  }

  markDead(): void {
    this.#dead = true;
  }

  send(to: Address, message: Message): void {
    if (this.#dead) return;
    this.#control.send(message, this.#endpoints(to, message.from));
    this.#bell?.ring();
  }

  sendTask(to: Address, message: PushTask): number {
    const position = this.#tasks.send(message, this.#endpoints(to, message.from));
    if (!this.#dead) this.#bell?.ring();
    return position;
  }

  /** For whoever has asked for them, so that the link is open. */
  moveBuffers(to: Address, moved: MovedBuffers): void {
    if (!this.#dead) this.#bell?.moveBuffers(to, moved);
  }

  retract(framePosition: number): boolean {
    return this.#tasks.retract(framePosition);
  }

  /** Room counts too: told between the last flush and parking, nobody would tell of it again. */
  hasControlData(): boolean {
    return (this.#ends?.controlIn.hasData() ?? false) || this.#hasRoomToUse();
  }

  hasTask(): boolean {
    return !this.#dead && (this.#ends?.tasksIn.hasData() ?? false);
  }

  /**
   * Frames that waited for room go out, as far as there is some. True if any did, or somebody was
   * told that none wait: others than this may have seen to that.
   */
  flush(receiver: TransportReceiver): boolean {
    if (this.#dead) return false;
    const control = this.#control.flush();
    const tasks = this.#tasks.flush();
    if (control || tasks) this.#bell?.ring();
    const { isWritableDue } = this;
    if (isWritableDue) {
      this.#owesWritable = false;
      receiver.onWritable(this.peer);
    }
    return control || tasks || isWritableDue;
  }

  poll(receiver: TransportReceiver, frameBudget: number): boolean {
    const reader = this.#ends?.controlIn;
    if (reader === undefined) return false;
    let taken = 0;
    while (taken < frameBudget && reader.peek()) {
      this.#deliver(reader, receiver);
      taken += 1;
    }
    return taken > 0;
  }

  pollTask(receiver: TransportReceiver): boolean {
    const reader = this.#ends?.tasksIn;
    if (reader === undefined || this.#dead) return false;
    while (reader.peek()) {
      if (!reader.take()) continue;
      this.#deliver(reader, receiver);
      return true;
    }
    return false;
  }

  #hasRoomToUse(): boolean {
    return !this.#dead && (this.#control.hasRoomToUse || this.#tasks.hasRoomToUse);
  }

  #isFull(): boolean {
    return this.#control.isCongested || this.#tasks.isCongested;
  }

  /** The frame's bytes are lent to the handler, then the ring has them back. */
  #deliver(reader: RingReader, receiver: TransportReceiver): void {
    const { source, sourceView, start, byteLength } = reader;
    const endpoints = endpointsOf(source, start);
    const from = this.#remoteSlots[endpoints >> 4] ?? this.peer;
    const to = this.#localSlots[endpoints & 15] ?? this.peer;
    const message = decodeMessage(source, sourceView, start, byteLength, from);
    try {
      receiver.onMessage(to, message);
    } finally {
      reader.release();
    }
  }

  #endpoints(to: Address, from: Address): number {
    const toSlot = Math.max(0, this.#remoteSlots.indexOf(to));
    const fromSlot = Math.max(0, this.#localSlots.indexOf(from));
    return (fromSlot << 4) | toSlot;
  }
}
