/**
 * Life of one end of a session that outlives its links: number a frame → keep it until the peer has
 * it → send what is left again on the next link; take the peer's frames once each, in order.
 *
 * A session joins two processes for as long as both live. The links under it (a connection each)
 * are cut and made anew; each has a number, which only rises. At the beginning of a link both ends
 * tell how far they have taken the other's frames. So a cut costs time and nothing else: machines
 * never hear of it.
 *
 * A frame is acknowledged as it arrives, and may then wait for its reader: a call of an actor that
 * is busy. So both ends also tell how much their readers have had, and a sender counts what is
 * under way until that is told.
 *
 * State:  frames that the peer has not acknowledged, oldest first; the number of the link, if it is
 *         up; the last frame taken; how much our reader has had, and theirs.
 * In/out: send, onFrame, onAcknowledgement, onRead, onLinkUp, onLinkDown → the port's transmit,
 *         acknowledge, take and onRoom.
 * Bounds: `windowBytes` under way and one frame, of those who stop while `isCongested`; the others
 *         are bounded by their credits.
 * Errors: what no honest peer on an intact link sends (a gap, a frame of an older link, an
 *         acknowledgement of what was never sent) gives "cut": whoever holds the link must end it.
 * Source: protocols §2; TCP's cumulative acknowledgements; MQTT 5 and NATS JetStream resume alike.
 */
import { assert } from "#engine/common/assert.ts";
import { Deque } from "#engine/common/deque.ts";
import { roomOf, SendWindow } from "./send-window.ts";

/** Where an end puts what it has to say. Neither call may come back into the session. */
export interface SessionPort<F> {
  /** Puts a numbered frame on the link; `ack` and `readBytes` ride on it. */
  transmit(packet: Packet<F>): void;
  /** Puts an acknowledgement alone on the link. */
  acknowledge(link: number, told: Told): void;
  /** Hands over a frame of the peer. This one may call `send`, or `onRead`. */
  take(frame: F): void;
  /** For whoever was told that the window is full: it has room again. This one may call `send`. */
  onRoom(): void;
}

/** What one end has had of the other's frames, over all links. */
export interface Told {
  /** All frames up to this one have arrived. */
  readonly ack: number;
  /** Room of those that have been read. */
  readonly readBytes: number;
}

export interface Packet<F> {
  /** Number of the link it was put on. */
  readonly link: number;
  /** From 1, over all links. */
  readonly number: number;
  /** Of the other direction. */
  readonly told: Told;
  readonly frame: F;
}

/** late: after the end of its link. */
export type Arrival = "taken" | "duplicate" | "late" | "cut";

/** Told at once when a reader has had so much more of what the peer may send it. */
const readShareTold = 1 / 4;
const nothingTold: Told = { ack: 0, readBytes: 0 };

export class Session<F> {
  readonly #port: SessionPort<F>;
  readonly #window: SendWindow;
  readonly #tellFromBytes: number;
  /** Their numbers end with `#sentThrough`, without holes. */
  readonly #unacknowledged = new Deque<F>();
  #link = 0;
  #isUp = false;
  #sentThrough = 0;
  #sentBytes = 0;
  #takenThrough = 0;
  #readBytes = 0;
  /** Of what was taken and read, what the peer was told on this link. */
  #told = nothingTold;
  /** Of our frames, as the peer has told. */
  #peerReadBytes = 0;
  #resentCount = 0;
  #duplicateCount = 0;

  /** `windowBytes`: the same at both ends. */
  constructor(port: SessionPort<F>, windowBytes: number) {
    this.#port = port;
    this.#window = new SendWindow(windowBytes);
    this.#tellFromBytes = windowBytes * readShareTold;
  }

