/**
 * User values on the wire: a primitive is a mark and itself; encoded values are copied into the
 * frame and, when read, stay there: an InlineValue points into the memory of the frame.
 */
import { assert, unreachable } from "#engine/common/assert.ts";
import { actorIndex, type WorkerId } from "#engine/common/ids.ts";
import type { Encoded, Outcome, Special } from "#engine/protocol/outcome.ts";
import {
  FailedValue,
  InlineValue,
  StoredValue,
  noArguments,
  noSpecials,
} from "#engine/protocol/outcome.ts";
import type { Field } from "./field.ts";
import type { FrameReader } from "./frame-reader.ts";
import type { FrameWriter } from "./frame-writer.ts";
import { idBytesMax, stringBytesMax, varintBytesMax } from "./frame-writer.ts";
import { descriptorField, errorField } from "./shared-fields.ts";
import { WireError } from "./wire-error.ts";
import { nestingMax } from "./wire-marks.ts";

const markUndefined = 0;
const markNull = 1;
const markFalse = 2;
const markTrue = 3;
const markInt32 = 4;
const markFloat64 = 5;
const markString = 6;
const markInline = 7;
const markStored = 8;
const markFailed = 9;

const specialRef = 0;
const specialTopLevelRef = 1;
const specialActor = 2;
const specialFunction = 3;
const specialDetachedActor = 4;

const storedBytes = 16 + varintBytesMax;

export const encodedField: Field<Encoded> = {
  bytesMax: encodedBytesMax,
  write: writeEncoded,
  read: readEncoded,
};

export const outcomeField: Field<Outcome> = {
  bytesMax: outcomeBytesMax,
  write: writeOutcome,
  read: readOutcome,
};

/** The value of an error: null, or an inline value. */
export const causeField: Field<InlineValue | null> = {
  bytesMax: outcomeBytesMax,
  write: writeOutcome,
  read: readCause,
};

export function outcomeBytesMax(outcome: Outcome): number {
  if (typeof outcome === "string") return 1 + stringBytesMax(outcome);
  if (typeof outcome !== "object" || outcome === null) return 9;
  if (!(outcome instanceof FailedValue)) return encodedBytesMax(outcome);
  return 1 + errorField.bytesMax(outcome.error) + outcomeBytesMax(outcome.cause);
}

export function encodedBytesMax(value: Encoded): number {
  if (value instanceof InlineValue) return 1 + inlineBytesMax(value);
  const nodeBytes = value.node === null ? 1 : idBytesMax(value.node);
  return 1 + storedBytes + nodeBytes + specialsBytesMax(value.specials);
}

export function writeOutcome(writer: FrameWriter, outcome: Outcome): void {
  switch (typeof outcome) {
    case "number":
      writeNumber(writer, outcome);
      break;
    case "string":
      writer.u8(markString);
      writer.string(outcome);
      break;
    case "undefined":
      writer.u8(markUndefined);
      break;
    case "boolean":
      writer.u8(outcome ? markTrue : markFalse);
      break;
    case "object":
      if (outcome === null) writer.u8(markNull);
      else if (outcome instanceof FailedValue) writeFailed(writer, outcome);
      else writeEncoded(writer, outcome);
      break;
    default:
      unreachable(outcome, "outcome");
  }
}

export function writeEncoded(writer: FrameWriter, value: Encoded): void {
  if (value instanceof InlineValue) {
    writer.u8(markInline);
    writeInline(writer, value);
    return;
  }
  assert(value instanceof StoredValue, "an encoded value is neither inline nor stored");
  writer.u8(markStored);
  writer.u32(value.segment);
  writer.u48(value.offset);
  writer.u48(value.size);
  writer.nodeOrSenders(value.node);
  writer.varint(value.version);
  writeSpecials(writer, value.specials);
}

export function readOutcome(reader: FrameReader): Outcome {
  const mark = reader.u8();
  switch (mark) {
    case markUndefined:
      return undefined;
    case markNull:
      return null;
    case markFalse:
      return false;
    case markTrue:
      return true;
    case markInt32:
      return reader.i32();
    case markFloat64:
      return reader.f64();
    case markString:
      return reader.string();
    case markFailed: {
      const error = errorField.read(reader);
      return new FailedValue(error, readCause(reader));
    }
    default:
      return readMarked(reader, mark);
  }
}

export function readEncoded(reader: FrameReader): Encoded {
  return readMarked(reader, reader.u8());
}

