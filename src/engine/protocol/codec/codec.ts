/**
 * Messages to bytes and back: what rings and sockets carry, and the simulator too.
 *
 * A frame is [u8 number of the message][u8 endpoints][fields]; its length is known from outside.
 * The endpoints are the slots of sender and receiver on their link (from << 4 | to), so that ids
 * need not travel: a link knows which addresses its slots stand for.
 */
import { assert } from "#engine/common/assert.ts";
import type { Address } from "#engine/common/ids.ts";
import type { Message, MessageType } from "#engine/protocol/message.ts";
import type { ColdMessage } from "./cold-messages.ts";
import { coldMessages } from "./cold-messages.ts";
import type { Field } from "./field.ts";
import { FrameReader } from "./frame-reader.ts";
import type { FrameWriter } from "./frame-writer.ts";
import * as lease from "./lease-codec.ts";
import * as task from "./task-codec.ts";
import { WireError } from "./wire-error.ts";

export { FrameWriter } from "./frame-writer.ts";
export { WireError } from "./wire-error.ts";

/** Told in the handshake of a link; rises with every change of any layout. */
export const wireVersion = 16;

export const messageNumbers: Readonly<Record<MessageType, number>> = {
  pushTask: 1,
  taskReply: 2,
  takenBack: 3,
  requestWorkerLease: 4,
  leaseGranted: 5,
  releaseLease: 6,
  taskBlocked: 7,
  leasePending: 8,
  leaseRefused: 9,
  leaseRevoked: 10,
  leaseDemand: 11,
  workerDied: 12,
  watchWorker: 13,
  leaseSpilled: 14,
  subscribeObject: 16,
  objectState: 17,
  releaseHolds: 18,
  allocateArena: 19,
  arenaAllocated: 20,
  freeArena: 21,
  arenaGiven: 22,
  askArenaUse: 23,
  arenaInUse: 24,
  createHolds: 26,
  holdsCreated: 27,
  confirmHolds: 28,
  abandonHolds: 29,
  queryHolds: 30,
  holdsQueried: 31,
  registerNode: 32,
  registerActor: 33,
  actorRegistered: 34,
  startActor: 35,
  abandonActor: 36,
  subscribeActor: 37,
  actorState: 38,
  createActor: 39,
  actorPending: 40,
  constructActor: 41,
  actorConstructed: 42,
  actorCreated: 43,
  actorWorkerDied: 44,
  stopActorWorker: 45,
  killActor: 46,
  actorKilled: 47,
  getActorByName: 48,
  actorByName: 49,
  heartbeat: 50,
  heartbeatAck: 51,
  resourceView: 52,
  nodeDied: 53,
  actorOutOfScope: 54,
  drainActor: 55,
  actorDrained: 56,
  actorJoined: 57,
  probeObject: 64,
  probeTask: 65,
  listState: 66,
  collectState: 67,
  stateCollected: 68,
  stateListed: 69,
  listCluster: 70,
  clusterListed: 71,
  explainObject: 72,
  explainTask: 73,
  explained: 74,
  askStore: 75,
  storeTold: 76,
  explainPull: 78,
  pullExplained: 79,
  cancelTask: 80,
  taskStarted: 81,
  cancelObject: 82,
  cancelTaken: 83,
  stopLeasedWorker: 84,
  doomLease: 85,
  doomedEnded: 86,
  askBuffers: 88,
  buffersCopied: 89,
  objectSealed: 96,
  objectsKept: 97,
  pullObject: 98,
  objectLocal: 99,
  unpinObjects: 100,
  locateObject: 101,
  objectLocations: 102,
  copyAdded: 103,
  copyGone: 104,
  pinCopy: 105,
  copyPinned: 106,
  freeObjects: 107,
  segmentFreed: 108,
  pullChunk: 109,
  chunk: 110,
  notHere: 111,
  offerObjects: 112,
  objectsOffered: 113,
  objectWritten: 114,
  revokePlaces: 120,
  placesRevoked: 121,
};

const headBytes = 2;
const coldByType = new Map<MessageType, Field<ColdMessage>>();
const coldByNumber: (Field<ColdMessage> | undefined)[] = [];
for (const [type, field] of Object.entries<Field<ColdMessage>>(coldMessages)) {
  coldByType.set(type as MessageType, field);
  coldByNumber[messageNumbers[type as MessageType]] = field;
}

