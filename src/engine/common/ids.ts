/**
 * Identities. Never reused; integers inside, hexadecimal only where a person reads them.
 *
 * A worker (driver included) numbers what it makes with one rising counter, its *serial*: a task or
 * an actor is (maker, serial), an object is (owner, key) with key = serial × 65,536 + index. Index
 * 0 is a `put`, 1..n are the returns of a task, the last one its arguments, and the one before that
 * stands for an actor where its handles are counted. A worker's id is never given out again, so a
 * re-run parent, which runs later or elsewhere, cannot mint the ids of its dead attempt's children.
 */

declare const brand: unique symbol;
type Brand<N extends string> = string & { readonly [brand]: N };

/** 32 hex digits, drawn at process start: one per life of a node. */
export type NodeId = Brand<"Node">;
/** NodeId and 8 hex digits of a counter: one per life of a thread. */
export type WorkerId = Brand<"Worker">;
export type JobId = Brand<"Job">;
/** Maker's WorkerId and 12 hex digits of its serial. */
export type ActorId = Brand<"Actor">;
/** Where a message goes: a core worker, a raylet (its NodeId), or the GCS. */
export type Address = WorkerId | NodeId | typeof gcsAddress;

export const gcsAddress = "gcs" as Brand<"Gcs">;

const indexRange = 65_536;
/** Index of a task's own arguments, where their bytes must be found by a name. */
export const argumentsIndex = indexRange - 1;
/** Index of the object without a value that every handle of an actor is a ref to. */
export const actorIndex = argumentsIndex - 1;
export const returnsMax = actorIndex - 1;

export function workerIdOf(node: NodeId, counter: number): WorkerId {
  return (node + counter.toString(16).padStart(8, "0")) as WorkerId;
}

export function nodeIdOf(worker: WorkerId): NodeId {
  return worker.slice(0, 32) as NodeId;
}

export function objectKey(serial: number, index: number): number {
  return serial * indexRange + index;
}

export function serialOf(key: number): number {
  return Math.floor(key / indexRange);
}

export function taskIdHex(owner: WorkerId, serial: number): string {
  return owner + serial.toString(16).padStart(12, "0");
}

/** Who made the task or actor of such an id, and its serial. */
export function makerOf(actorId: ActorId): { readonly maker: WorkerId; readonly serial: number } {
  const maker = actorId.slice(0, 40) as WorkerId;
  return { maker, serial: Number.parseInt(actorId.slice(40), 16) };
}

export function actorIdOf(maker: WorkerId, serial: number): ActorId {
  return taskIdHex(maker, serial) as ActorId;
}

export function objectIdHex(owner: WorkerId, key: number): string {
  const index = key % indexRange;
  return taskIdHex(owner, serialOf(key)) + index.toString(16).padStart(4, "0");
}
