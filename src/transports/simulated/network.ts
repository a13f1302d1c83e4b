/**
 * Frames between simulated processes: encoded as on a real wire, delayed by the world, in order on
 * each link, lost with the process they go to.
 *
 * State:  per directed link the time of its last delivery; per endpoint what has arrived and waits.
 * Bounds: those of the senders' credits.
 * Errors: none; a frame to a process that has ended is dropped, as by a dead thread.
 */
import { Deque } from "#engine/common/deque.ts";
import type { Address } from "#engine/common/ids.ts";
import {
  decodeMessage,
  encodeMessage,
  frameBytesMax,
  FrameWriter,
} from "#engine/protocol/codec/codec.ts";
import type { Message } from "#engine/protocol/message.ts";
import type { PushTask } from "#engine/protocol/task.ts";
import type { Transport, TransportReceiver } from "#engine/protocol/transport.ts";

/** A frame under way. */
export interface Flight {
  readonly from: Endpoint;
  readonly to: Endpoint;
  readonly text: string;
  /** The step of the world that sent it. */
  readonly causeId: number;
}

/** What the network asks of the world it is in. */
export interface NetworkWorld {
  /** Virtual time a frame is under way; the world draws it, and faults lengthen it. */
  delayMs(from: Endpoint, to: Endpoint): number;
  /** Calls back once at a virtual time, or as soon as it is past. */
  deliverAt(atMs: number, flight: Flight, deliver: () => void): void;
  nowMs(): number;
  /** The step that is happening. */
  readonly stepId: number;
}

/** In order: only the first frame of a link has a time of its own, the others come behind it. */
interface DirectedLink {
  readonly frames: Deque<{ readonly atMs: number; readonly flight: Flight; deliver(): void }>;
}

interface TaskFrame {
  readonly position: number;
  readonly bytes: Uint8Array;
  readonly from: Address;
  readonly to: Address;
  state: "underWay" | "waiting" | "retracted" | "taken";
}

export class Network {
  readonly #world: NetworkWorld;
  readonly #endpoints = new Map<Address, Endpoint>();
  /** Rings outlive the thread that read them: what it had not taken can still be told. */
  readonly #ended = new Map<Address, Endpoint>();
  readonly #links = new Map<string, DirectedLink>();

  constructor(world: NetworkWorld) {
    this.#world = world;
  }

  join(name: string, addresses: readonly Address[], receiver: TransportReceiver): Endpoint {
    const endpoint = new Endpoint(this, name, receiver);
    for (const address of addresses) this.#endpoints.set(address, endpoint);
    return endpoint;
  }

  leave(endpoint: Endpoint): void {
    endpoint.close();
    for (const [address, known] of this.#endpoints) {
      if (known !== endpoint) continue;
      this.#endpoints.delete(address);
      this.#ended.set(address, endpoint);
    }
  }

  /** The endpoint that answers for an address now, or did until its process ended. */
  lastOf(address: Address): Endpoint | undefined {
    return this.#endpoints.get(address) ?? this.#ended.get(address);
  }

  endpointOf(address: Address): Endpoint | undefined {
    return this.#endpoints.get(address);
  }

  /** In order of sending on each link. */
  convey(from: Endpoint, to: Endpoint, text: string, deliver: () => void): void {
    const name = `${from.name}>${to.name}`;
    let link = this.#links.get(name);
    if (link === undefined) {
      link = { frames: new Deque() };
      this.#links.set(name, link);
    }
    const atMs = this.#world.nowMs() + this.#world.delayMs(from, to);
    const flight = { from, to, text, causeId: this.#world.stepId };
    link.frames.push({ atMs, flight, deliver });
    if (link.frames.size === 1) this.#deliverFirst(link);
  }

  #deliverFirst(link: DirectedLink): void {
    const first = link.frames.peek();
    if (first === undefined) return;
    this.#world.deliverAt(first.atMs, first.flight, () => {
      link.frames.shift();
      // The next is under way before this one is handled: what it leads to comes behind.
      this.#deliverFirst(link);
      if (!first.flight.to.isClosed) first.deliver();
    });
  }
}

export class Endpoint implements Transport {
  readonly name: string;
  readonly #network: Network;
  readonly #receiver: TransportReceiver;
  readonly #control = new Deque<{ bytes: Uint8Array; from: Address; to: Address }>();
  readonly #tasks = new Deque<TaskFrame>();
  /** Every task frame sent to us that has not been taken, by position. */
  readonly #untaken = new Map<number, TaskFrame>();
  #nextPosition = 0;
  isClosed = false;

  constructor(network: Network, name: string, receiver: TransportReceiver) {
    this.#network = network;
    this.name = name;
    this.#receiver = receiver;
  }

  get hasTask(): boolean {
    return this.#tasks.size > 0;
  }

  close(): void {
    this.isClosed = true;
  }

  send(to: Address, message: Message): void {
    const target = this.#network.endpointOf(to);
    if (target === undefined || this.isClosed) return;
    const bytes = encode(message);
    this.#network.convey(this, target, message.type, () => {
      target.#control.push({ bytes, from: message.from, to });
      target.#receiver.onWork();
    });
  }

  sendTask(to: Address, message: PushTask): number {
    const target = this.#network.endpointOf(to);
    if (target === undefined || this.isClosed) return -1;
    const position = target.#nextPosition++;
    const bytes = encode(message);
    const frame: TaskFrame = { position, bytes, from: message.from, to, state: "underWay" };
    target.#untaken.set(position, frame);
    this.#network.convey(this, target, `pushTask ${message.stream}.${message.seq}`, () => {
      if (frame.state !== "underWay") return;
      frame.state = "waiting";
      target.#tasks.push(frame);
      target.#receiver.onWork();
    });
    return position;
  }

  retract(to: Address, framePosition: number): boolean {
    const target = this.#network.lastOf(to);
    if (target === undefined) return framePosition === -1;
    const frame = target.#untaken.get(framePosition);
    if (frame === undefined) return false;
    frame.state = "retracted";
    target.#untaken.delete(framePosition);
    return true;
  }

  isCongested(): boolean {
    return false;
  }

  poll(frameBudget: number): boolean {
    let taken = 0;
    for (; taken < frameBudget; taken++) {
      const frame = this.#control.shift();
      if (frame === undefined) break;
      this.#receiver.onMessage(frame.to, decode(frame.bytes, frame.from));
    }
    return taken > 0;
  }

  pollTask(): boolean {
    for (;;) {
      const frame = this.#tasks.shift();
      if (frame === undefined) return false;
      if (frame.state !== "waiting") continue;
      frame.state = "taken";
      this.#untaken.delete(frame.position);
      this.#receiver.onMessage(frame.to, decode(frame.bytes, frame.from));
      return true;
    }
  }
}

function encode(message: Message): Uint8Array {
  const writer = new FrameWriter(new Uint8Array(frameBytesMax(message)));
  encodeMessage(message, 0, writer);
  return writer.bytes.slice(0, writer.at);
}

function decode(bytes: Uint8Array, from: Address): Message {
  return decodeMessage(bytes, new DataView(bytes.buffer), 0, bytes.length, from);
}
