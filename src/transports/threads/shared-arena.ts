/**
 * The arena of one node: SharedArrayBuffer segments that every thread maps. They are reserved at
 * start and touched by use: a gigabyte costs nothing until something lies in it.
 */
import type { WorkerId } from "#engine/common/ids.ts";
import { type Arena, objectBytesMax } from "#engine/protocol/arena.ts";
import { assert } from "#engine/common/assert.ts";

export interface OwnSegment {
  readonly segment: number;
  readonly size: number;
}

export class SharedArena implements Arena {
  readonly #buffers = new Map<number, SharedArrayBuffer>();
  readonly #bytes = new Map<number, Uint8Array>();
  /** Of segments that threads made for themselves; each thread knows its own, the host's all. */
  readonly #makers = new Map<number, WorkerId>();
  readonly #waiting = new Map<number, (() => void)[]>();
  /** Its memory goes when every thread has collected what it mapped. */
  onDropped: (buffer: SharedArrayBuffer) => void = () => {};

  constructor(segments: Iterable<readonly [number, SharedArrayBuffer]>) {
    for (const [segment, buffer] of segments) this.add(segment, buffer);
  }

  segments(): [number, SharedArrayBuffer][] {
    return [...this.#buffers];
  }

  get segmentCount(): number {
    return this.#buffers.size;
  }

  segmentBytes(segment: number): number {
    return this.buffer(segment).byteLength;
  }

  bytes(segment: number): Uint8Array {
    const bytes = this.#bytes.get(segment);
    assert(bytes !== undefined, `segment ${segment} of the arena is mapped here`);
    return bytes;
  }

  buffer(segment: number): SharedArrayBuffer {
    const buffer = this.#buffers.get(segment);
    assert(buffer !== undefined, `segment ${segment} of the arena is mapped here`);
    return buffer;
  }

  has(segment: number): boolean {
    return this.#buffers.has(segment);
  }

  /** One that a thread makes for itself, or that another has announced. */
  add(segment: number, buffer: SharedArrayBuffer, maker?: WorkerId): void {
    this.#buffers.set(segment, buffer);
    if (maker !== undefined) this.#makers.set(segment, maker);
    this.#bytes.set(segment, new Uint8Array(buffer));
    const waiting = this.#waiting.get(segment) ?? [];
    this.#waiting.delete(segment);
    for (const wake of waiting) wake();
  }

  /** Views on it keep its memory; nobody will ask for it again. */
  drop(segment: number): void {
    const buffer = this.#buffers.get(segment);
    if (buffer !== undefined) this.onDropped(buffer);
    this.#buffers.delete(segment);
    this.#bytes.delete(segment);
    this.#makers.delete(segment);
  }

  /** What one process has made for itself, and has not dropped. */
  ownOf(maker: WorkerId): OwnSegment[] {
    return [...this.#makers].flatMap(([segment, its]) =>
      its === maker ? [{ segment, size: this.segmentBytes(segment) }] : [],
    );
  }

  /** Drops all of these but `kept`, and says which those were. */
  dropOwn(maker: WorkerId, kept: readonly number[]): OwnSegment[] {
    const dropped = this.ownOf(maker).filter(({ segment }) => !kept.includes(segment));
    for (const { segment } of dropped) this.drop(segment);
    return dropped;
  }

  /** Calls back once the segment is mapped here. */
  whenAdded(segment: number, wake: () => void): void {
    if (this.#buffers.has(segment)) {
      wake();
      return;
    }
    const waiting = this.#waiting.get(segment) ?? [];
    waiting.push(wake);
    this.#waiting.set(segment, waiting);
  }
}

export function reserveSegments(totalBytes: number): SharedArrayBuffer[] {
  const buffers: SharedArrayBuffer[] = [];
  for (let left = totalBytes; left > 0; left -= objectBytesMax) {
    buffers.push(new SharedArrayBuffer(Math.min(left, objectBytesMax)));
  }
  return buffers;
}
