/**
 * Life of a reader: pointed at a frame → its fields, one after another → pointed at the next frame.
 *
 * The frame may be written by anybody: no field reads beyond the frame's end, no count promises
 * more items than the rest of the frame can hold, and what cannot have been written is a WireError.
 */
import type { Address, NodeId } from "#engine/common/ids.ts";
import { gcsAddress } from "#engine/common/ids.ts";
import { WireError } from "./wire-error.ts";
import { idAbsent, idAsString, idHexBytesMax, idOfSender } from "./wire-marks.ts";
import { hexString, latin1String, utf16String } from "./wire-string.ts";

const two32 = 2 ** 32;
const two56 = 2 ** 56;
const noBytes = new Uint8Array(0);

export class FrameReader {
  bytes: Uint8Array = noBytes;
  /** Over the same memory as `bytes`. */
  view: DataView = new DataView(noBytes.buffer);
  /** Index in `bytes` of the next field. */
  at = 0;
  end = 0;
  sender: Address = gcsAddress;
  /** Values in functions in values around the next field. */
  nesting = 0;

  pointAt(bytes: Uint8Array, view: DataView, start: number, end: number): void {
    this.bytes = bytes;
    this.view = view;
    this.at = start;
    this.end = end;
    this.nesting = 0;
  }

  /** Moves behind the next `byteLength` bytes of the frame and returns where they begin. */
  take(byteLength: number): number {
    const { at } = this;
    if (byteLength > this.end - at) throw new WireError("a frame ends inside a field");
    this.at = at + byteLength;
    return at;
  }

  u8(): number {
    return this.view.getUint8(this.take(1));
  }

  u16(): number {
    return this.view.getUint16(this.take(2), true);
  }

  u32(): number {
    return this.view.getUint32(this.take(4), true);
  }

  u48(): number {
    const at = this.take(6);
    const low = this.view.getUint32(at, true);
    const high = this.view.getUint16(at + 4, true);
    return high === 0 ? low : high * two32 + low;
  }

  i32(): number {
    return this.view.getInt32(this.take(4), true);
  }

  f64(): number {
    return this.view.getFloat64(this.take(8), true);
  }

  bool(): boolean {
    const byte = this.u8();
    if (byte > 1) throw new WireError("a truth value is neither 0 nor 1");
    return byte === 1;
  }

  varint(): number {
    const first = this.u8();
    if (first < 0x80) return first;
    let value = first - 0x80;
    for (let scale = 0x80; scale < two56; scale *= 0x80) {
      const byte = this.u8();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80 && value <= Number.MAX_SAFE_INTEGER) return value;
    }
    throw new WireError("a count is larger than any");
  }

  /** A count of items that follow, each of at least `itemBytesMin` (≥ 1) bytes. */
  count(itemBytesMin: number): number {
    const count = this.varint();
    if (count > (this.end - this.at) / itemBytesMin) {
      throw new WireError("a frame ends inside a list");
    }
    return count;
  }

  number(): number {
    const value = this.varint();
    return value === 0 ? this.f64() : value - 1;
  }

  string(): string {
    const head = this.varint();
    const length = Math.floor(head / 2);
    if (head % 2 === 0) return latin1String(this.view, this.take(length), length);
    return utf16String(this.view, this.take(length * 2), length);
  }

  id(): string {
    return this.#idMarked(this.u8());
  }

  idOrNull(): string | null {
    const mark = this.u8();
    return mark === idAbsent ? null : this.#idMarked(mark);
  }

  idOrSender(): string {
    const mark = this.u8();
    return mark === idOfSender ? this.sender : this.#idMarked(mark);
  }

  nodeOrSenders(): NodeId {
    const mark = this.u8();
    return (mark === idOfSender ? this.sender.slice(0, 32) : this.#idMarked(mark)) as NodeId;
  }

  #idMarked(mark: number): string {
    if (mark === idAsString) return this.string();
    if (mark > idHexBytesMax) throw new WireError("an id is neither hex nor a string");
    return hexString(this.view, this.take(mark), mark);
  }
}
