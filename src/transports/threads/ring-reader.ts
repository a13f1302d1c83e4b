/**
 * Life of a frame at the reading end: peek → take → read in place → release; skipped if retracted.
 *
 * State:  the head, the tail as last seen, the frame at hand, the pieces of a fragmented frame.
 * In/out: records in the ring → one frame at a time, in the order of commits; never waits.
 * Bounds: nothing is copied but fragmented frames, one of which is held at a time.
 * Errors: none a user can cause; a record that makes no sense is an assertion.
 *
 * The head is published late, at a quarter of the capacity or when there is no more to read: the
 * writer then seldom waits for its cache line. Until then nobody fills a freed slot, and its state
 * word stays. peek() and hasData() publish all that is freed before they answer false, so a reader
 * that parks after such an answer leaves the writer the whole ring.
 */

import { assert } from "#engine/common/assert.ts";
import {
  HEAD_INDEX,
  KIND_FRAGMENT,
  KIND_FRAME,
  KIND_LAST_FRAGMENT,
  KIND_PAD,
  KIND_SHIFT,
  LENGTH_MASK,
  RECORD_HEADER_BYTES,
  STATE_READY,
  STATE_RETRACTED,
  STATE_TAKEN,
  STATE_UNTRACKED,
  TAIL_INDEX,
  WAITING_INDEX,
  openRing,
  recordByteLength,
} from "./ring-layout.ts";

/** No frame at hand. */
const NONE = 0;
/** A tracked frame at hand, which the writer may still take back. */
const PEEKED = 1;
/** A frame at hand that is ours until release(). */
const TAKEN = 2;

export class RingReader {
  /** The ring's data. */
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Where the frame at hand lies: the ring's data, or a private copy of a fragmented frame. */
  source: Uint8Array;
  sourceView: DataView;
  start = 0;
  byteLength = 0;
  /** The writer waited for room, and there is some. */
  onRoom: (() => void) | null = null;

  readonly #positions: Int32Array;
  readonly #words: Int32Array;
  readonly #mask: number;
  readonly #publishEveryBytes: number;
  #head: number;
  #publishedHead: number;
  #tailSeen: number;
  #phase = NONE;
  /** Of the frame at hand: its state word, and the head once it is freed. */
  #stateWord = 0;
  #nextHead = 0;
  #assembly: Uint8Array | null = null;
  #assembledBytes = 0;

  constructor(buffer: SharedArrayBuffer, byteOffset: number, capacityBytes: number) {
    const memory = openRing(buffer, byteOffset, capacityBytes);
    this.bytes = memory.bytes;
    this.view = new DataView(buffer, memory.bytes.byteOffset, capacityBytes);
    this.source = this.bytes;
    this.sourceView = this.view;
    this.#positions = memory.positions;
    this.#words = memory.words;
    this.#mask = capacityBytes - 1;
    this.#publishEveryBytes = capacityBytes / 4;
    this.#head = Atomics.load(memory.positions, HEAD_INDEX);
    this.#publishedHead = this.#head;
    this.#tailSeen = this.#head;
  }

  /** True when something published is not yet freed: perhaps only a piece, or a retracted frame. */
  hasData(): boolean {
    return this.#head !== this.#tailSeen || this.#hasNews();
  }

