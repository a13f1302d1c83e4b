/**
 * The messages of a running task by hand, for they are most of all frames. Their first part has a
 * fixed layout; a byte of flags says which of the fields behind it are there.
 *
 *   pushTask   flags u8 · stream u48 · seq u48 · serial u48 · attempt u32 · depth u32 ·
 *              functionNumber u32 · args · [definition] · [values] · [gpuIds] · [holds]
 *   taskReply  flags u8 · stream u48 · seq u48 · durationMs f64 · outcome · [outcomes] ·
 *              [keptRefs] · [holds]
 *   takenBack  stream u48 · count · seqs u48 each
 */
import type { Outcome } from "#engine/protocol/outcome.ts";
import type { ObjectName, PushTask, TakenBack, TaskReply } from "#engine/protocol/task.ts";
import type { FrameReader } from "./frame-reader.ts";
import type { FrameWriter } from "./frame-writer.ts";
import { varintBytesMax } from "./frame-writer.ts";
import {
  encodedBytesMax,
  outcomeBytesMax,
  readEncoded,
  readOutcome,
  writeEncoded,
  writeOutcome,
} from "./outcome-codec.ts";
import { definitionField, heldRefsField } from "./shared-fields.ts";
import { WireError } from "./wire-error.ts";

const hasDefinition = 1;
const hasValues = 2;
const hasGpuIds = 4;
const hasPushHolds = 8;
/** It says all that there is to say. */
const hasBuffers = 16;
const hasOutcomes = 1;
const hasKeptRefs = 2;
const hasReplyHolds = 4;

const pushFlags = hasDefinition | hasValues | hasGpuIds | hasPushHolds | hasBuffers;

const pushTaskFixedBytes = 31;
const taskReplyFixedBytes = 21;
const objectNameBytes = 8;

export function pushTaskBytesMax(message: PushTask): number {
  const { definition, values, gpuIds, holds } = message;
  let bytes = pushTaskFixedBytes + encodedBytesMax(message.args);
  if (definition !== null) bytes += definitionField.bytesMax(definition);
  if (values !== null) bytes += outcomesBytesMax(values);
  if (gpuIds !== null) bytes += countsBytesMax(gpuIds);
  if (holds !== null) bytes += heldRefsField.bytesMax(holds);
  return bytes;
}

export function writePushTask(writer: FrameWriter, message: PushTask): void {
  const { definition, values, gpuIds, holds } = message;
  const flags =
    (definition === null ? 0 : hasDefinition) |
    (values === null ? 0 : hasValues) |
    (gpuIds === null ? 0 : hasGpuIds) |
    (holds === null ? 0 : hasPushHolds) |
    (message.hasBuffers ? hasBuffers : 0);
  writer.u8(flags);
  writer.u48(message.stream);
  writer.u48(message.seq);
  writer.u48(message.serial);
  writer.u32(message.attempt);
  writer.u32(message.depth);
  writer.u32(message.functionNumber);
  writeEncoded(writer, message.args);
  if (definition !== null) definitionField.write(writer, definition);
  if (values !== null) writeOutcomes(writer, values);
  if (gpuIds !== null) writeCounts(writer, gpuIds);
  if (holds !== null) heldRefsField.write(writer, holds);
}

export function readPushTask(reader: FrameReader): PushTask {
  const flags = readFlags(reader, pushFlags);
  const stream = reader.u48();
  const seq = reader.u48();
  const serial = reader.u48();
  const attempt = reader.u32();
  const depth = reader.u32();
  const functionNumber = reader.u32();
  const args = readEncoded(reader);
  const definition = (flags & hasDefinition) === 0 ? null : definitionField.read(reader);
  const values = (flags & hasValues) === 0 ? null : readOutcomes(reader);
  const gpuIds = (flags & hasGpuIds) === 0 ? null : readCounts(reader);
  const holds = (flags & hasPushHolds) === 0 ? null : heldRefsField.read(reader);
  return {
    type: "pushTask",
    from: reader.sender,
    stream,
    seq,
    serial,
    attempt,
    depth,
    functionNumber,
    definition,
    args,
    values,
    gpuIds,
    holds,
    hasBuffers: (flags & hasBuffers) !== 0,
  };
}

