/**
 * One direction of one ring, with a queue behind it: what has no room now waits here, in order.
 *
 * Bounds: the senders' credits (tasks in flight, leases, replies per request) bound the queue;
 *         `isCongested`
 * tells them to hold back what is optional.
 */
import { Deque } from "#engine/common/deque.ts";
import { encodeMessage, frameBytesMax, FrameWriter } from "#engine/protocol/codec/codec.ts";
import type { Message } from "#engine/protocol/message.ts";
import type { RingWriter } from "./ring-writer.ts";

/** More task frames than this are never in flight on one link at once. */
const ticketsRemembered = 4096;

interface WaitingFrame {
  /** Negative: it has no place in the ring yet. */
  readonly ticket: number;
  readonly bytes: Uint8Array;
  written: number;
  /** Its first pieces are in the ring: the others follow, and the reader passes over them all. */
  isRetracted: boolean;
}

export class FrameQueue {
  readonly #tracked: boolean;
  readonly #inPlace = new FrameWriter(new Uint8Array(0));
  readonly #waiting = new Deque<WaitingFrame>();
  /**
   * Ring positions of task frames that had to wait, by ticket; few, since senders then hold back.
   */
  readonly #positions = new Map<number, number>();
  #ring: RingWriter | null = null;
  #nextTicket = -1;

  constructor(tracked: boolean) {
    this.#tracked = tracked;
  }

  get isCongested(): boolean {
    return this.#ring === null || this.#waiting.size > 0;
  }

  open(ring: RingWriter): void {
    this.#ring = ring;
  }

  /** Returns a name for the frame, for `retract`. */
  send(message: Message, endpoints: number): number {
    const ring = this.#ring;
    const bytesMax = frameBytesMax(message);
    if (ring !== null && this.#waiting.size === 0 && bytesMax <= ring.maxInPlaceBytes) {
      const at = ring.reserve(bytesMax);
      if (at !== -1) {
        const writer = this.#inPlace;
        writer.pointAt(ring.bytes, ring.view, at);
        encodeMessage(message, endpoints, writer);
        return ring.commit(writer.at - at, this.#tracked);
      }
    }
    const writer = new FrameWriter(new Uint8Array(bytesMax));
    encodeMessage(message, endpoints, writer);
    const ticket = this.#nextTicket--;
    this.#waiting.push({
      ticket,
      bytes: writer.bytes.subarray(0, writer.at),
      written: 0,
      isRetracted: false,
    });
    this.flush();
    return ticket;
  }

  /** Frames wait, and the reader has made room since it was last looked at. */
  get hasRoomToUse(): boolean {
    return this.#waiting.size > 0 && this.#ring !== null && this.#ring.isRoomTold;
  }

  /**
   * Moves waiting frames into the ring as far as they have room. True if anything was moved. While
   * some are left the reader has been asked to tell of room, and had none after that.
   */
  flush(): boolean {
    const ring = this.#ring;
    if (ring === null || this.#waiting.size === 0) return false;
    let hasMoved = this.#moveInto(ring);
    while (this.#waiting.size > 0) {
      ring.awaitRoom();
      if (!this.#moveInto(ring)) break;
      hasMoved = true;
    }
    return hasMoved;
  }

  retract(name: number): boolean {
    if (name >= 0) return this.#ring?.retract(name) ?? false;
    const position = this.#positions.get(name);
    if (position !== undefined) return this.#ring?.retract(position) ?? false;
    const first = this.#waiting.peek();
    if (first !== undefined && first.ticket === name && first.written > 0) {
      if (first.isRetracted) return false;
      first.isRetracted = true;
      this.#ring?.retractFragmented();
      return true;
    }
    const before = this.#waiting.size;
    this.#waiting.retain((frame) => frame.ticket !== name);
    return this.#waiting.size < before;
  }

  #moveInto(ring: RingWriter): boolean {
    let hasMoved = false;
    for (let frame = this.#waiting.peek(); frame !== undefined; frame = this.#waiting.peek()) {
      const written = ring.writeFragments(frame.bytes, frame.written, this.#tracked);
      if (written > frame.written) hasMoved = true;
      frame.written = written;
      if (written < frame.bytes.byteLength) break;
      this.#waiting.shift();
      if (this.#tracked) this.#remember(frame.ticket, ring.lastPosition);
    }
    return hasMoved;
  }

  #remember(ticket: number, position: number): void {
    this.#positions.set(ticket, position);
    if (this.#positions.size <= ticketsRemembered) return;
    const [oldest] = this.#positions.keys();
    if (oldest !== undefined) this.#positions.delete(oldest);
  }
}
