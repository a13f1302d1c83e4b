/**
 * How much may be under way to one peer: what was sent and is not taken there, wherever it is. From
 * then on what is optional waits at its sender, until half of it has been taken.
 *
 * What is not optional goes all the same, and counts: a window says when to stop, it stops nobody.
 *
 * Bounds: `windowBytes` and one frame, of what is optional.
 * Source: the windows of HTTP/2 and QUIC, of which what was taken opens more, not what arrived.
 */

/** What a frame takes beside its bytes: many small ones fill a window as well. */
const frameOverheadBytes = 64;

/** What a frame takes of a window. */
export function roomOf(frameBytes: number): number {
  return frameBytes + frameOverheadBytes;
}

export class SendWindow {
  readonly #windowBytes: number;
  #underWayBytes = 0;
  #isFull = false;
  /** Somebody was told that it is full, and is told when it is not any more. */
  #isAwaited = false;

  constructor(windowBytes: number) {
    this.#windowBytes = windowBytes;
  }

  /** Of those under way, with what each takes beside its bytes. */
  get underWayBytes(): number {
    return this.#underWayBytes;
  }

  isCongested(): boolean {
    if (this.#isFull) this.#isAwaited = true;
    return this.#isFull;
  }

  onSent(roomBytes: number): void {
    this.#underWayBytes += roomBytes;
    if (this.#underWayBytes >= this.#windowBytes) this.#isFull = true;
  }

  onTaken(roomBytes: number): void {
    this.#underWayBytes -= roomBytes;
    if (this.#underWayBytes * 2 <= this.#windowBytes) this.#isFull = false;
  }

  /** Room is there and somebody waits for it. */
  get isRoomDue(): boolean {
    return this.#isAwaited && !this.#isFull;
  }

  /** True once: who waits for room must be told. */
  takeRoom(): boolean {
    if (!this.isRoomDue) return false;
    this.#isAwaited = false;
    return true;
  }
}