/** One for all frames: reading is synchronous and never begins inside itself. */
const frameReader = new FrameReader();

/** At least the encoded size: counts no bytes of strings, so it may be twice that. */
export function frameBytesMax(message: Message): number {
  return headBytes + bodyBytesMax(message);
}

/** Writes at `writer.at`, where `frameBytesMax` bytes must be free, and moves that behind it. */
export function encodeMessage(message: Message, endpoints: number, writer: FrameWriter): void {
  assert((endpoints & 0xff) === endpoints, "a link has at most 16 slots");
  const { bytes, at } = writer;
  bytes[at] = numberOf(message);
  bytes[at + 1] = endpoints;
  writer.at = at + headBytes;
  writer.sender = message.from;
  writer.nesting = 0;
  writeBody(writer, message);
}

/** By name for nearly all frames: of so many names V8 looks each up in a table. */
function numberOf({ type }: Message): number {
  if (type === "pushTask") return messageNumbers.pushTask;
  if (type === "taskReply") return messageNumbers.taskReply;
  return messageNumbers[type];
}

export function endpointsOf(bytes: Uint8Array, start: number): number {
  return bytes[start + 1] ?? 0;
}

/**
 * `from` becomes the sender; inline values point into `bytes`. Throws WireError for whatever
 * encodeMessage would not have written; it never reads outside the frame.
 */
// oxlint-disable-next-line max-params -- hot: an object around them would be one more each frame.
export function decodeMessage(
  bytes: Uint8Array,
  view: DataView,
  start: number,
  length: number,
  from: Address,
): Message {
  const end = start + length;
  const isInside = start >= 0 && length >= headBytes && end <= bytes.length;
  if (!isInside) throw new WireError("a frame lies outside its memory");
  const reader = frameReader;
  reader.pointAt(bytes, view, start + headBytes, end);
  reader.sender = from;
  const message = readBody(reader, bytes[start] ?? 0);
  if (reader.at !== end) throw new WireError("a frame goes on behind its message");
  return message;
}

function bodyBytesMax(message: Message): number {
  switch (message.type) {
    case "pushTask":
      return task.pushTaskBytesMax(message);
    case "taskReply":
      return task.taskReplyBytesMax(message);
    case "takenBack":
      return task.takenBackBytesMax(message);
    case "requestWorkerLease":
      return lease.requestWorkerLeaseBytesMax(message);
    case "leaseGranted":
      return lease.leaseGrantedBytesMax(message);
    case "releaseLease":
      return lease.releaseLeaseBytes;
    case "taskBlocked":
      return lease.taskBlockedBytesMax(message);
    default:
      return coldField(message).bytesMax(message);
  }
}

function writeBody(writer: FrameWriter, message: Message): void {
  switch (message.type) {
    case "pushTask":
      task.writePushTask(writer, message);
      break;
    case "taskReply":
      task.writeTaskReply(writer, message);
      break;
    case "takenBack":
      task.writeTakenBack(writer, message);
      break;
    case "requestWorkerLease":
      lease.writeRequestWorkerLease(writer, message);
      break;
    case "leaseGranted":
      lease.writeLeaseGranted(writer, message);
      break;
    case "releaseLease":
      lease.writeReleaseLease(writer, message);
      break;
    case "taskBlocked":
      lease.writeTaskBlocked(writer, message);
      break;
    default:
      coldField(message).write(writer, message);
  }
}

function readBody(reader: FrameReader, number: number): Message {
  switch (number) {
    case messageNumbers.pushTask:
      return task.readPushTask(reader);
    case messageNumbers.taskReply:
      return task.readTaskReply(reader);
    case messageNumbers.takenBack:
      return task.readTakenBack(reader);
    case messageNumbers.requestWorkerLease:
      return lease.readRequestWorkerLease(reader);
    case messageNumbers.leaseGranted:
      return lease.readLeaseGranted(reader);
    case messageNumbers.releaseLease:
      return lease.readReleaseLease(reader);
    case messageNumbers.taskBlocked:
      return lease.readTaskBlocked(reader);
    default: {
      const field = coldByNumber[number];
      if (field === undefined) throw new WireError("no message has this number");
      return field.read(reader);
    }
  }
}

function coldField(message: ColdMessage): Field<ColdMessage> {
  const field = coldByType.get(message.type);
  assert(field !== undefined, "a message has no codec");
  return field;
}
