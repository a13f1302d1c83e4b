/**
 * Directed links between the processes of an engine world: per link a queue of control frames and
 * one of task frames, in order of sending; who comes next is for the world to say. Every message is
 * encoded when it is sent and decoded when it is delivered, into memory that is overwritten after.
 */
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

export class Link {
  readonly from: Address;
  readonly to: Address;
  readonly control: Uint8Array[] = [];
  readonly tasks: { readonly position: number; readonly frame: Uint8Array }[] = [];
  /** The sender was told to wait, and must be told when it need not any more. */
  wasCongested = false;
  #nextPosition = 0;

  constructor(from: Address, to: Address) {
    this.from = from;
    this.to = to;
  }

  addTask(message: PushTask): number {
    const position = this.#nextPosition;
    this.#nextPosition += 1;
    this.tasks.push({ position, frame: encode(message) });
    return position;
  }

  retract(position: number): boolean {
    const at = this.tasks.findIndex((task) => task.position === position);
    if (at >= 0) this.tasks.splice(at, 1);
    return at >= 0;
  }
}

export class Links {
  /** Task frames on a link from which on its sender is told to wait. */
  readonly congestedAt: number;
  /** Task frames that were retracted. */
  takenBackCount = 0;
  readonly #links = new Map<string, Link>();
  /** Pairs that told each other good-bye: whoever sends now would leak a link. */
  readonly #forgotten = new Set<string>();

  readonly #onSent: (to: Address, message: Message) => void;

  constructor(congestedAt: number, onSent: (to: Address, message: Message) => void) {
    this.congestedAt = congestedAt;
    this.#onSent = onSent;
  }

  get all(): IterableIterator<Link> {
    return this.#links.values();
  }

  link(from: Address, to: Address): Link {
    const key = `${from}>${to}`;
    if (this.#forgotten.has(key)) throw new Error(`${from} sends to ${to}, which it knows is dead`);
    let link = this.#links.get(key);
    if (link === undefined) {
      link = new Link(from, to);
      this.#links.set(key, link);
    }
    return link;
  }

  known(from: Address, to: Address): Link | undefined {
    return this.#links.get(`${from}>${to}`);
  }

  /** What `peer` sent that has not arrived is lost for `process`, or comes late. */
  forget(process: Address, peer: Address, comesLate: boolean): void {
    this.#links.delete(`${process}>${peer}`);
    if (!comesLate) this.#links.delete(`${peer}>${process}`);
    this.#forgotten.add(`${process}>${peer}`);
  }

  /** The end of one process: its sender's side of the transport. */
  transportOf(self: Address): Transport {
    return {
      send: (to, message) => {
        this.link(self, to).control.push(encode(message));
        this.#onSent(to, message);
      },
      sendTask: (to, message) => this.link(self, to).addTask(message),
      retract: (to, position) => {
        const isTakenBack = this.known(self, to)?.retract(position) ?? false;
        if (isTakenBack) this.takenBackCount += 1;
        return isTakenBack;
      },
      isCongested: (to) => {
        const link = this.known(self, to);
        if (link === undefined || link.tasks.length < this.congestedAt) return false;
        link.wasCongested = true;
        return true;
      },
      moveBuffers: () => {},
      poll: () => false,
      pollTask: () => false,
    };
  }
}

export function deliverControl(link: Link, receiver: TransportReceiver): void {
  const frame = link.control.shift();
  if (frame !== undefined) hand(frame, link, receiver);
}

export function deliverTask(link: Link, receiver: TransportReceiver): void {
  const task = link.tasks.shift();
  if (task !== undefined) hand(task.frame, link, receiver);
}

function hand(frame: Uint8Array, { from, to }: Link, receiver: TransportReceiver): void {
  const view = new DataView(frame.buffer);
  const message = decodeMessage(frame, view, 0, frame.length, from);
  try {
    receiver.onMessage(to, message);
  } finally {
    frame.fill(0xee);
  }
}

const writer = new FrameWriter(new Uint8Array(1 << 16));

function encode(message: Message): Uint8Array {
  const size = frameBytesMax(message);
  if (size > writer.bytes.length) throw new Error(`${message.type} is larger than any test needs`);
  writer.at = 0;
  encodeMessage(message, 0, writer);
  return writer.bytes.slice(0, writer.at);
}
