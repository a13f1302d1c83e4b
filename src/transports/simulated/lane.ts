/**
 * One direction of a link: what is put on it arrives later, in order. Only the first has a time of
 * its own in the world, the others come behind it.
 */
import { Deque } from "#engine/common/deque.ts";
import type { MessageType } from "#engine/protocol/message.ts";
import type { Arrival, Flight, NetworkWorld, Place } from "./network-world.ts";

export interface Load {
  readonly text: string;
  readonly type: MessageType | null;
  readonly sizeBytes: number;
  deliver(): void;
}

interface UnderWay extends Arrival {
  readonly flight: Flight;
  readonly load: Load;
}

export class Lane {
  readonly #world: NetworkWorld;
  readonly #from: Place;
  readonly #to: Place;
  /** Asked when one arrives: the time until which it must wait, or 0; Infinity ends the lane. */
  readonly #stall: () => number;
  readonly #underWay = new Deque<UnderWay>();
  #isClosed = false;
  readonly #isDropped = (): boolean => this.#isClosed;
  readonly #carries = (wanted: (flight: Flight) => boolean): boolean => {
    for (const { flight } of this.#underWay) if (wanted(flight)) return true;
    return false;
  };

  constructor(world: NetworkWorld, from: Place, to: Place, stall: () => number = () => 0) {
    this.#world = world;
    this.#from = from;
    this.#to = to;
    this.#stall = stall;
  }

  put(load: Load): void {
    if (this.#isClosed) return;
    const world = this.#world;
    const { text, type, sizeBytes } = load;
    const freeMs = world.nowMs() + world.delayMs(this.#from, this.#to);
    const atMs = freeMs + world.faultDelayMs(this.#from, this.#to, sizeBytes);
    const flight = {
      from: this.#from,
      to: this.#to,
      text,
      type,
      sizeBytes,
      causeId: world.stepId,
      isDropped: this.#isDropped,
      isFollowedBy: this.#carries,
    };
    this.#underWay.push({ atMs, freeMs, flight, load });
    if (this.#underWay.size === 1) this.#deliverFirst(0);
  }

  /** Nothing of it arrives any more. */
  close(): void {
    this.#isClosed = true;
  }

  #deliverFirst(notBeforeMs: number): void {
    const first = this.#underWay.peek();
    if (first === undefined) return;
    const { freeMs } = first;
    const arrival = notBeforeMs > first.atMs ? { atMs: notBeforeMs, freeMs } : first;
    this.#world.deliverAt(arrival, first.flight, () => {
      if (this.#isClosed) return;
      const stallMs = this.#stall();
      if (stallMs === Infinity) return;
      if (stallMs > this.#world.nowMs()) {
        this.#deliverFirst(stallMs);
        return;
      }
      this.#underWay.shift();
      // The next is under way before this one is handled: what it leads to comes behind.
      this.#deliverFirst(0);
      if (!this.#to.isClosed) first.load.deliver();
    });
  }
}
