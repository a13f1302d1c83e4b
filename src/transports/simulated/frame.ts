/** A message as it travels in the simulator: bytes, as on any wire. */
import type { Address } from "#engine/common/ids.ts";
import {
  decodeMessage,
  encodeMessage,
  frameBytesMax,
  FrameWriter,
} from "#engine/protocol/codec/codec.ts";
import type { Message, MessageType } from "#engine/protocol/message.ts";

export interface Frame {
  readonly bytes: Uint8Array;
  readonly from: Address;
  readonly to: Address;
  readonly type: MessageType;
  /** For the trace: two payloads that differ are two events. */
  readonly text: string;
}

export function frameOf(to: Address, message: Message): Frame {
  const bytes = encode(message);
  const { from, type } = message;
  const name = type === "pushTask" ? `${type} ${message.stream}.${message.seq}` : type;
  return { bytes, from, to, type, text: `${name} ${digestOf(bytes)}` };
}

export function messageOf({ bytes, from }: Frame): Message {
  return decodeMessage(bytes, new DataView(bytes.buffer), 0, bytes.length, from);
}

function encode(message: Message): Uint8Array {
  const writer = new FrameWriter(new Uint8Array(frameBytesMax(message)));
  encodeMessage(message, 0, writer);
  return writer.bytes.slice(0, writer.at);
}

function digestOf(bytes: Uint8Array): string {
  let hash = 0x811c9dc5;
  for (let i = 0; i < bytes.length; i++) hash = Math.imul(hash ^ (bytes[i] as number), 0x01000193);
  return `#${(hash >>> 0).toString(16).padStart(8, "0")}`;
}
