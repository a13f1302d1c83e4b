/** Gives a decoded value its views and buffers back, in their order (see buffer-collector.ts). */
import {
  alignUp,
  rangeInline,
  rangeLengthUnit,
  rangeMoved,
  rangeResizable,
  rangeShared,
  rangeWhole,
} from "./buffer-collector.ts";
import { viewConstructor } from "./view-kinds.ts";

interface Range {
  /** From the start of the source; set once the table has been read. */
  position: number;
  readonly byteLength: number;
  readonly flags: number;
  readonly maxByteLength: number;
  /** Made of its bytes when it is first asked for; one that was transferred is there. */
  copy: ArrayBufferLike | undefined;
}

export class BufferTable {
  #source: Uint8Array;
  #zeroCopy: boolean;
  #moved: readonly ArrayBuffer[];
  #ranges: Range[] = [];
  /** Range, offset in it and length of each view. */
  #places: number[] = [];
  #next = 0;

  constructor(source: Uint8Array, zeroCopy: boolean, moved: readonly ArrayBuffer[]) {
    this.#source = source;
    this.#zeroCopy = zeroCopy;
    this.#moved = moved;
  }

  read(readVarint: () => number): void {
    const viewCount = readVarint();
    const rangeCount = readVarint();
    for (let i = 0; i < viewCount * 3; i++) this.#places.push(readVarint());
    for (let i = 0; i < rangeCount; i++) {
      const lengthAndFlags = readVarint();
      const flags = lengthAndFlags % rangeLengthUnit;
      const length = Math.floor(lengthAndFlags / rangeLengthUnit);
      const isMoved = (flags & rangeMoved) !== 0;
      this.#ranges.push({
        position: 0,
        byteLength: isMoved ? 0 : length,
        flags,
        maxByteLength: (flags & rangeResizable) === 0 ? -1 : readVarint(),
        copy: isMoved ? this.#movedBuffer(length) : undefined,
      });
    }
  }

  /** Of the source: where the value starts, where its table ends, where all of it ends. */
  locate(start: number, tableEnd: number, end: number): void {
    let at = tableEnd;
    for (const range of this.#ranges) {
      if ((range.flags & rangeInline) === 0) continue;
      range.position = at;
      at += range.byteLength;
    }
    for (const range of this.#ranges) {
      if ((range.flags & (rangeInline | rangeMoved)) !== 0) continue;
      range.position = start + alignUp(at - start);
      at = range.position + range.byteLength;
    }
    if (at > end) throw new Error("the buffers of the value are cut off");
  }

  nextView(kind: number): ArrayBufferView {
    const constructor = viewConstructor(kind);
    const { range, offset, byteLength } = this.#take();
    const length = byteLength / (constructor.BYTES_PER_ELEMENT ?? 1);
    const inSource = this.#source.byteOffset + range.position;
    const mustCopy =
      (range.flags & (rangeInline | rangeWhole | rangeMoved)) !== 0 || inSource % 8 !== 0;
    return this.#zeroCopy && !mustCopy
      ? new constructor(this.#source.buffer, inSource + offset, length)
      : new constructor(this.#copy(range), offset, length);
  }

  nextBuffer(): ArrayBufferLike {
    return this.#copy(this.#take().range);
  }

  #movedBuffer(number: number): ArrayBuffer {
    const buffer = this.#moved[number];
    if (buffer === undefined) throw new Error(`transferred buffer ${number} is missing`);
    return buffer;
  }

  #take(): { range: Range; offset: number; byteLength: number } {
    const at = this.#next;
    this.#next += 3;
    const range = this.#ranges[this.#places[at] ?? -1];
    const offset = this.#places[at + 1];
    const byteLength = this.#places[at + 2];
    if (range === undefined || offset === undefined || byteLength === undefined) {
      throw new Error("the buffer table is too short");
    }
    return { range, offset, byteLength };
  }

  #copy(range: Range): ArrayBufferLike {
    if (range.copy !== undefined) return range.copy;
    const { position, byteLength, maxByteLength, flags } = range;
    const options = maxByteLength < 0 ? undefined : { maxByteLength };
    const isShared = (flags & rangeShared) !== 0;
    const copy = isShared
      ? new SharedArrayBuffer(byteLength, options)
      : new ArrayBuffer(byteLength, options);
    new Uint8Array(copy).set(this.#source.subarray(position, position + byteLength));
    range.copy = copy;
    return copy;
  }
}
