/**
 * The messages of a lease's daily life by hand.
 *
 *   requestWorkerLease  leaseId u48 · depth u32 · noSpill u8 · isRetriable u8 · taskName ·
 *                       resources · strategy
 *   leaseGranted        leaseId u48 · workerId · gpuIds
 *   releaseLease        leaseId u48
 *   taskBlocked         leaseId u48 · blockSeq u48 · blocked u8 · owner
 */
import type { WorkerId } from "#engine/common/ids.ts";
import type {
  LeaseGranted,
  ReleaseLease,
  RequestWorkerLease,
  TaskBlocked,
} from "#engine/protocol/lease.ts";
import type { FrameReader } from "./frame-reader.ts";
import type { FrameWriter } from "./frame-writer.ts";
import { idBytesMax, stringBytesMax } from "./frame-writer.ts";
import { resourcesField, strategyField } from "./shared-fields.ts";
import { countsBytesMax, readCounts, writeCounts } from "./task-codec.ts";

export const releaseLeaseBytes = 6;

export function requestWorkerLeaseBytesMax(message: RequestWorkerLease): number {
  return (
    12 +
    stringBytesMax(message.taskName) +
    resourcesField.bytesMax(message.resources) +
    strategyField.bytesMax(message.strategy)
  );
}

export function writeRequestWorkerLease(writer: FrameWriter, message: RequestWorkerLease): void {
  writer.u48(message.leaseId);
  writer.u32(message.depth);
  writer.bool(message.noSpill);
  writer.bool(message.isRetriable);
  writer.string(message.taskName);
  resourcesField.write(writer, message.resources);
  strategyField.write(writer, message.strategy);
}

export function readRequestWorkerLease(reader: FrameReader): RequestWorkerLease {
  const leaseId = reader.u48();
  const depth = reader.u32();
  const noSpill = reader.bool();
  const isRetriable = reader.bool();
  const taskName = reader.string();
  const resources = resourcesField.read(reader);
  const strategy = strategyField.read(reader);
  return {
    type: "requestWorkerLease",
    from: reader.sender,
    leaseId,
    taskName,
    resources,
    strategy,
    depth,
    noSpill,
    isRetriable,
  };
}

export function leaseGrantedBytesMax(message: LeaseGranted): number {
  return 6 + idBytesMax(message.workerId) + countsBytesMax(message.gpuIds);
}

export function writeLeaseGranted(writer: FrameWriter, message: LeaseGranted): void {
  writer.u48(message.leaseId);
  writer.id(message.workerId);
  writeCounts(writer, message.gpuIds);
}

export function readLeaseGranted(reader: FrameReader): LeaseGranted {
  const leaseId = reader.u48();
  const workerId = reader.id() as WorkerId;
  const gpuIds = readCounts(reader);
  return { type: "leaseGranted", from: reader.sender, leaseId, workerId, gpuIds };
}

export function writeReleaseLease(writer: FrameWriter, message: ReleaseLease): void {
  writer.u48(message.leaseId);
}

export function readReleaseLease(reader: FrameReader): ReleaseLease {
  return { type: "releaseLease", from: reader.sender, leaseId: reader.u48() };
}

export function taskBlockedBytesMax(message: TaskBlocked): number {
  return 13 + idBytesMax(message.owner);
}

export function writeTaskBlocked(writer: FrameWriter, message: TaskBlocked): void {
  writer.u48(message.leaseId);
  writer.u48(message.blockSeq);
  writer.bool(message.blocked);
  writer.id(message.owner);
}

export function readTaskBlocked(reader: FrameReader): TaskBlocked {
  const leaseId = reader.u48();
  const blockSeq = reader.u48();
  const blocked = reader.bool();
  const owner = reader.id() as WorkerId;
  return { type: "taskBlocked", from: reader.sender, owner, leaseId, blockSeq, blocked };
}
