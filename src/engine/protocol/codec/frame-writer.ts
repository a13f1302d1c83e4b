/**
 * Life of a writer: pointed at memory → fields of a frame, one after another → pointed elsewhere.
 *
 * It never asks for room: who points it has reserved `frameBytesMax`. Numbers are little-endian.
 * What a field cannot hold is an assertion, for the numbers are the engine's own.
 */
import { assert } from "#engine/common/assert.ts";
import type { Address, NodeId, WorkerId } from "#engine/common/ids.ts";
import { gcsAddress, nodeIdOf } from "#engine/common/ids.ts";
import type { ArenaBytes } from "#engine/protocol/arena.ts";
import { idAbsent, idAsString, idHexBytesMax, idOfSender } from "./wire-marks.ts";

export const varintBytesMax = 8;
export const numberBytesMax = 9;

export function stringBytesMax(text: string): number {
  return varintBytesMax + 2 * text.length;
}

export function idBytesMax(id: string): number {
  return 1 + stringBytesMax(id);
}

const two32 = 2 ** 32;
const two48 = 2 ** 48;
/** From here on one native call is cheaper than a loop. */
const longStringUnits = 64;
const longBytes = 48;
const asciiEncoder = new TextEncoder();

export class FrameWriter {
  bytes: Uint8Array;
  /** Over the same memory as `bytes`. */
  view: DataView;
  /** Index in `bytes` of the next field. */
  at = 0;
  /** Who sends the frame: its own id takes one byte. */
  sender: Address = gcsAddress;
  /** Values in functions in values around the next field. */
  nesting = 0;
  /** Where chunks of objects are copied from; null in a process that serves none. */
  arena: ArenaBytes | null = null;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  pointAt(bytes: Uint8Array, view: DataView, at: number): void {
    this.bytes = bytes;
    this.view = view;
    this.at = at;
  }

  u8(value: number): void {
    assert((value & 0xff) === value, "a number does not fit 8 bits of a frame");
    this.bytes[this.at] = value;
    this.at += 1;
  }

  u16(value: number): void {
    assert((value & 0xffff) === value, "a number does not fit 16 bits of a frame");
    this.view.setUint16(this.at, value, true);
    this.at += 2;
  }

  u32(value: number): void {
    assert(value >>> 0 === value, "a number does not fit 32 bits of a frame");
    this.view.setUint32(this.at, value, true);
    this.at += 4;
  }

  /** Counters that never wrap, and offsets: what 12 hex digits hold. */
  u48(value: number): void {
    const low = value >>> 0;
    this.view.setUint32(this.at, low, true);
    this.view.setUint16(this.at + 4, low === value ? 0 : highOf48(value), true);
    this.at += 6;
  }

  i32(value: number): void {
    this.view.setInt32(this.at, value, true);
    this.at += 4;
  }

  f64(value: number): void {
    this.view.setFloat64(this.at, value, true);
    this.at += 8;
  }

  bool(value: boolean): void {
    this.bytes[this.at] = value ? 1 : 0;
    this.at += 1;
  }

  /** Seven bits a byte, low ones first; integers from 0 to 2^53 - 1. */
  varint(value: number): void {
    if ((value & 0x7f) === value) {
      this.bytes[this.at] = value;
      this.at += 1;
      return;
    }
    assert(Number.isSafeInteger(value) && value > 0, "a number is not a count");
    let rest = value;
    let at = this.at;
    while (rest > 0x7f) {
      this.bytes[at++] = (rest & 0x7f) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.bytes[at++] = rest;
    this.at = at;
  }

  /** Any number: counts take few bytes, all others nine. */
  number(value: number): void {
    const isCount = Number.isInteger(value) && value >= 0 && value < Number.MAX_SAFE_INTEGER;
    if (isCount && !Object.is(value, -0)) {
      this.varint(value + 1);
      return;
    }
    this.varint(0);
    this.f64(value);
  }

  /** Latin-1 when every code unit allows it, else UTF-16, in which lone surrogates survive. */
  string(text: string): void {
    const { length } = text;
    const startAt = this.at;
    this.varint(length * 2);
    if (length >= longStringUnits && this.#asciiByOneCall(text)) return;
    const { bytes, at } = this;
    for (let index = 0; index < length; index++) {
      const unit = text.charCodeAt(index);
      if (unit > 0xff) {
        this.at = startAt;
        this.#wideString(text);
        return;
      }
      bytes[at + index] = unit;
    }
    this.at = at + length;
  }

  id(id: string): void {
    const byteLength = id.length >>> 1;
    if (byteLength === 0 || byteLength > idHexBytesMax || byteLength * 2 !== id.length) {
      this.#idAsString(id);
      return;
    }
    const { bytes, at } = this;
    for (let index = 0; index < byteLength; index++) {
      const high = hexDigit(id.charCodeAt(index * 2));
      const low = hexDigit(id.charCodeAt(index * 2 + 1));
      if ((high | low) < 0) {
        this.#idAsString(id);
        return;
      }
      bytes[at + 1 + index] = (high << 4) | low;
    }
    bytes[at] = byteLength;
    this.at = at + 1 + byteLength;
  }

  idOrNull(id: string | null): void {
    if (id === null) this.u8(idAbsent);
    else this.id(id);
  }

  idOrSender(id: string): void {
    if (id === this.sender) this.u8(idOfSender);
    else this.id(id);
  }

  /** Null stands for the node of the sender. */
  nodeOrSenders(node: NodeId | null): void {
    if (node === null || node === nodeIdOf(this.sender as WorkerId)) this.u8(idOfSender);
    else this.id(node);
  }

  /** A part of other memory, without its length. */
  copy(source: Uint8Array, start: number, length: number): void {
    assert(start >= 0 && start + length <= source.length, "a value lies outside its memory");
    const { bytes, at } = this;
    if (length >= longBytes) {
      bytes.set(source.subarray(start, start + length), at);
    } else {
      for (let index = 0; index < length; index++) bytes[at + index] = source[start + index] ?? 0;
    }
    this.at = at + length;
  }

  #idAsString(id: string): void {
    this.u8(idAsString);
    this.string(id);
  }

  /** One byte for each code unit holds the UTF-8 of ASCII only. False: nothing written counts. */
  #asciiByOneCall(text: string): boolean {
    const { at } = this;
    const { length } = text;
    const { read } = asciiEncoder.encodeInto(text, this.bytes.subarray(at, at + length));
    if (read !== length) return false;
    this.at = at + length;
    return true;
  }

  #wideString(text: string): void {
    const { length } = text;
    this.varint(length * 2 + 1);
    const { view, at } = this;
    for (let index = 0; index < length; index++) {
      view.setUint16(at + index * 2, text.charCodeAt(index), true);
    }
    this.at = at + length * 2;
  }
}

function highOf48(value: number): number {
  const isCount = Number.isInteger(value) && value >= 0 && value < two48;
  assert(isCount, "a number does not fit 48 bits of a frame");
  return Math.floor(value / two32);
}

/** Of lower-case hex; negative for anything else. */
function hexDigit(unit: number): number {
  if (unit >= 48 && unit <= 57) return unit - 48;
  return unit >= 97 && unit <= 102 ? unit - 87 : -1;
}
