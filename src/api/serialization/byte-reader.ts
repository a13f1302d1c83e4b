/** Reads the primitives of wire.ts; the counterpart of byte-writer.ts. */
import { tagLatin1, tagShortString, tagTwoByte, tagUndefined } from "./wire.ts";

const { latin1Slice, ucs2Slice } = Buffer.prototype;
const floats = new Float64Array(1);
const bigInts = new BigInt64Array(floats.buffer);
const eightBytes = new Uint8Array(floats.buffer);
/** Up to here putting characters together beats the call into the runtime. V8 makes a slice of a
 *  string up to here a copy, too; a longer one would hold the string it was cut from. */
const loopLengthMax = 12;
/** In longer input it pays to make a view for floats and windows for short strings. */
const longInputMin = 128;
const windowBytes = 4096;

/** Keys repeat from value to value: a direct-mapped cache saves making and interning them again. */
const keyCacheSize = 512;
const keyCache = new Array<string>(keyCacheSize).fill("");

export class ByteReader {
  protected bytes: Uint8Array;
  protected position = 0;
  protected end = 0;
  #isLong = false;
  #view: DataView | undefined;
  #window = "";
  #windowStart = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  protected startAt(bytes: Uint8Array, position: number, end: number): void {
    this.bytes = bytes;
    this.position = position;
    this.end = end;
    this.#isLong = end - position > longInputMin;
    this.#view = undefined;
    this.#window = "";
    this.#windowStart = 0;
  }

  protected readByte(): number {
    if (this.position >= this.end) throw truncated();
    return this.bytes[this.position++] as number;
  }

  protected readVarint(): number {
    const { bytes, position } = this;
    const first = bytes[position] as number;
    const second = bytes[position + 1] as number;
    const third = bytes[position + 2] as number;
    if (position + 2 >= this.end || (first & second & third) > 0x7f) return this.#readLongVarint();
    if (first < 0x80) {
      this.position = position + 1;
      return first;
    }
    if (second < 0x80) {
      this.position = position + 2;
      return (first & 0x7f) | (second << 7);
    }
    this.position = position + 3;
    return (first & 0x7f) | ((second & 0x7f) << 7) | (third << 14);
  }

  #readLongVarint(): number {
    let value = 0;
    let scale = 1;
    let byte: number;
    do {
      byte = this.readByte();
      value += (byte & 0x7f) * scale;
      scale *= 0x80;
    } while (byte >= 0x80);
    return value;
  }

  protected readInteger(): number {
    const zigzag = this.readVarint();
    return (zigzag >>> 1) ^ -(zigzag & 1);
  }

  protected readFloat(): number {
    const from = this.#skip(8);
    if (this.#isLong) return (this.#view ??= this.#makeView()).getFloat64(from, true);
    for (let i = 0; i < 8; i++) eightBytes[i] = this.bytes[from + i] as number;
    return floats[0] as number;
  }

  protected readBigInt64(): bigint {
    const from = this.#skip(8);
    for (let i = 0; i < 8; i++) eightBytes[i] = this.bytes[from + i] as number;
    return bigInts[0] as bigint;
  }

  /** The string whose tag is next. */
  protected readString(): string {
    return this.readTaggedString(this.readByte());
  }

  protected readTaggedString(tag: number): string {
    if (tag >= tagShortString && tag < tagUndefined) return this.readLatin1(tag - tagShortString);
    if (tag === tagLatin1) return this.readLatin1(this.readVarint());
    if (tag !== tagTwoByte) throw new Error(`a string was expected, not tag ${tag}`);
    const from = this.#skip(this.readVarint() * 2);
    return ucs2Slice.call(this.bytes, from, this.position);
  }

  protected readLatin1(length: number): string {
    const from = this.#skip(length);
    if (length > loopLengthMax) return latin1Slice.call(this.bytes, from, this.position);
    if (this.#isLong) return this.#cutFromWindow(from, length);
    let text = "";
    for (let at = from; at < this.position; at++) {
      text += String.fromCharCode(this.bytes[at] as number);
    }
    return text;
  }

  /** A short string, copied out of a longer one: one call into the runtime serves many.
   *  Reading only goes forward. */
  #cutFromWindow(from: number, length: number): string {
    let at = from - this.#windowStart;
    if (at + length > this.#window.length) {
      this.#windowStart = from;
      const to = Math.min(this.end, from + windowBytes);
      this.#window = latin1Slice.call(this.bytes, from, to);
      at = 0;
    }
    return this.#window.slice(at, at + length);
  }

  protected readKey(): string {
    const tag = this.bytes[this.position] as number;
    if (tag < tagShortString || tag > tagShortString + loopLengthMax) return this.readString();
    const from = this.position + 1;
    const to = from + tag - tagShortString;
    if (to > this.end) throw truncated();
    let hash = tag;
    for (let at = from; at < to; at++) hash = (hash * 31 + (this.bytes[at] as number)) | 0;
    const slot = hash & (keyCacheSize - 1);
    const cached = keyCache[slot] as string;
    if (cached.length === to - from) {
      let i = 0;
      while (i < cached.length && cached.charCodeAt(i) === this.bytes[from + i]) i++;
      if (i === cached.length) {
        this.position = to;
        return cached;
      }
    }
    const key = this.readString();
    keyCache[slot] = key;
    return key;
  }

  protected readBytes(byteCount: number): Uint8Array {
    const from = this.#skip(byteCount);
    return this.bytes.subarray(from, this.position);
  }

  #skip(byteCount: number): number {
    const from = this.position;
    if (byteCount > this.end - from) throw truncated();
    this.position = from + byteCount;
    return from;
  }

  #makeView(): DataView {
    return new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.length);
  }
}

function truncated(): Error {
  return new Error("the encoded value ends too early");
}
