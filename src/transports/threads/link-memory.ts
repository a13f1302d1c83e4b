/**
 * The shared memory of one link: for each direction a ring of control frames and a ring of task
 * frames.
 */
import { RingReader } from "./ring-reader.ts";
import { ringByteLength } from "./ring-layout.ts";
import { RingWriter } from "./ring-writer.ts";

export interface LinkMemory {
  readonly buffer: SharedArrayBuffer;
  readonly controlBytes: number;
  readonly taskBytes: number;
}

/** The maker of the link is side 0. */
export type LinkSide = 0 | 1;

export interface LinkEnds {
  readonly controlOut: RingWriter;
  readonly tasksOut: RingWriter;
  readonly controlIn: RingReader;
  readonly tasksIn: RingReader;
}

export function makeLinkMemory(controlBytes: number, taskBytes: number): LinkMemory {
  const byteLength = 2 * (ringByteLength(controlBytes) + ringByteLength(taskBytes));
  return { buffer: new SharedArrayBuffer(byteLength), controlBytes, taskBytes };
}

export function openLinkMemory(memory: LinkMemory, side: LinkSide): LinkEnds {
  const { buffer, controlBytes, taskBytes } = memory;
  const control = ringByteLength(controlBytes);
  const oneWay = control + ringByteLength(taskBytes);
  const out = side === 0 ? 0 : oneWay;
  const back = side === 0 ? oneWay : 0;
  return {
    controlOut: new RingWriter(buffer, out, controlBytes),
    tasksOut: new RingWriter(buffer, out + control, taskBytes),
    controlIn: new RingReader(buffer, back, controlBytes),
    tasksIn: new RingReader(buffer, back + control, taskBytes),
  };
}
