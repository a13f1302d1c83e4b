/**
 * PORT: how frames get from one endpoint to another.
 *
 * Between two endpoints there is one session; in it frames arrive in order, at most once, and what
 * arrives is a prefix of what was sent. Control frames and task frames are two streams of their
 * own. Sends never fail, wait or throw: what does not fit is kept, in order, and `isCongested` says
 * so. The death of a peer is told by its raylet, never guessed from silence. Whoever implements
 * this runs test/conformance/transport.suite.ts.
 */
import type { Address, WorkerId } from "#engine/common/ids.ts";
import type { Message } from "./message.ts";
import type { PushTask } from "./task.ts";

/** Buffers that were transferred with a task, on their way to its executor; from its owner. */
export interface MovedBuffers {
  readonly from: WorkerId;
  readonly serial: number;
  readonly stream: number;
  readonly seq: number;
  readonly buffers: readonly ArrayBuffer[];
}

/** What a transport tells the host it serves. */
export interface TransportReceiver {
  /** The message is valid until this returns, its bytes too. */
  onMessage(to: Address, message: Message): void;
  /** Once for whoever was told that frames to `peer` wait: none do any more. */
  onWritable(peer: Address): void;
  /** The memory itself, nobody else's from now on. */
  onBuffersMoved(to: Address, moved: MovedBuffers): void;
  /** Something may be waiting: call `poll` soon. */
  onWork(): void;
}

export interface Transport {
  send(to: Address, message: Message): void;
  /** A name of the frame for `retract`. */
  sendTask(to: Address, message: PushTask): number;
  /**
   * True, once: the frame was not taken and never will be. False when it was, or when nobody here
   * can know.
   */
  retract(to: Address, framePosition: number): boolean;
  /** Frames to `to` wait for room; `onWritable` follows unless the peer ends. */
  isCongested(to: Address): boolean;
  /**
   * To a process of this node. They are detached here; in no particular order with frames; lost if
   * it ends.
   */
  moveBuffers(to: Address, moved: MovedBuffers): void;
  /**
   * Hands waiting control frames to the receiver, at most `frameBudget` of each peer; true if there
   * was anything to do.
   */
  poll(frameBudget: number): boolean;
  /**
   * Takes the next task frame for good, hands it to the receiver, and frees it; false if there is
   * none. No sender can hold back the tasks of the others.
   */
  pollTask(): boolean;
}
