/** Fields that messages of several kinds carry: errors, amounts, strategies, what a function is. */
import type { EngineError, ErrorType } from "#engine/common/error-type.ts";
import type { FunctionDescriptor } from "#engine/common/function-descriptor.ts";
import type { NodeId, WorkerId } from "#engine/common/ids.ts";
import type { ResourceRequest } from "#engine/common/resources.ts";
import type { ActorLifeState } from "#engine/protocol/gcs.ts";
import type { HeldRef } from "#engine/protocol/hold.ts";
import type { FunctionDefinition, SchedulingStrategy } from "#engine/common/task-spec.ts";
import { unreachable } from "#engine/common/assert.ts";
import type { Field } from "./field.ts";
import { anyNumber, id, list, mapOf, nullable, oneOf, record, text, u16, u48 } from "./field.ts";
import type { FrameReader } from "./frame-reader.ts";
import type { FrameWriter } from "./frame-writer.ts";
import { WireError } from "./wire-error.ts";

const errorType = oneOf<ErrorType>({
  TASK_ERROR: 0,
  TASK_UNSCHEDULABLE: 1,
  WORKER_CRASHED: 2,
  OUT_OF_MEMORY: 3,
  ACTOR_DIED: 4,
  ACTOR_UNSCHEDULABLE: 5,
  ACTOR_NAME_TAKEN: 6,
  ACTOR_NOT_FOUND: 7,
  PENDING_CALLS_LIMIT: 8,
  OWNER_DIED: 9,
  OBJECT_LOST: 10,
  OBJECT_STORE_FULL: 11,
  SERIALIZATION: 12,
  GET_TIMEOUT: 13,
  NODE_DIED: 14,
  OBJECT_RECONSTRUCTION_FAILED: 15,
  DEADLOCK: 16,
  TASK_CANCELLED: 17,
  TASK_TIMEOUT: 18,
  OUT_OF_DISK: 19,
});

export const errorField: Field<EngineError> = record<EngineError>({
  type: errorType,
  message: text,
  subject: text,
  detail: text,
});

export const resourcesField: Field<ResourceRequest> = mapOf(anyNumber);

export const labelsField = mapOf(text);

export const lifeStateField = oneOf<ActorLifeState>({
  DEPENDENCIES_UNREADY: 0,
  PENDING_CREATION: 1,
  ALIVE: 2,
  RESTARTING: 3,
  DEAD: 4,
});

export const descriptorField: Field<FunctionDescriptor> = record<FunctionDescriptor>({
  moduleUrl: text,
  ordinal: anyNumber,
  name: text,
  kind: oneOf({ function: 0, class: 1 }),
  parameterCount: anyNumber,
  sourceHash: anyNumber,
  displayName: text,
});

export const definitionField: Field<FunctionDefinition> = record<FunctionDefinition>({
  descriptor: nullable(descriptorField),
  method: text,
  taskName: text,
  numReturns: anyNumber,
  resources: resourcesField,
  timeoutMs: anyNumber,
});

/** An id of a byte at least, and three numbers. */
const heldRefBytesMin = 15;

export const heldRefsField: Field<readonly HeldRef[]> = list(
  record<HeldRef>({ owner: id<WorkerId>(), serial: u48, index: u16, hold: u48 }),
  heldRefBytesMin,
);

type NodeAffinity = Extract<SchedulingStrategy, { type: "nodeAffinity" }>;

const strategyDefault = 0;
const strategySpread = 1;
const strategyAffinityHard = 2;
const strategyAffinitySoft = 3;
const strategyLabels = 4;

const defaultStrategy: SchedulingStrategy = { type: "default" };
const spreadStrategy: SchedulingStrategy = { type: "spread" };
const nodeIdField = id<NodeId>();

export const strategyField: Field<SchedulingStrategy> = {
  bytesMax: strategyBytesMax,
  write: writeStrategy,
  read: readStrategy,
};

function strategyBytesMax(strategy: SchedulingStrategy): number {
  switch (strategy.type) {
    case "default":
    case "spread":
      return 1;
    case "nodeAffinity":
      return 1 + nodeIdField.bytesMax(strategy.nodeId);
    case "nodeLabels":
      return 1 + labelsField.bytesMax(strategy.hard) + labelsField.bytesMax(strategy.soft);
    default:
      return unreachable(strategy, "scheduling strategy");
  }
}

function writeStrategy(writer: FrameWriter, strategy: SchedulingStrategy): void {
  switch (strategy.type) {
    case "default":
      writer.u8(strategyDefault);
      break;
    case "spread":
      writer.u8(strategySpread);
      break;
    case "nodeAffinity":
      writer.u8(strategy.soft ? strategyAffinitySoft : strategyAffinityHard);
      nodeIdField.write(writer, strategy.nodeId);
      break;
    case "nodeLabels":
      writer.u8(strategyLabels);
      labelsField.write(writer, strategy.hard);
      labelsField.write(writer, strategy.soft);
      break;
    default:
      unreachable(strategy, "scheduling strategy");
  }
}

function readStrategy(reader: FrameReader): SchedulingStrategy {
  const mark = reader.u8();
  switch (mark) {
    case strategyDefault:
      return defaultStrategy;
    case strategySpread:
      return spreadStrategy;
    case strategyAffinityHard:
    case strategyAffinitySoft:
      return readAffinity(reader, mark === strategyAffinitySoft);
    case strategyLabels: {
      const hard = labelsField.read(reader);
      return { type: "nodeLabels", hard, soft: labelsField.read(reader) };
    }
    default:
      throw new WireError("no scheduling strategy has this number");
  }
}

function readAffinity(reader: FrameReader, soft: boolean): NodeAffinity {
  return { type: "nodeAffinity", nodeId: nodeIdField.read(reader), soft };
}
