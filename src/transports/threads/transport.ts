/**
 * Frames between the threads of one process, over shared memory.
 *
 * State:  one link a peer thread; a link to a worker not met before is asked for and queues until
 *         it is there.
 * Bounds: two rings a direction and link; see frame-queue.
 * Errors: a frame that makes no sense is an assertion: both ends are this very program.
 */
import { assert } from "#engine/common/assert.ts";
import type { Address, WorkerId } from "#engine/common/ids.ts";
import type { Message } from "#engine/protocol/message.ts";
import type { PushTask } from "#engine/protocol/task.ts";
import type { MovedBuffers, Transport, TransportReceiver } from "#engine/protocol/transport.ts";
import { Link, type Slots } from "./link.ts";
import type { LinkEnds } from "./link-memory.ts";
import type { Bell } from "./parking.ts";

export interface ThreadTransportOptions {
  readonly localSlots: Slots;
  readonly receiver: TransportReceiver;
  /** Asks whoever makes links for one to this worker; `openLink` follows, or the worker is dead. */
  requestLink(peer: WorkerId): void;
  /** Something was sent, so answers may come; or there is more to tell: call `poll` soon. */
  onWork(): void;
}

export class ThreadTransport implements Transport {
  readonly #options: ThreadTransportOptions;
  readonly #links: Link[] = [];
  /** Every address of a peer thread, so three for the thread that hosts raylet and GCS. */
  readonly #byAddress = new Map<Address, Link>();
  /** Tasks are taken from the links in turn. */
  #nextTaskLink = 0;

  constructor(options: ThreadTransportOptions) {
    this.#options = options;
  }

  openLink(remoteSlots: Slots, ends: LinkEnds, bell: Bell): void {
    const [peer] = remoteSlots;
    assert(peer !== undefined, "a link leads somewhere");
    const link = this.#byAddress.get(peer) ?? this.#addLink(remoteSlots);
    if (link.isOpen) return;
    link.open(ends, bell);
    link.flush(this.#options.receiver);
  }

  hasLink(peer: Address): boolean {
    return this.#byAddress.get(peer)?.isOpen ?? false;
  }

  /** The peer's thread has ended. Takes what it still sent. */
  onPeerExit(peer: Address): void {
    const link = this.#byAddress.get(peer);
    if (link === undefined) return;
    link.markDead();
    while (link.poll(this.#options.receiver, 1024));
  }

  /**
   * Everything about a dead peer is settled. What it still sent is refused, but not unread: there
   * may be results in it, whose bytes must go back.
   */
  forget(peer: Address): void {
    const link = this.#byAddress.get(peer);
    if (link === undefined) return;
    link.markDead();
    while (link.poll(this.#options.receiver, 1024));
    this.#links.splice(this.#links.indexOf(link), 1);
    this.#byAddress.delete(peer);
  }

  hasControlData(): boolean {
    for (const link of this.#links) if (link.hasControlData()) return true;
    return false;
  }

  hasTask(): boolean {
    for (const link of this.#links) if (link.hasTask()) return true;
    return false;
  }

  send(to: Address, message: Message): void {
    this.#linkTo(to).send(to, message);
    this.#options.onWork();
  }

  sendTask(to: Address, message: PushTask): number {
    const position = this.#linkTo(to).sendTask(to, message);
    this.#options.onWork();
    return position;
  }

  retract(to: Address, framePosition: number): boolean {
    const link = this.#byAddress.get(to);
    if (link?.retract(framePosition) !== true) return false;
    // It may have been the last that waited: a thread that is parked must look.
    if (link.isWritableDue) this.#options.onWork();
    return true;
  }

  moveBuffers(to: Address, moved: MovedBuffers): void {
    this.#byAddress.get(to)?.moveBuffers(to, moved);
  }

  isCongested(to: Address): boolean {
    return this.#byAddress.get(to)?.isCongested() ?? false;
  }

  poll(frameBudget: number): boolean {
    const { receiver } = this.#options;
    let worked = false;
    for (let i = 0; i < this.#links.length; i++) {
      const link = this.#links[i] as Link;
      if (link.flush(receiver)) worked = true;
      if (link.poll(receiver, frameBudget)) worked = true;
    }
    return worked;
  }

  pollTask(): boolean {
    const count = this.#links.length;
    for (let i = 0; i < count; i++) {
      const index = (this.#nextTaskLink + i) % count;
      if (!(this.#links[index] as Link).pollTask(this.#options.receiver)) continue;
      // Else a peer that keeps its ring full would be the only one.
      this.#nextTaskLink = index + 1;
      return true;
    }
    return false;
  }

  #linkTo(to: Address): Link {
    const link = this.#byAddress.get(to);
    if (link !== undefined) return link;
    this.#options.requestLink(to as WorkerId);
    return this.#addLink([to]);
  }

  #addLink(remoteSlots: Slots): Link {
    const link = new Link(remoteSlots[0] as Address, this.#options.localSlots, remoteSlots);
    this.#links.push(link);
    for (const address of remoteSlots) this.#byAddress.set(address, link);
    return link;
  }
}