  /**
   * Looks at the next whole frame: sets `source`, `sourceView`, `start`, `byteLength`. False when
   * there is none. Frees retracted frames on its way. Stays at the same frame until release().
   */
  peek(): boolean {
    if (this.#phase !== NONE) {
      if (this.#phase === TAKEN || !this.#isRetracted()) return true;
      this.#drop();
    }
    while (this.#head !== this.#tailSeen || this.#hasNews()) {
      if (this.#readRecord()) return true;
    }
    return false;
  }

  /**
   * Makes the peeked frame ours: its content stays until release(). False when the writer retracted
   * it meanwhile: then it is freed, and peek() goes on. An untracked frame is ours since peek().
   */
  take(): boolean {
    if (this.#phase === TAKEN) return true;
    assert(this.#phase === PEEKED, "a frame is taken before it was peeked");
    const stateWord = this.#stateWord;
    const before = Atomics.compareExchange(this.#words, stateWord, STATE_READY, STATE_TAKEN);
    if (before === STATE_READY) {
      this.#phase = TAKEN;
      return true;
    }
    this.#drop();
    return false;
  }

  /** Frees the frame at hand: its content may change from now on. */
  release(): void {
    assert(this.#phase === TAKEN, "a frame is released before it was taken");
    this.#drop();
  }

  /** Reads the record at the head. True when it makes a frame at hand, else it is freed. */
  #readRecord(): boolean {
    const index = this.#head & this.#mask;
    const word = index >>> 2;
    const header = this.#words[word] ?? 0;
    const kind = header >>> KIND_SHIFT;
    const byteLength = header & LENGTH_MASK;
    this.#nextHead = (this.#head + recordByteLength(byteLength)) | 0;
    this.#stateWord = word + 1;
    if (kind === KIND_FRAME) {
      this.start = index + RECORD_HEADER_BYTES;
      this.byteLength = byteLength;
    } else if (kind === KIND_LAST_FRAGMENT) {
      this.#addFragment(index + RECORD_HEADER_BYTES, byteLength);
      this.#showAssembly();
    } else {
      if (kind === KIND_FRAGMENT) this.#addFragment(index + RECORD_HEADER_BYTES, byteLength);
      else assert(kind === KIND_PAD, "a ring holds a record of no known kind");
      this.#free();
      return false;
    }
    // A plain read may miss a retract of this moment: take() decides.
    const state = this.#words[this.#stateWord];
    if (state === STATE_RETRACTED) {
      this.#drop();
      return false;
    }
    this.#phase = state === STATE_UNTRACKED ? TAKEN : PEEKED;
    return true;
  }

  #addFragment(start: number, byteLength: number): void {
    if (this.#assembly === null) {
      this.#assembly = new Uint8Array(this.#words[this.#stateWord] ?? 0);
      this.#assembledBytes = 0;
    }
    const piece = this.bytes.subarray(start, start + byteLength);
    this.#assembly.set(piece, this.#assembledBytes);
    this.#assembledBytes += byteLength;
  }

  #showAssembly(): void {
    const assembly = this.#assembly;
    assert(assembly?.byteLength === this.#assembledBytes, "a fragmented frame lacks a piece");
    this.source = assembly;
    this.sourceView = new DataView(assembly.buffer);
    this.start = 0;
    this.byteLength = assembly.byteLength;
  }

  #isRetracted(): boolean {
    return Atomics.load(this.#words, this.#stateWord) === STATE_RETRACTED;
  }

  /** Ends the frame at hand and frees its record. */
  #drop(): void {
    this.#phase = NONE;
    if (this.#assembly !== null) {
      this.#assembly = null;
      this.source = this.bytes;
      this.sourceView = this.view;
    }
    this.#free();
  }

  #free(): void {
    this.#head = this.#nextHead;
    const unpublishedBytes = (this.#head - this.#publishedHead) | 0;
    if (unpublishedBytes >= this.#publishEveryBytes) this.#publish();
  }

  /** Looks at the writer's tail. When there is nothing new, all that was freed is made known. */
  #hasNews(): boolean {
    this.#tailSeen = Atomics.load(this.#positions, TAIL_INDEX);
    if (this.#tailSeen !== this.#head) return true;
    if (this.#publishedHead !== this.#head) this.#publish();
    return false;
  }

  /** Stores before it looks whether the writer waits, which does it the other way round. */
  #publish(): void {
    this.#publishedHead = this.#head;
    Atomics.store(this.#positions, HEAD_INDEX, this.#head);
    if (Atomics.load(this.#positions, WAITING_INDEX) === 0) return;
    if (Atomics.exchange(this.#positions, WAITING_INDEX, 0) === 1) this.onRoom?.();
  }
}
