/**
 * A thread that spills or restores (WorkerMode SPILL_WORKER, RESTORE_WORKER): does with files what
 * its port says, on the segments of the arena that it was given. It knows nothing else of the node.
 */
import { isMainThread, type MessagePort, workerData } from "node:worker_threads";
import { SpillFilesOnDisk } from "#engine/services/spill-files.ts";
import type { SpillEvent, SpillInstruction } from "#engine/raylet/spill-io.ts";
import { SharedArena } from "#transports/threads/shared-arena.ts";
import { GarbageCollection } from "./garbage-collection.ts";
import { nodeDisk } from "./node-disk.ts";

export interface SpillWorkerData {
  readonly port: MessagePort;
  readonly segments: readonly (readonly [number, SharedArrayBuffer])[];
  readonly prefix: string;
  readonly diskUsedMax: number;
}

/** Of the arena, beyond what it began with. */
export type SegmentMessage =
  | { readonly type: "segment"; readonly segment: number; readonly buffer: SharedArrayBuffer }
  | { readonly type: "dropSegment"; readonly segment: number };

if (!isMainThread) {
  const { port, segments, prefix, diskUsedMax } = workerData as SpillWorkerData;
  const arena = new SharedArena(segments);
  // Nothing else here makes garbage, and V8 does not feel the weight of a segment.
  const storeBytes = segments.reduce((sum, [, { byteLength }]) => sum + byteLength, 0);
  const collection = new GarbageCollection({ storeBytes, handleCollectMs: 0 });
  const weigh = (buffer: SharedArrayBuffer): void => collection.weigh(buffer, buffer.byteLength);
  arena.onDropped = weigh;
  const files = new SpillFilesOnDisk({ disk: nodeDisk, arena, prefix, diskUsedMax });
  const tell = (event: SpillEvent): void => port.postMessage(event);
  port.on("message", (instruction: SpillInstruction | SegmentMessage) => {
    if (instruction.type === "segment") arena.add(instruction.segment, instruction.buffer);
    else if (instruction.type === "dropSegment") arena.drop(instruction.segment);
    else if (instruction.type === "spillObjects") void files.spill(instruction).then(tell);
    else if (instruction.type === "restoreObject") void files.restore(instruction).then(tell);
    else if (instruction.type === "readSpilled") void files.readPart(instruction).then(tell);
    else void files.delete(instruction.file);
  });
}