export function taskReplyBytesMax(message: TaskReply): number {
  const { outcomes, keptRefs, holds } = message;
  let bytes = taskReplyFixedBytes + outcomeBytesMax(message.outcome);
  if (outcomes !== null) bytes += outcomesBytesMax(outcomes);
  if (keptRefs !== null) bytes += varintBytesMax + keptRefs.length * objectNameBytes;
  if (holds !== null) bytes += heldRefsField.bytesMax(holds);
  return bytes;
}

export function writeTaskReply(writer: FrameWriter, message: TaskReply): void {
  const { outcomes, keptRefs, holds } = message;
  const flags =
    (outcomes === null ? 0 : hasOutcomes) |
    (keptRefs === null ? 0 : hasKeptRefs) |
    (holds === null ? 0 : hasReplyHolds);
  writer.u8(flags);
  writer.u48(message.stream);
  writer.u48(message.seq);
  writer.f64(message.durationMs);
  writeOutcome(writer, message.outcome);
  if (outcomes !== null) writeOutcomes(writer, outcomes);
  if (keptRefs !== null) writeObjectNames(writer, keptRefs);
  if (holds !== null) heldRefsField.write(writer, holds);
}

export function readTaskReply(reader: FrameReader): TaskReply {
  const flags = readFlags(reader, hasOutcomes | hasKeptRefs | hasReplyHolds);
  const stream = reader.u48();
  const seq = reader.u48();
  const durationMs = reader.f64();
  const outcome = readOutcome(reader);
  const outcomes = (flags & hasOutcomes) === 0 ? null : readOutcomes(reader);
  const keptRefs = (flags & hasKeptRefs) === 0 ? null : readObjectNames(reader);
  const holds = (flags & hasReplyHolds) === 0 ? null : heldRefsField.read(reader);
  return {
    type: "taskReply",
    from: reader.sender,
    stream,
    seq,
    durationMs,
    outcome,
    outcomes,
    keptRefs,
    holds,
  };
}

export function takenBackBytesMax(message: TakenBack): number {
  return 6 + varintBytesMax + message.seqs.length * 6;
}

export function writeTakenBack(writer: FrameWriter, message: TakenBack): void {
  writer.u48(message.stream);
  writer.varint(message.seqs.length);
  for (const seq of message.seqs) writer.u48(seq);
}

export function readTakenBack(reader: FrameReader): TakenBack {
  const stream = reader.u48();
  const seqs: number[] = [];
  for (let count = reader.count(6); count > 0; count--) seqs.push(reader.u48());
  return { type: "takenBack", from: reader.sender, stream, seqs };
}

/** Small integers, such as indices of GPUs. */
export function countsBytesMax(counts: readonly number[]): number {
  return (1 + counts.length) * varintBytesMax;
}

export function writeCounts(writer: FrameWriter, counts: readonly number[]): void {
  writer.varint(counts.length);
  for (const count of counts) writer.varint(count);
}

export function readCounts(reader: FrameReader): readonly number[] {
  const counts: number[] = [];
  for (let left = reader.count(1); left > 0; left--) counts.push(reader.varint());
  return counts;
}

function readFlags(reader: FrameReader, known: number): number {
  const flags = reader.u8();
  if ((flags & ~known) !== 0) throw new WireError("a flag has no meaning");
  return flags;
}

function outcomesBytesMax(outcomes: readonly Outcome[]): number {
  let bytes = varintBytesMax;
  for (const outcome of outcomes) bytes += outcomeBytesMax(outcome);
  return bytes;
}

function writeOutcomes(writer: FrameWriter, outcomes: readonly Outcome[]): void {
  writer.varint(outcomes.length);
  for (const outcome of outcomes) writeOutcome(writer, outcome);
}

function readOutcomes(reader: FrameReader): readonly Outcome[] {
  const outcomes: Outcome[] = [];
  for (let count = reader.count(1); count > 0; count--) outcomes.push(readOutcome(reader));
  return outcomes;
}

function writeObjectNames(writer: FrameWriter, names: readonly ObjectName[]): void {
  writer.varint(names.length);
  for (const name of names) {
    writer.u48(name.serial);
    writer.u16(name.index);
  }
}

function readObjectNames(reader: FrameReader): readonly ObjectName[] {
  const names: ObjectName[] = [];
  for (let count = reader.count(objectNameBytes); count > 0; count--) {
    const serial = reader.u48();
    names.push({ serial, index: reader.u16() });
  }
  return names;
}