function writeNumber(writer: FrameWriter, value: number): void {
  if ((value | 0) === value && !Object.is(value, -0)) {
    writer.u8(markInt32);
    writer.i32(value);
  } else {
    writer.u8(markFloat64);
    writer.f64(value);
  }
}

function writeFailed(writer: FrameWriter, failed: FailedValue): void {
  writer.u8(markFailed);
  errorField.write(writer, failed.error);
  writeOutcome(writer, failed.cause);
}

function readCause(reader: FrameReader): InlineValue | null {
  const mark = reader.u8();
  if (mark === markNull) return null;
  if (mark !== markInline) throw new WireError("an error travels inside of its message");
  return readInline(reader);
}

function readMarked(reader: FrameReader, mark: number): Encoded {
  if (mark === markInline) return readInline(reader);
  if (mark !== markStored) throw new WireError("no kind of value has this number");
  const segment = reader.u32();
  const offset = reader.u48();
  const size = reader.u48();
  const node = reader.nodeOrSenders();
  const version = reader.varint();
  return new StoredValue(segment, offset, size, readSpecials(reader), node, version);
}

function inlineBytesMax(value: InlineValue): number {
  return varintBytesMax + value.length + specialsBytesMax(value.specials);
}

function writeInline(writer: FrameWriter, value: InlineValue): void {
  writer.varint(value.length);
  writer.copy(value.bytes, value.start, value.length);
  writeSpecials(writer, value.specials);
}

function readInline(reader: FrameReader): InlineValue {
  const length = reader.varint();
  const start = reader.take(length);
  const specials = readSpecials(reader);
  // The constant holds no memory of the frame.
  if (length === 0 && specials === noSpecials) return noArguments;
  return new InlineValue(reader.bytes, start, length, specials);
}

function specialsBytesMax(specials: readonly Special[]): number {
  let bytes = varintBytesMax;
  for (const special of specials) bytes += specialBytesMax(special);
  return bytes;
}

function specialBytesMax(special: Special): number {
  switch (special.type) {
    case "ref":
      return 1 + idBytesMax(special.owner) + 8;
    case "actor":
      return 1 + idBytesMax(special.owner) + 6 + stringBytesMax(special.className);
    case "function":
      return 1 + descriptorField.bytesMax(special.descriptor) + inlineBytesMax(special.options);
    default:
      return unreachable(special, "special");
  }
}

function writeSpecials(writer: FrameWriter, specials: readonly Special[]): void {
  writer.varint(specials.length);
  for (const special of specials) writeSpecial(writer, special);
}

function writeSpecial(writer: FrameWriter, special: Special): void {
  switch (special.type) {
    case "ref":
      writer.u8(special.topLevel ? specialTopLevelRef : specialRef);
      writer.idOrSender(special.owner);
      writer.u48(special.serial);
      writer.u16(special.index);
      break;
    case "actor":
      writer.u8(special.isDetached ? specialDetachedActor : specialActor);
      writer.idOrSender(special.owner);
      writer.u48(special.serial);
      writer.string(special.className);
      break;
    case "function":
      writer.u8(specialFunction);
      descriptorField.write(writer, special.descriptor);
      writer.nesting += 1;
      assert(writer.nesting <= nestingMax, "functions are nested too deep in their options");
      writeInline(writer, special.options);
      writer.nesting -= 1;
      break;
    default:
      unreachable(special, "special");
  }
}

function readSpecials(reader: FrameReader): readonly Special[] {
  let count = reader.count(2);
  if (count === 0) return noSpecials;
  const specials: Special[] = [];
  for (; count > 0; count--) specials.push(readSpecial(reader));
  return specials;
}

function readSpecial(reader: FrameReader): Special {
  const mark = reader.u8();
  switch (mark) {
    case specialRef:
    case specialTopLevelRef: {
      const owner = reader.idOrSender() as WorkerId;
      const serial = reader.u48();
      const index = reader.u16();
      return { type: "ref", owner, serial, index, topLevel: mark === specialTopLevelRef };
    }
    case specialActor:
    case specialDetachedActor: {
      const owner = reader.idOrSender() as WorkerId;
      const serial = reader.u48();
      const isDetached = mark === specialDetachedActor;
      const className = reader.string();
      return { type: "actor", owner, serial, index: actorIndex, className, isDetached };
    }
    case specialFunction: {
      const descriptor = descriptorField.read(reader);
      reader.nesting += 1;
      if (reader.nesting > nestingMax) throw new WireError("functions are nested too deep");
      const options = readInline(reader);
      reader.nesting -= 1;
      return { type: "function", descriptor, options };
    }
    default:
      throw new WireError("no kind of special has this number");
  }
}
