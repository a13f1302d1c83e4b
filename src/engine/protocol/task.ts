/**
 * Messages between owner and executor. A *stream* is one lease, or one (caller, actor,
 * incarnation); its number is the owner's. In a stream seq rises by one; (stream, seq) is the
 * idempotency key.
 */
import type { Address } from "#engine/common/ids.ts";
import type { FunctionDefinition } from "#engine/common/task-spec.ts";
import type { HeldRef } from "./hold.ts";
import type { Encoded, Outcome } from "./outcome.ts";

/** owner → executor, as a task frame: it can be taken back until the executor starts it. */
export interface PushTask {
  readonly type: "pushTask";
  readonly from: Address;
  readonly stream: number;
  readonly seq: number;
  readonly serial: number;
  readonly attempt: number;
  readonly depth: number;
  readonly functionNumber: number;
  /** Sent until the first reply for this function has come back, then null. */
  readonly definition: FunctionDefinition | null;
  /** An encoded list. */
  readonly args: Encoded;
  /**
   * By position of args.specials: the value of a top-level ref, and of others of the sender's as
   * far as it tells them; undefined for the rest, null if there are none.
   */
  readonly values: readonly Outcome[] | null;
  readonly gpuIds: readonly number[] | null;
  /** For a call of an actor, which may outlive its caller: refs that a third process owns. */
  readonly holds: readonly HeldRef[] | null;
  /** Buffers were transferred with the call: the owner has them, and is asked for them. */
  readonly hasBuffers: boolean;
}

/**
 * executor → owner: the task is here, and could start with the buffers that were transferred with
 * it. They come beside the frames (`Transport.moveBuffers`), or as `buffersCopied`. Key: (stream,
 * seq).
 */
export interface AskBuffers {
  readonly type: "askBuffers";
  readonly from: Address;
  readonly stream: number;
  readonly seq: number;
}

/** owner → executor on another node: a copy, as an object of the owner's, or why there is none. */
export interface BuffersCopied {
  readonly type: "buffersCopied";
  readonly from: Address;
  readonly stream: number;
  readonly seq: number;
  readonly object: ObjectName;
  /** An encoded list of the buffers. */
  readonly outcome: Outcome;
}

/** executor → owner. */
export interface TaskReply {
  readonly type: "taskReply";
  readonly from: Address;
  readonly stream: number;
  readonly seq: number;
  readonly durationMs: number;
  readonly outcome: Outcome;
  /** The other returns of a task with numReturns ≠ 1; null otherwise. */
  readonly outcomes: readonly Outcome[] | null;
  /** Objects of the owner that the executor goes on using: the owner holds them for it. */
  readonly keptRefs: readonly ObjectName[] | null;
  /** Refs in the outcomes that a third process owns. */
  readonly holds: readonly HeldRef[] | null;
}

/** executor → owner: these have not started and will not; they go back to the queue at no cost. */
export interface TakenBack {
  readonly type: "takenBack";
  readonly from: Address;
  readonly stream: number;
  readonly seqs: readonly number[];
}

/** An object by its owner's numbers. */
export interface ObjectName {
  readonly serial: number;
  readonly index: number;
}

export type TaskMessage = PushTask | TaskReply | TakenBack | AskBuffers | BuffersCopied;
