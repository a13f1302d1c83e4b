/**
 * Frames between hosts that share one thread: local mode. Nothing is encoded, messages never change
 * after they were sent; a host never runs inside another's turn.
 *
 * State:  per endpoint a queue of control frames and one of task frames, in order of sending.
 * Bounds: those of the senders' credits; there is no capacity to run out of.
 * Errors: a frame to an endpoint that is gone is dropped, as by a dead thread.
 */
import { Deque } from "#engine/common/deque.ts";
import type { Address } from "#engine/common/ids.ts";
import type { Message } from "#engine/protocol/message.ts";
import type { PushTask } from "#engine/protocol/task.ts";
import type { MovedBuffers, Transport, TransportReceiver } from "#engine/protocol/transport.ts";

interface TaskFrame {
  readonly position: number;
  readonly to: Address;
  readonly message: PushTask;
}

interface ControlFrame {
  readonly to: Address;
  readonly message: Message | null;
  readonly moved: MovedBuffers | null;
}

/** Calls back in a later turn of the event loop. */
export type Soon = (callback: () => void) => void;

export class InProcessNetwork {
  readonly #soon: Soon;
  readonly #endpoints = new Map<Address, InProcessTransport>();
  /** What they had not taken can still be retracted. */
  readonly #ended = new Map<Address, InProcessTransport>();
  readonly #due = new Set<InProcessTransport>();
  #turnIsDue = false;

  constructor(soon: Soon) {
    this.#soon = soon;
  }

  /** An endpoint that answers for these addresses. */
  join(addresses: readonly Address[], receiver: TransportReceiver): InProcessTransport {
    const transport = new InProcessTransport(this, receiver);
    for (const address of addresses) this.#endpoints.set(address, transport);
    return transport;
  }

  /** The endpoint's process has ended: what is under way to it is lost. */
  leave(transport: InProcessTransport): void {
    for (const [address, known] of this.#endpoints) {
      if (known !== transport) continue;
      this.#endpoints.delete(address);
      if (transport.hasTask) this.#ended.set(address, transport);
    }
    this.#due.delete(transport);
    transport.close();
  }

  endpoint(address: Address): InProcessTransport | undefined {
    return this.#endpoints.get(address);
  }

  /** From one that lives, or was started and has ended. True when it never will be taken. */
  retract(to: Address, framePosition: number): boolean {
    const known = this.#endpoints.get(to);
    if (known !== undefined) return known.withdraw(framePosition);
    // What never reached a dead endpoint was never started.
    if (framePosition === -1) return true;
    const ended = this.#ended.get(to);
    const isRetracted = ended?.withdraw(framePosition) ?? false;
    if (ended?.hasTask === false) this.#ended.delete(to);
    return isRetracted;
  }

  /** The endpoint has something to take. */
  schedule(transport: InProcessTransport): void {
    this.#due.add(transport);
    if (this.#turnIsDue) return;
    this.#turnIsDue = true;
    this.#soon(() => this.#turn());
  }

  #turn(): void {
    this.#turnIsDue = false;
    const due = [...this.#due];
    this.#due.clear();
    for (const transport of due) transport.wake();
  }
}

export class InProcessTransport implements Transport {
  readonly #network: InProcessNetwork;
  readonly #receiver: TransportReceiver;
  readonly #control = new Deque<ControlFrame>();
  readonly #tasks = new Deque<TaskFrame>();
  #nextPosition = 0;
  #closed = false;

  constructor(network: InProcessNetwork, receiver: TransportReceiver) {
    this.#network = network;
    this.#receiver = receiver;
  }

  send(to: Address, message: Message): void {
    this.#network.endpoint(to)?.accept(to, message);
  }

  sendTask(to: Address, message: PushTask): number {
    return this.#network.endpoint(to)?.acceptTask(to, message) ?? -1;
  }

  retract(to: Address, framePosition: number): boolean {
    return this.#network.retract(to, framePosition);
  }

  isCongested(): boolean {
    return false;
  }

  /** Out of the sender's hands also where there is but one heap. */
  moveBuffers(to: Address, moved: MovedBuffers): void {
    const buffers = structuredClone(moved.buffers, { transfer: [...moved.buffers] });
    this.#network.endpoint(to)?.acceptBuffers(to, { ...moved, buffers });
  }

  poll(frameBudget: number): boolean {
    let taken = 0;
    // A handler may end the process.
    for (; taken < frameBudget && !this.#closed; taken++) {
      const frame = this.#control.shift();
      if (frame === undefined) break;
      if (frame.message !== null) this.#receiver.onMessage(frame.to, frame.message);
      if (frame.moved !== null) this.#receiver.onBuffersMoved(frame.to, frame.moved);
    }
    if (this.#control.size > 0 && !this.#closed) this.#network.schedule(this);
    return taken > 0;
  }

  pollTask(): boolean {
    // What an ended process has not taken can still be retracted.
    const frame = this.#closed ? undefined : this.#tasks.shift();
    if (frame === undefined) return false;
    this.#receiver.onMessage(frame.to, frame.message);
    return true;
  }

  /** Something waits that may be taken now. */
  get hasTask(): boolean {
    return this.#tasks.size > 0;
  }

  // ------------------------------------------------------------ from other endpoints and the
  // network

  accept(to: Address, message: Message): void {
    if (this.#closed) return;
    this.#control.push({ to, message, moved: null });
    this.#network.schedule(this);
  }

  acceptBuffers(to: Address, moved: MovedBuffers): void {
    if (this.#closed) return;
    this.#control.push({ to, message: null, moved });
    this.#network.schedule(this);
  }

  acceptTask(to: Address, message: PushTask): number {
    const position = this.#nextPosition;
    this.#nextPosition += 1;
    this.#tasks.push({ position, to, message });
    this.#network.schedule(this);
    return position;
  }

  withdraw(framePosition: number): boolean {
    const before = this.#tasks.size;
    this.#tasks.retain((frame) => frame.position !== framePosition);
    return this.#tasks.size < before;
  }

  wake(): void {
    if (!this.#closed) this.#receiver.onWork();
  }

  close(): void {
    this.#closed = true;
  }
}
