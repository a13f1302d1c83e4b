/**
 * One direction of a link: what is put on it arrives later, in order. Only the first has a time of
 * its own in the world, the others come behind it.
 */
import { Deque } from "#engine/common/deque.ts";
import type { MessageType } from "#engine/protocol/message.ts";
import type { Flight, NetworkWorld, Place, Said } from "./network-world.ts";

export interface Load {
  readonly said: string | Said;
  readonly type: MessageType | null;
  readonly sizeBytes: number;
  deliver(): void;
}

export class Lane {
  readonly from: Place;
  readonly to: Place;
  readonly #world: NetworkWorld;
  /** Asked when one arrives: the time until which it must wait, or 0; Infinity ends the lane. */
  readonly #stall: () => number;
  readonly #underWay = new Deque<UnderWay>();
  #isClosed = false;

  constructor(world: NetworkWorld, from: Place, to: Place, stall: () => number = () => 0) {
    this.#world = world;
    this.from = from;
    this.to = to;
    this.#stall = stall;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  put(load: Load): void {
    if (this.#isClosed) return;
    this.#underWay.push(new UnderWay(this.#world, this, load));
    if (this.#underWay.size === 1) this.#deliverFirst(0);
  }

  /** Nothing of it arrives any more. */
  close(): void {
    this.#isClosed = true;
  }

  carries(wanted: (flight: Flight) => boolean): boolean {
    for (const flight of this.#underWay) if (wanted(flight)) return true;
    return false;
  }

  /** The first is there, unless it has to wait. */
  arrive(first: UnderWay): void {
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
    if (!this.to.isClosed) first.load.deliver();
  }

  #deliverFirst(notBeforeMs: number): void {
    const first = this.#underWay.peek();
    if (first !== undefined) this.#world.deliverAt(Math.max(first.heldMs, notBeforeMs), first);
  }
}

/** One object for each frame: there are more of these than of anything else. */
class UnderWay implements Flight {
  readonly load: Load;
  readonly causeId: number;
  readonly freeMs: number;
  /** With what faults add. */
  readonly heldMs: number;
  readonly #lane: Lane;

  constructor(world: NetworkWorld, lane: Lane, load: Load) {
    const { from, to } = lane;
    this.load = load;
    this.causeId = world.stepId;
    this.freeMs = world.nowMs() + world.delayMs(from, to);
    this.heldMs = this.freeMs + world.faultDelayMs(from, to, load.sizeBytes);
    this.#lane = lane;
  }

  get from(): Place {
    return this.#lane.from;
  }

  get to(): Place {
    return this.#lane.to;
  }

  get said(): string | Said {
    return this.load.said;
  }

  get type(): MessageType | null {
    return this.load.type;
  }

  isDropped(): boolean {
    return this.#lane.isClosed;
  }

  isFollowedBy(wanted: (flight: Flight) => boolean): boolean {
    return this.#lane.carries(wanted);
  }

  arrive(): void {
    this.#lane.arrive(this);
  }
}
