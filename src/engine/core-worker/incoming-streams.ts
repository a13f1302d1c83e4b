/**
 * What an executor remembers of those who push to it: the functions they have named, how far each
 * of their streams has come, and which pushes were cancelled before they came.
 *
 * State:  by peer: definitions, last seqs, cancelled seqs.
 * In/out: pushes and cancels → whether a push is new, and what it runs.
 * Bounds: the last seq is kept for `streamsRemembered` streams a peer; all of a peer goes with it.
 * Errors: a repeated (stream, seq) is told as such: its reply was or will be sent once.
 * Source: protocols §4 Task attempt; decision 8.
 */
import { assert } from "#engine/common/assert.ts";
import type { Address } from "#engine/common/ids.ts";
import type { FunctionDefinition } from "#engine/common/task-spec.ts";
import type { PushTask } from "#engine/protocol/task.ts";

const streamsRemembered = 256;

interface Peer {
  readonly definitions: Map<number, FunctionDefinition>;
  readonly lastSeqs: Map<number, number>;
  /** By stream, seqs of tasks that were cancelled before they came. Null until the first. */
  cancelled: Map<number, Set<number>> | null;
}

/** A place in a stream of pushes. */
interface Position {
  readonly from: Address;
  readonly stream: number;
  readonly seq: number;
}

export class IncomingStreams {
  readonly #peers = new Map<Address, Peer>();

  /** What a push runs; null for a repeat. */
  take(message: PushTask): FunctionDefinition | null {
    const { from, functionNumber, definition: named } = message;
    const peer = this.#peerOf(from);
    if (named !== null) peer.definitions.set(functionNumber, named);
    if (isRepeat(peer, message)) return null;
    const definition = peer.definitions.get(functionNumber);
    assert(definition !== undefined, "the definition travels ahead of the first use");
    return definition;
  }

  /** Asked once of a push that has come. */
  wasCancelled({ from, stream, seq }: Position): boolean {
    const peer = this.#peers.get(from);
    const seqs = peer?.cancelled?.get(stream);
    if (peer === undefined || seqs?.delete(seq) !== true) return false;
    if (seqs.size === 0) peer.cancelled?.delete(stream);
    if (peer.cancelled?.size === 0) peer.cancelled = null;
    return true;
  }

  /** A push that has not come yet never starts. */
  cancel(position: Position): void {
    if (this.hasCome(position)) return;
    const { from, stream, seq } = position;
    const peer = this.#peerOf(from);
    peer.cancelled ??= new Map();
    const seqs = peer.cancelled.get(stream);
    if (seqs === undefined) peer.cancelled.set(stream, new Set([seq]));
    else seqs.add(seq);
  }

  hasCome({ from, stream, seq }: Position): boolean {
    return seq <= (this.#peers.get(from)?.lastSeqs.get(stream) ?? -1);
  }

  forget(peer: Address): void {
    this.#peers.delete(peer);
  }

  #peerOf(address: Address): Peer {
    let peer = this.#peers.get(address);
    if (peer === undefined) {
      peer = { definitions: new Map(), lastSeqs: new Map(), cancelled: null };
      this.#peers.set(address, peer);
    }
    return peer;
  }
}

function isRepeat(peer: Peer, { stream, seq }: PushTask): boolean {
  const last = peer.lastSeqs.get(stream);
  if (last !== undefined && seq <= last) return true;
  peer.lastSeqs.set(stream, seq);
  if (last === undefined && peer.lastSeqs.size > streamsRemembered) {
    const [oldest] = peer.lastSeqs.keys();
    if (oldest !== undefined) peer.lastSeqs.delete(oldest);
  }
  return false;
}
