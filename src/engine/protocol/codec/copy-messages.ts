/**
 * The messages about copies of objects. Only a chunk is large: its bytes go from the arena into the
 * frame as it is written, and when read stay where the frame is.
 */
import { assert } from "#engine/common/assert.ts";
import type { NodeId, WorkerId } from "#engine/common/ids.ts";
import { FrameBytes } from "#engine/protocol/arena.ts";
import type {
  Chunk,
  CopyMessage,
  CopyName,
  OwnedCopy,
  PullPriority,
  SealedObject,
} from "#engine/protocol/copy.ts";
import type { ArenaExtent } from "#engine/protocol/object.ts";
import type { SpilledPlace } from "#engine/protocol/spilled-place.ts";
import type { ObjectName } from "#engine/protocol/task.ts";
import type { Field, MessageFields } from "./field.ts";
import { anyNumber, bool, id, list, messageOf, record, text, u16, u32, u48 } from "./field.ts";
import type { FrameReader } from "./frame-reader.ts";
import type { FrameWriter } from "./frame-writer.ts";
import { varintBytesMax } from "./frame-writer.ts";
import { outcomeField } from "./outcome-codec.ts";
import { WireError } from "./wire-error.ts";

export const objectName = record<ObjectName>({ serial: u48, index: u16 });
export const extentField = record<ArenaExtent>({ segment: u32, offset: u48, size: u48 });

const requestId = u48;
const owner = id<WorkerId>();
const nodeId = id<NodeId>();
const copy = record<CopyName>({ serial: u48, index: u16, version: u32 });
const owned = record<OwnedCopy>({ owner, serial: u48, index: u16, version: u32 });
const sealed = record<SealedObject>({
  owner,
  serial: u48,
  index: u16,
  version: u32,
  extent: extentField,
});

/** A checksum is a safe integer, of more bits than the other numbers. */
const place = record<SpilledPlace>({
  file: u48,
  offset: u48,
  size: u48,
  checksums: list(anyNumber),
});

const priority: Field<PullPriority> = {
  bytesMax: () => 1,
  write: (writer, value) => writer.u8(value),
  read: (reader) => {
    const value = reader.u8();
    if (value > 2) throw new WireError("a priority is not of its set");
    return value as PullPriority;
  },
};

const chunkBytes: Field<Chunk["bytes"]> = {
  bytesMax: ({ size }) => varintBytesMax + size,
  write: writeChunkBytes,
  read: readChunkBytes,
};

export const copyMessages: MessageFields<CopyMessage> = {
  objectSealed: messageOf("objectSealed", { requestId, objects: list(sealed, 28) }),
  offerObjects: messageOf("offerObjects", { bytes: u48 }),
  objectsOffered: messageOf("objectsOffered", {
    requestId,
    objects: list(sealed, 28),
    told: list(sealed, 28),
  }),
  revokePlaces: messageOf("revokePlaces", { requestId, objects: list(owned) }),
  placesRevoked: messageOf("placesRevoked", { requestId, objects: list(owned) }),
  objectWritten: messageOf("objectWritten", {
    requestId,
    serial: u48,
    index: u16,
    version: u32,
    place,
  }),
  objectsKept: messageOf("objectsKept", { requestId }),
  pullObject: messageOf("pullObject", { requestId, owner, object: objectName, priority }),
  objectLocal: messageOf("objectLocal", { requestId, outcome: outcomeField }),
  unpinObjects: messageOf("unpinObjects", { requestIds: list(u48, 6) }),
  locateObject: messageOf("locateObject", { object: objectName }),
  objectLocations: messageOf("objectLocations", {
    object: objectName,
    nodes: list(nodeId),
    outcome: outcomeField,
  }),
  copyAdded: messageOf("copyAdded", { copy, arrival: u48 }),
  copyGone: messageOf("copyGone", { copy, nodeId, lastArrival: u48, cause: text }),
  pinCopy: messageOf("pinCopy", { copy }),
  copyPinned: messageOf("copyPinned", { copy, isHere: bool }),
  freeObjects: messageOf("freeObjects", { objects: list(copy, 12) }),
  segmentFreed: messageOf("segmentFreed", { segment: u32 }),
  pullChunk: messageOf("pullChunk", { requestId, owner, copy, offset: u48, size: u48 }),
  chunk: messageOf("chunk", { requestId, bytes: chunkBytes }),
  notHere: messageOf("notHere", { requestId, lastArrival: u48 }),
};

function writeChunkBytes(writer: FrameWriter, bytes: Chunk["bytes"]): void {
  writer.varint(bytes.size);
  if (bytes instanceof FrameBytes) {
    writer.copy(bytes.bytes, bytes.start, bytes.size);
    return;
  }
  const { arena } = writer;
  assert(arena !== null, "a chunk is sent by a process that has an arena");
  writer.copy(arena.bytes(bytes.segment), bytes.offset, bytes.size);
}

function readChunkBytes(reader: FrameReader): FrameBytes {
  const size = reader.varint();
  return new FrameBytes(reader.bytes, reader.take(size), size);
}
