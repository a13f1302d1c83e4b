/** Growing scratch memory with the primitives of wire.ts; reused from value to value. */
import {
  shortStringMax,
  tagBigInt64,
  tagBigIntHex,
  tagFloat,
  tagInteger,
  tagLatin1,
  tagShortString,
  tagTwoByte,
} from "./wire.ts";

const initialBytes = 4096;
const keptBytesMax = 1 << 20;
/** Up to here a loop over characters beats the call into the runtime. */
const loopLengthMax = 24;
const beyondLatin1 = /[^\u0000-\u00ff]/;
const bigInt64Min = -(2n ** 63n);
const bigInt64Max = 2n ** 63n - 1n;

export class ByteWriter {
  scratch: Buffer = Buffer.allocUnsafeSlow(initialBytes);
  length = 0;
  #view = new DataView(this.scratch.buffer);

  /** Starts over; memory that a large value needed is given back. */
  protected rewind(): void {
    this.length = 0;
    if (this.scratch.length > keptBytesMax) this.#replace(initialBytes);
  }

  protected reserve(byteCount: number): void {
    if (this.length + byteCount > this.scratch.length) this.#grow(byteCount);
  }

  protected writeByte(byte: number): void {
    this.reserve(1);
    this.scratch[this.length++] = byte;
  }

  protected writeVarint(value: number): void {
    this.reserve(8);
    while (value > 0x7f) {
      this.scratch[this.length++] = (value % 0x80) | 0x80;
      value = value < 0x80000000 ? value >>> 7 : Math.floor(value / 0x80);
    }
    this.scratch[this.length++] = value;
  }

  protected writeNumber(value: number): void {
    this.reserve(9);
    if ((value | 0) !== value || (value === 0 && 1 / value < 0)) {
      this.scratch[this.length++] = tagFloat;
      this.#view.setFloat64(this.length, value, true);
      this.length += 8;
    } else if (value >= 0 && value <= 0x7f) {
      this.scratch[this.length++] = value;
    } else {
      this.scratch[this.length++] = tagInteger;
      this.writeVarint(((value << 1) ^ (value >> 31)) >>> 0);
    }
  }

  protected writeFloat(value: number): void {
    this.reserve(8);
    this.#view.setFloat64(this.length, value, true);
    this.length += 8;
  }

  protected writeBigInt(value: bigint): void {
    this.reserve(9);
    if (value >= bigInt64Min && value <= bigInt64Max) {
      this.scratch[this.length++] = tagBigInt64;
      this.#view.setBigInt64(this.length, value, true);
      this.length += 8;
      return;
    }
    this.scratch[this.length++] = tagBigIntHex;
    this.writeString(value.toString(16));
  }

  protected writeString(value: string): void {
    const length = value.length;
    if (length <= loopLengthMax) {
      this.reserve(length + 1);
      const scratch = this.scratch;
      let at = this.length + 1;
      let all = 0;
      for (let i = 0; i < length; i++) {
        const code = value.charCodeAt(i);
        all |= code;
        scratch[at++] = code;
      }
      if (all <= 0xff) {
        scratch[this.length] = tagShortString + length;
        this.length = at;
        return;
      }
    } else if (!beyondLatin1.test(value)) {
      this.reserve(length + 9);
      if (length <= shortStringMax) this.scratch[this.length++] = tagShortString + length;
      else {
        this.scratch[this.length++] = tagLatin1;
        this.writeVarint(length);
      }
      this.length += this.scratch.write(value, this.length, length, "latin1");
      return;
    }
    this.reserve(length * 2 + 9);
    this.scratch[this.length++] = tagTwoByte;
    this.writeVarint(length);
    this.length += this.scratch.write(value, this.length, length * 2, "utf16le");
  }

  protected writeBytes(bytes: Uint8Array): void {
    this.reserve(bytes.length);
    this.scratch.set(bytes, this.length);
    this.length += bytes.length;
  }

  #grow(byteCount: number): void {
    const old = this.scratch;
    this.#replace(Math.max(old.length * 2, this.length + byteCount));
    this.scratch.set(old.subarray(0, this.length));
  }

  #replace(byteLength: number): void {
    this.scratch = Buffer.allocUnsafeSlow(byteLength);
    this.#view = new DataView(this.scratch.buffer);
  }
}
