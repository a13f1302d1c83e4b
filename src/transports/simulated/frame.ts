/** A message as it travels in the simulator: bytes, as on any wire. */
import type { Address } from "#engine/common/ids.ts";
import {
  decodeMessage,
  encodeMessage,
  frameBytesMax,
  FrameWriter,
} from "#engine/protocol/codec/codec.ts";
import type { ArenaBytes } from "#engine/protocol/arena.ts";
import type { Message, MessageType } from "#engine/protocol/message.ts";

/** Frames lie one behind the other in memory that is never written twice. */
const slabBytes = 1 << 16;

export class Slab {
  readonly bytes: Uint8Array;
  readonly view: DataView;

  constructor(size: number) {
    this.bytes = new Uint8Array(size);
    this.view = new DataView(this.bytes.buffer);
  }
}

export interface Frame {
  readonly slab: Slab;
  readonly start: number;
  readonly sizeBytes: number;
  readonly from: Address;
  readonly to: Address;
  readonly type: MessageType;
  /** Of a push and of its reply; -1 otherwise. */
  readonly stream: number;
  readonly seq: number;
  /** Of a push: that of its task; -1 otherwise. */
  readonly serial: number;
  /** For the trace: two payloads that differ are two events. */
  readonly said: FrameSaid;
  /** Of the network's watch: what it knows of the frame. A weak table of them all is slow. */
  watched: object | null;
}

/** What a frame says, without its bytes: whoever remembers it keeps no memory of frames. */
export class FrameSaid {
  readonly digest: number;
  readonly #type: MessageType;
  readonly #stream: number;
  readonly #seq: number;

  // oxlint-disable-next-line max-params -- made for every frame.
  constructor(type: MessageType, stream: number, seq: number, digest: number) {
    this.digest = digest;
    this.#type = type;
    this.#stream = stream;
    this.#seq = seq;
  }

  get text(): string {
    const name = this.#stream < 0 ? this.#type : `${this.#type} ${this.#stream}.${this.#seq}`;
    return `${name} #${(this.digest >>> 0).toString(16).padStart(8, "0")}`;
  }
}

const writer = new FrameWriter(new Uint8Array(0));
let current = new Slab(0);
let usedBytes = 0;

export function frameOf(to: Address, message: Message, arena: ArenaBytes | null): Frame {
  const sizeMax = frameBytesMax(message);
  if (usedBytes + sizeMax > current.bytes.length) {
    current = new Slab(Math.max(slabBytes, sizeMax));
    usedBytes = 0;
  }
  const [slab, start] = [current, usedBytes];
  writer.pointAt(slab.bytes, slab.view, start);
  writer.arena = arena;
  encodeMessage(message, 0, writer);
  usedBytes = writer.at;
  const sizeBytes = usedBytes - start;
  const { from, type } = message;
  const isOfStream = type === "pushTask" || type === "taskReply";
  const stream = isOfStream ? message.stream : -1;
  const seq = isOfStream ? message.seq : -1;
  const said = new FrameSaid(type, stream, seq, digestOf(slab.view, start, usedBytes));
  const serial = type === "pushTask" ? message.serial : -1;
  const watched = null;
  return { slab, start, sizeBytes, from, to, type, stream, seq, serial, said, watched };
}

export function messageOf({ slab, start, sizeBytes, from }: Frame): Message {
  return decodeMessage(slab.bytes, slab.view, start, sizeBytes, from);
}

/** A word at a time: each step is a bijection, so that no difference is lost on the way. */
function digestOf(view: DataView, start: number, end: number): number {
  let hash = 0x811c9dc5;
  let at = start;
  for (; at + 4 <= end; at += 4) {
    hash = Math.imul(hash ^ view.getInt32(at, true), 0x01000193);
    hash ^= hash >>> 15;
  }
  for (; at < end; at++) hash = Math.imul(hash ^ view.getUint8(at), 0x01000193);
  return hash;
}
