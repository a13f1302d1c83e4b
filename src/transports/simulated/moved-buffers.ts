/** Buffers on their way from one process of a node to another, beside the frames. */
import type { Address } from "#engine/common/ids.ts";
import type { MovedBuffers, TransportReceiver } from "#engine/protocol/transport.ts";
import type { Load } from "./lane.ts";
import type { Said } from "./network-world.ts";

export class BuffersUnderWay implements Load {
  readonly said: Said;
  readonly type = null;
  readonly sizeBytes = 0;
  readonly #to: Address;
  readonly #moved: MovedBuffers;
  readonly #receiver: TransportReceiver;

  /** From here on the sender does not have them. */
  constructor(to: Address, moved: MovedBuffers, receiver: TransportReceiver) {
    const { from, serial, stream, seq } = moved;
    const buffers = structuredClone(moved.buffers, { transfer: [...moved.buffers] });
    const digest = digestOf(buffers);
    const text = `buffers ${stream}.${seq} #${(digest >>> 0).toString(16).padStart(8, "0")}`;
    this.said = { digest, text };
    this.#to = to;
    this.#moved = { from, serial, stream, seq, buffers };
    this.#receiver = receiver;
  }

  deliver(): void {
    this.#receiver.onBuffersMoved(this.#to, this.#moved);
  }
}

/** For the trace: two that differ are two events. */
function digestOf(buffers: readonly ArrayBuffer[]): number {
  let hash = 0x811c9dc5;
  for (const buffer of buffers) {
    for (const byte of new Uint8Array(buffer)) hash = Math.imul(hash ^ byte, 0x01000193);
    hash = Math.imul(hash ^ buffer.byteLength, 0x01000193);
  }
  return hash;
}