  /** Of the present link, or the last one; 0 before the first. */
  get link(): number {
    return this.#link;
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  /** What this end tells at the beginning of a link. */
  get told(): Told {
    return { ack: this.#takenThrough, readBytes: this.#readBytes };
  }

  /** What is optional should wait; `onRoom` follows for whoever has asked. */
  isCongested(): boolean {
    return this.#window.isCongested();
  }

  get acknowledgedThrough(): number {
    return this.#sentThrough - this.#unacknowledged.size;
  }

  get unacknowledgedCount(): number {
    return this.#unacknowledged.size;
  }

  /** Frames taken that the peer does not know of: if nothing goes its way soon, acknowledge. */
  get owedCount(): number {
    return this.#isUp ? this.#takenThrough - this.#told.ack : 0;
  }

  /** Our reader has had so much that the peer may wait for the room: acknowledge. */
  get owesRoom(): boolean {
    if (!this.#isUp || this.#readBytes === this.#told.readBytes) return false;
    return this.#readBytes - this.#told.readBytes >= this.#tellFromBytes;
  }

  get resentCount(): number {
    return this.#resentCount;
  }

  get duplicateCount(): number {
    return this.#duplicateCount;
  }

  send(frame: F, frameBytes: number): void {
    this.#unacknowledged.push(frame);
    this.#sentThrough += 1;
    const room = roomOf(frameBytes);
    this.#sentBytes += room;
    this.#window.onSent(room);
    if (this.#isUp) this.#transmit(this.#sentThrough, frame);
  }

  onFrame({ link, number, told, frame }: Packet<F>): Arrival {
    const arrival = this.onAcknowledgement(link, told);
    if (arrival !== "taken") return arrival;
    if (number <= this.#takenThrough) {
      this.#duplicateCount += 1;
      return "duplicate";
    }
    if (number !== this.#takenThrough + 1) return "cut";
    this.#takenThrough = number;
    this.#port.take(frame);
    return "taken";
  }

  onAcknowledgement(link: number, told: Told): Arrival {
    if (!this.#isUp) return "late";
    if (link !== this.#link || !this.#isPossible(told)) return "cut";
    this.#heed(told);
    return "taken";
  }

  /** A frame that was taken has been read, in whatever order, and is gone from here. */
  onRead(frameBytes: number): void {
    this.#readBytes += roomOf(frameBytes);
  }

  /** Tells how much was taken and read, if the peer does not know. */
  acknowledge(): void {
    if (this.owedCount === 0 && !this.owesRoom) return;
    this.#told = this.told;
    this.#port.acknowledge(this.#link, this.#told);
  }

  /**
   * A link with a higher number than all before; the peer has told what it has had of our frames.
   * False for a peer that has lost what it had, or took what was never sent: the session cannot go
   * on.
   */
  onLinkUp(link: number, told: Told): boolean {
    assert(!this.#isUp, "a link begins after the end of the last");
    assert(link > this.#link, "the numbers of links rise");
    if (told.ack < this.acknowledgedThrough || told.readBytes < this.#peerReadBytes) return false;
    if (!this.#isPossible(told)) return false;
    this.#link = link;
    this.#isUp = true;
    this.#told = this.told;
    this.#drop(told.ack);
    let number = told.ack;
    for (const frame of this.#unacknowledged) {
      number += 1;
      this.#resentCount += 1;
      this.#transmit(number, frame);
    }
    this.#heed(told);
    return true;
  }

  /** From now on nothing of this link is taken. */
  onLinkDown(): void {
    this.#isUp = false;
  }

  #transmit(number: number, frame: F): void {
    const { ack, readBytes } = this.#told;
    if (ack !== this.#takenThrough || readBytes !== this.#readBytes) this.#told = this.told;
    this.#port.transmit({ link: this.#link, number, told: this.#told, frame });
  }

  /** No peer has had what was never sent. */
  #isPossible({ ack, readBytes }: Told): boolean {
    return ack <= this.#sentThrough && readBytes <= this.#sentBytes;
  }

  /** What it tells may be older than what is known: frames that came once more tell it again. */
  #heed({ ack, readBytes }: Told): void {
    this.#drop(ack);
    if (readBytes <= this.#peerReadBytes) return;
    this.#window.onTaken(readBytes - this.#peerReadBytes);
    this.#peerReadBytes = readBytes;
    if (this.#window.takeRoom()) this.#port.onRoom();
  }

  #drop(ack: number): void {
    while (this.acknowledgedThrough < ack) this.#unacknowledged.shift();
  }
}
