/**
 * Life of a frame at the writing end: reserve → write in place → commit → retract, if not taken.
 *
 * State:  the tail, the head as last seen, the open reservation, progress of a fragmented frame.
 * In/out: bytes of frames → records in the ring; never waits, "no room" is an answer.
 * Bounds: a frame in place has at most `maxInPlaceBytes`; in fragments any size below 2 GiB.
 * Errors: none a user can cause; a misuse of the order of calls is an assertion.
 *
 * Why retract() never touches a newer frame: only this thread fills slots, and never beyond
 * #headSeen + capacity. So a record at or after #headSeen is still the one committed there,
 * whatever the reader has freed since, and its state word decides: freeing a slot does not change
 * it. A record before #headSeen was freed, hence taken or retracted. So the reader may publish its
 * head as late as it likes, and retract() needs no fresh look at it.
 * Frame positions count units of 8 bytes since this writer was made, and do not wrap: a frame of
 * long ago is not mistaken for one with the same 32-bit position.
 */

import { assert } from "#engine/common/assert.ts";
import {
  HEAD_INDEX,
  KIND_FRAGMENT,
  KIND_FRAME,
  KIND_LAST_FRAGMENT,
  KIND_PAD,
  KIND_SHIFT,
  RECORD_HEADER_BYTES,
  STATE_READY,
  STATE_RETRACTED,
  STATE_UNTRACKED,
  TAIL_INDEX,
  WAITING_INDEX,
  openRing,
  recordByteLength,
  ringMaxInPlaceBytes,
} from "./ring-layout.ts";

const FRAME_MAX_BYTES = 2 ** 31;

export class RingWriter {
  /** The ring's data: a frame is written here, from the index that reserve() returns. */
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly maxInPlaceBytes: number;

  readonly #positions: Int32Array;
  readonly #words: Int32Array;
  readonly #capacityBytes: number;
  #tail: number;
  #headSeen: number;
  /** Units of 8 bytes published so far: a double, exact for longer than a ring lives. */
  #publishedUnits = 0;
  /** Room of the open reservation with its record header, 0 when there is none. */
  #reservedBytes = 0;
  #padBytes = 0;
  /** Bytes written of a frame in fragments, 0 when there is none. */
  #fragmentedBytes = 0;
  /** That frame was taken back before its last piece made it a frame. */
  #isFragmentedRetracted = false;
  #lastPosition = -1;

  constructor(buffer: SharedArrayBuffer, byteOffset: number, capacityBytes: number) {
    const memory = openRing(buffer, byteOffset, capacityBytes);
    this.bytes = memory.bytes;
    this.view = new DataView(buffer, memory.bytes.byteOffset, capacityBytes);
    this.maxInPlaceBytes = ringMaxInPlaceBytes(capacityBytes);
    this.#positions = memory.positions;
    this.#words = memory.words;
    this.#capacityBytes = capacityBytes;
    this.#tail = Atomics.load(memory.positions, TAIL_INDEX);
    this.#headSeen = Atomics.load(memory.positions, HEAD_INDEX);
  }

  /** Position of the last whole frame, by commit() or the writeFragments() that ended it; or -1. */
  get lastPosition(): number {
    return this.#lastPosition;
  }

