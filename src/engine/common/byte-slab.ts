/**
 * Keeps many small byte strings in few buffers: a Uint8Array of its own costs a value of twelve
 * bytes two hundred more. A slab is garbage once nothing points into it.
 */
const slabBytes = 65_536;
/** Larger strings get a buffer of their own, so that they do not keep a slab of strangers alive. */
const ownBufferAtBytes = 8_192;

export class ByteSlab {
  /** Where the last `append` or `reserve` put its bytes. */
  bytes: Uint8Array = new Uint8Array(0);
  start = 0;
  #slab = new Uint8Array(0);
  #used = 0;

  append(source: Uint8Array, from: number, length: number): void {
    this.reserve(length);
    const { bytes, start } = this;
    if (length > 64) {
      bytes.set(source.subarray(from, from + length), start);
      return;
    }
    for (let i = 0; i < length; i++) bytes[start + i] = source[from + i] as number;
  }

  /** Room for `length` bytes, to be written by the caller. */
  reserve(length: number): void {
    if (length >= ownBufferAtBytes) {
      this.bytes = new Uint8Array(length);
      this.start = 0;
      return;
    }
    if (this.#used + length > this.#slab.length) {
      this.#slab = new Uint8Array(slabBytes);
      this.#used = 0;
    }
    this.bytes = this.#slab;
    this.start = this.#used;
    this.#used += length;
  }
}
