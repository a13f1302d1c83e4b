/**
 * Life of one end of a session that outlives its links: number a frame → keep it until the peer has
 * it → send what is left again on the next link; take the peer's frames once each, in order.
 *
 * A session joins two processes for as long as both live. The links under it (a connection each)
 * are cut and made anew; each has a number, which only rises. At the beginning of a link both ends
 * tell how far they have taken the other's frames. So a cut costs time and nothing else: machines
 * never hear of it.
 *
 * State:  frames that the peer has not acknowledged, oldest first; the number of the link, if it is
 *         up; the last frame taken.
 * In/out: send, onFrame, onAcknowledgement, onLinkUp, onLinkDown → the port's transmit, acknowledge
 *         and take.
 * Bounds: the queue is bounded by the credits of those who send; `unacknowledgedCount` tells it.
 * Errors: what no honest peer on an intact link sends (a gap, a frame of an older link, an
 *         acknowledgement of what was never sent) gives "cut": whoever holds the link must end it.
 * Source: protocols §2; TCP's cumulative acknowledgements; MQTT 5 and NATS JetStream resume alike.
 */
import { assert } from "#engine/common/assert.ts";
import { Deque } from "#engine/common/deque.ts";

/** Where an end puts what it has to say. Neither call may come back into the session. */
export interface SessionPort<F> {
  /** Puts a numbered frame on the link; `ack` rides on it. */
  transmit(packet: Packet<F>): void;
  /** Puts an acknowledgement alone on the link. */
  acknowledge(link: number, ack: number): void;
  /** Hands over a frame of the peer. This one may call `send`. */
  take(frame: F): void;
}

export interface Packet<F> {
  /** Number of the link it was put on. */
  readonly link: number;
  /** From 1, over all links. */
  readonly number: number;
  /** All frames of the other direction up to this one were taken. */
  readonly ack: number;
  readonly frame: F;
}

/** late: after the end of its link. */
export type Arrival = "taken" | "duplicate" | "late" | "cut";

export class Session<F> {
  readonly #port: SessionPort<F>;
  /** Their numbers end with `#sentThrough`, without holes. */
  readonly #unacknowledged = new Deque<F>();
  #link = 0;
  #isUp = false;
  #sentThrough = 0;
  #takenThrough = 0;
  /** Of what was taken, as far as the peer was told on this link. */
  #toldThrough = 0;
  #resentCount = 0;
  #duplicateCount = 0;

  constructor(port: SessionPort<F>) {
    this.#port = port;
  }

  /** Of the present link, or the last one; 0 before the first. */
  get link(): number {
    return this.#link;
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  /** What this end tells at the beginning of a link. */
  get takenThrough(): number {
    return this.#takenThrough;
  }

  get acknowledgedThrough(): number {
    return this.#sentThrough - this.#unacknowledged.size;
  }

  get unacknowledgedCount(): number {
    return this.#unacknowledged.size;
  }

  /** Frames taken that the peer does not know of: if nothing goes its way soon, acknowledge. */
  get owedCount(): number {
    return this.#isUp ? this.#takenThrough - this.#toldThrough : 0;
  }

  get resentCount(): number {
    return this.#resentCount;
  }

  get duplicateCount(): number {
    return this.#duplicateCount;
  }

  send(frame: F): void {
    this.#unacknowledged.push(frame);
    this.#sentThrough += 1;
    if (this.#isUp) this.#transmit(this.#sentThrough, frame);
  }

  // oxlint-disable-next-line max-params -- hot: an object around them would be one more each frame.
  onFrame(link: number, number: number, ack: number, frame: F): Arrival {
    const arrival = this.onAcknowledgement(link, ack);
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

  onAcknowledgement(link: number, ack: number): Arrival {
    if (!this.#isUp) return "late";
    if (link !== this.#link || ack > this.#sentThrough) return "cut";
    this.#drop(ack);
    return "taken";
  }

  /** Tells how far frames were taken, if the peer does not know. */
  acknowledge(): void {
    if (this.owedCount === 0) return;
    this.#toldThrough = this.#takenThrough;
    this.#port.acknowledge(this.#link, this.#takenThrough);
  }

  /**
   * A link with a higher number than all before; the peer has told how far it took our frames.
   * False for a peer that has lost what it had, or took what was never sent: the session cannot go
   * on.
   */
  onLinkUp(link: number, peerTakenThrough: number): boolean {
    assert(!this.#isUp, "a link begins after the end of the last");
    assert(link > this.#link, "the numbers of links rise");
    if (peerTakenThrough < this.acknowledgedThrough) return false;
    if (peerTakenThrough > this.#sentThrough) return false;
    this.#drop(peerTakenThrough);
    this.#link = link;
    this.#isUp = true;
    this.#toldThrough = this.#takenThrough;
    let number = peerTakenThrough;
    for (const frame of this.#unacknowledged) {
      number += 1;
      this.#resentCount += 1;
      this.#transmit(number, frame);
    }
    return true;
  }

  /** From now on nothing of this link is taken. */
  onLinkDown(): void {
    this.#isUp = false;
  }

  #transmit(number: number, frame: F): void {
    this.#toldThrough = this.#takenThrough;
    this.#port.transmit({ link: this.#link, number, ack: this.#takenThrough, frame });
  }

  #drop(ack: number): void {
    while (this.acknowledgedThrough < ack) this.#unacknowledged.shift();
  }
}