  /**
   * Room for a frame of at most `maxBytes`, in one piece: its index in `bytes` and `view`, a
   * multiple of 8; or -1 if there is none now. A reservation that is not committed costs nothing.
   */
  reserve(maxBytes: number): number {
    assert(maxBytes <= this.maxInPlaceBytes, "a frame is too large to be written in place");
    assert(this.#fragmentedBytes === 0, "a frame cannot begin inside a fragmented one");
    const recordBytes = recordByteLength(maxBytes);
    const index = this.#tail & (this.#capacityBytes - 1);
    const untilEndBytes = this.#capacityBytes - index;
    const padBytes = recordBytes <= untilEndBytes ? 0 : untilEndBytes;
    if (!this.#hasRoom(padBytes + recordBytes)) {
      this.#reservedBytes = 0;
      return -1;
    }
    this.#reservedBytes = recordBytes;
    this.#padBytes = padBytes;
    return (padBytes === 0 ? index : 0) + RECORD_HEADER_BYTES;
  }

  /**
   * Publishes the frame of the open reservation. Returns the position that names it for retract(),
   * which answers false for every untracked frame.
   */
  commit(byteLength: number, tracked = true): number {
    const recordBytes = recordByteLength(byteLength);
    assert(recordBytes <= this.#reservedBytes, "a frame is longer than its reservation");
    this.#reservedBytes = 0;
    if (this.#padBytes !== 0) this.#addPad(this.#padBytes);
    const state = tracked ? STATE_READY : STATE_UNTRACKED;
    const position = this.#addRecord(KIND_FRAME, byteLength, state);
    this.#lastPosition = position;
    this.#publish();
    return position;
  }

  /**
   * Writes a frame of any size except 0, as much of it as has room, beginning at `from`. Returns
   * the bytes written so far: call again with the same source and that number until it is the
   * length of the source; `lastPosition` is then the frame's. No other frame can begin in between.
   */
  writeFragments(source: Uint8Array, from: number, tracked = true): number {
    const length = source.byteLength;
    assert(length > 0 && length < FRAME_MAX_BYTES, "a frame in fragments is empty or too large");
    assert(from === this.#fragmentedBytes, "a fragmented frame is not resumed where it stopped");
    if (length <= this.maxInPlaceBytes) {
      const start = this.reserve(length);
      if (start === -1) return 0;
      this.bytes.set(source, start);
      this.commit(length, tracked);
      return length;
    }
    this.#reservedBytes = 0;
    let written = from;
    for (let room = this.#roomInOnePiece(); room > 0; room = this.#roomInOnePiece()) {
      const byteLength = Math.min(length - written, room);
      const start = (this.#tail & (this.#capacityBytes - 1)) + RECORD_HEADER_BYTES;
      this.bytes.set(source.subarray(written, written + byteLength), start);
      written += byteLength;
      if (written < length) {
        this.#addRecord(KIND_FRAGMENT, byteLength, length);
        continue;
      }
      const kind = byteLength === length ? KIND_FRAME : KIND_LAST_FRAGMENT;
      const ready = tracked ? STATE_READY : STATE_UNTRACKED;
      const state = this.#isFragmentedRetracted ? STATE_RETRACTED : ready;
      this.#isFragmentedRetracted = false;
      this.#lastPosition = this.#addRecord(kind, byteLength, state);
      break;
    }
    this.#fragmentedBytes = written === length ? 0 : written;
    this.#publish();
    return written;
  }

  /**
   * Takes back the frame whose first pieces are written. The others must follow, since the reader
   * waits for them; it passes over the whole.
   */
  retractFragmented(): void {
    assert(this.#fragmentedBytes > 0, "no fragmented frame is unfinished");
    this.#isFragmentedRetracted = true;
  }

  /**
   * Takes a frame back. True, once at most: the reader will never take it. False: it was taken (and
   * perhaps freed, its slot used again), or retracted before. The reader may be dead.
   */
  retract(position: number): boolean {
    const behindUnits = this.#publishedUnits - position;
    assert(behindUnits > 0, "a frame that was never committed cannot be retracted");
    if (behindUnits * 8 > this.#capacityBytes) return false;
    const start = (this.#tail - behindUnits * 8) | 0;
    if (((start - this.#headSeen) | 0) < 0) return false;
    const stateWord = ((start & (this.#capacityBytes - 1)) >>> 2) + 1;
    const before = Atomics.compareExchange(this.#words, stateWord, STATE_READY, STATE_RETRACTED);
    return before === STATE_READY;
  }

  /** Asks the reader to tell once it has freed something: write once more before you rely on it. */
  awaitRoom(): void {
    Atomics.store(this.#positions, WAITING_INDEX, 1);
  }

  /** Nobody will tell of room: it was told already, or not asked for. */
  get isRoomTold(): boolean {
    return Atomics.load(this.#positions, WAITING_INDEX) === 0;
  }

  /** True when the reader has freed everything published, and has made that known. */
  isEmpty(): boolean {
    this.#headSeen = Atomics.load(this.#positions, HEAD_INDEX);
    return this.#headSeen === this.#tail;
  }

  /** Looks at the reader's head only when the last look does not show enough room. */
  #hasRoom(neededBytes: number): boolean {
    const roomBytes = this.#capacityBytes - neededBytes;
    if (((this.#tail - this.#headSeen) | 0) <= roomBytes) return true;
    this.#headSeen = Atomics.load(this.#positions, HEAD_INDEX);
    return ((this.#tail - this.#headSeen) | 0) <= roomBytes;
  }

  /** Content bytes that the next record can have without going around the end; 0 when full. */
  #roomInOnePiece(): number {
    const smallestRecord = RECORD_HEADER_BYTES * 2;
    const untilEndBytes = this.#capacityBytes - (this.#tail & (this.#capacityBytes - 1));
    if (untilEndBytes < smallestRecord) {
      if (!this.#hasRoom(untilEndBytes + smallestRecord)) return 0;
      this.#addPad(untilEndBytes);
      return this.#roomInOnePiece();
    }
    if (!this.#hasRoom(smallestRecord)) return 0;
    const freeBytes = this.#capacityBytes - ((this.#tail - this.#headSeen) | 0);
    return Math.min(untilEndBytes, freeBytes) - RECORD_HEADER_BYTES;
  }

  #addPad(padBytes: number): void {
    this.#addRecord(KIND_PAD, padBytes - RECORD_HEADER_BYTES, STATE_UNTRACKED);
  }

  /** Writes a record's header at the tail and moves the tail behind it; not yet published. */
  #addRecord(kind: number, byteLength: number, secondWord: number): number {
    const word = (this.#tail & (this.#capacityBytes - 1)) >>> 2;
    const position = this.#publishedUnits;
    const recordBytes = recordByteLength(byteLength);
    this.#words[word] = (kind << KIND_SHIFT) | byteLength;
    this.#words[word + 1] = secondWord;
    this.#tail = (this.#tail + recordBytes) | 0;
    this.#publishedUnits = position + (recordBytes >>> 3);
    return position;
  }

  #publish(): void {
    Atomics.store(this.#positions, TAIL_INDEX, this.#tail);
  }
}
