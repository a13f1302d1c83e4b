/**
 * Sees every frame on its way, and files that processes write for themselves, and tells faults that
 * wait for one of a kind: a crash right behind a message finds what was left half done, which one
 * at a drawn time hardly ever does.
 */
import type { Address } from "#engine/common/ids.ts";
import type { MovedBuffers } from "#engine/protocol/transport.ts";
import type { Frame } from "#transports/simulated/frame.ts";
import type { Link, NetworkWatch } from "#transports/simulated/network-watch.ts";

/**
 * Moments that are no messages: of a file that a process writes while its caller waits a part is on
 * the disk; all of it, and nobody has been told.
 */
export const fileMoments = ["fileBegun", "fileWritten"] as const;
export type FileMoment = (typeof fileMoments)[number];

export interface Moment {
  readonly method: string;
  readonly who: "sender" | "receiver";
  /** Of those that `mayHit` so many are let go. */
  readonly skip: number;
  /** … and so many are hit. */
  readonly count: number;
  mayHit(address: Address): boolean;
  /** `isNow`: in the midst of a step, which nothing of the process may outlive. */
  hit(address: Address, isNow: boolean): void;
}

interface Awaited {
  readonly moment: Moment;
  seen: number;
}

export class Moments implements NetworkWatch {
  readonly #next: NetworkWatch;
  #awaited: Awaited[] = [];

  /** `next` is told of every frame first. */
  constructor(next: NetworkWatch) {
    this.#next = next;
  }

  await(moment: Moment): void {
    this.#awaited.push({ moment, seen: 0 });
  }

  clear(): void {
    this.#awaited = [];
  }

  onSent(frame: Frame, link: Link): void {
    this.#next.onSent(frame, link);
    if (this.#awaited.length > 0) this.#look(frame.type, "sender", frame.from);
  }

  onTaken(frame: Frame, link: Link): void {
    this.#next.onTaken(frame, link);
    if (this.#awaited.length > 0) this.#look(frame.type, "receiver", frame.to);
  }

  onRetracted(frame: Frame, link: Link): void {
    this.#next.onRetracted(frame, link);
  }

  isAwaited(moment: FileMoment): boolean {
    return this.#awaited.some(({ moment: { method } }) => method === moment);
  }

  onFile(moment: FileMoment, by: Address): void {
    if (this.#awaited.length > 0) this.#look(moment, "sender", by, true);
  }

  onMoved(moved: MovedBuffers): void {
    this.#next.onMoved(moved);
  }

  // oxlint-disable-next-line max-params -- for every frame of a run: no object is made.
  #look(type: string | null, who: Moment["who"], address: Address, isNow = false): void {
    for (const awaited of this.#awaited) {
      const { moment } = awaited;
      const { skip, count } = moment;
      if (moment.method !== type || moment.who !== who || awaited.seen >= skip + count) continue;
      if (!moment.mayHit(address)) continue;
      awaited.seen += 1;
      if (awaited.seen > skip) moment.hit(address, isNow);
    }
  }
}
