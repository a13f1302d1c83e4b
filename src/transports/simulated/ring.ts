/**
 * One direction between two processes of a node, in order: frames that the reader has not taken,
 * under way or waiting, fill it. What has no room goes all the same, as a queue before a real ring
 * keeps it; whoever may wait does, and is told of room in a step of its own.
 */
import { roomOf, SendWindow } from "#transports/session/send-window.ts";
import type { Inflow } from "./inflow.ts";
import { Lane, type Load } from "./lane.ts";
import type { NetworkWorld } from "./network-world.ts";
import type { Endpoint } from "./network.ts";

export class Ring implements Inflow {
  readonly link: { readonly from: Endpoint; readonly to: Endpoint };
  readonly #world: NetworkWorld;
  readonly #lane: Lane;
  readonly #window: SendWindow;
  #isTelling = false;

  constructor(world: NetworkWorld, from: Endpoint, to: Endpoint) {
    this.#world = world;
    this.link = { from, to };
    this.#lane = new Lane(world, from, to);
    this.#window = new SendWindow(world.linkWindowBytes);
  }

  put(load: Load): void {
    this.#window.onSent(roomOf(load.sizeBytes));
    this.#lane.put(load);
  }

  /** What is no frame, and takes no room: the end of a process. */
  convey(load: Load): void {
    this.#lane.put(load);
  }

  isCongested(): boolean {
    return this.#window.isCongested();
  }

  onRead(frameBytes: number): void {
    this.#window.onTaken(roomOf(frameBytes));
    if (this.#isTelling || !this.#window.isRoomDue) return;
    this.#isTelling = true;
    const { from, to } = this.link;
    const what = `room: ${to.name}`;
    const run = (): void => {
      this.#isTelling = false;
      // It may be full again: then the next who reads sees to it.
      if (this.#window.takeRoom()) from.onRoom(to);
    };
    const delayMs = this.#world.delayMs(to, from);
    this.#world.linkStep(from, delayMs, { what, isUpkeep: false, run });
  }
}
