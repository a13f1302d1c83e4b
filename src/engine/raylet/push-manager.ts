/**
 * Chunks for other nodes: in turn by node, a few a turn of the host, and none on a link that is
 * full.
 *
 * State:  per node what it has asked for, oldest first; a queue in the map is never empty. Parts of
 *         spilled copies that are read for it.
 * In/out: pullChunk, writable, deadlines → chunk, notHere.
 * Bounds: what pullers ask for at once, `pullBytesInFlightMax` each; `turnBytes` of chunks a turn;
 *         `ioWorkers` chunks that are read at once.
 * Errors: a copy that is not here (any more) is told so, as is one that cannot be read from the
 *         disk, again and again (ReadTries).
 * Source: Ray push_manager.
 */
import { assert } from "#engine/common/assert.ts";
import type { Config } from "#engine/common/config.ts";
import { Deque } from "#engine/common/deque.ts";
import type { NodeId } from "#engine/common/ids.ts";
import type { FrameBytes } from "#engine/protocol/arena.ts";
import type { PullChunk } from "#engine/protocol/copy.ts";
import { ReadTries } from "./read-tries.ts";
import type { SpilledRead } from "./spill-io.ts";
import type { SpillCounts } from "./spill-manager.ts";
import type { Copy } from "./copy.ts";
import type { LocalObjects } from "./local-objects.ts";
import type { RayletOut } from "./placement-queue.ts";

/** A part of a spilled copy, pinned until it is sent. */
interface Reading {
  /** Null when who has asked for it has died. */
  message: PullChunk | null;
  readonly copy: Copy;
  /** Set once it is read: it waits for room on the link. */
  bytes: FrameBytes | null;
  readonly tries: ReadTries;
  /** It could not be read: it is read again then. */
  againMs: number;
}

export class PushManager {
  readonly #self: NodeId;
  readonly #config: Config;
  readonly #objects: LocalObjects;
  /** More would hold the event loop for too long: they are copied while the machine runs. */
  readonly #turnBytes: number;
  /** In the order in which they are served. */
  readonly #queues = new Map<NodeId, Deque<PullChunk>>();
  readonly #reading = new Map<number, Reading>();
  readonly #readingMax: number;
  readonly #counts: SpillCounts;
  #nextRequestId = 1;
  #isOverTurn = false;

  constructor(parts: {
    nodeId: NodeId;
    config: Config;
    objects: LocalObjects;
    counts: SpillCounts;
  }) {
    this.#self = parts.nodeId;
    this.#config = parts.config;
    this.#turnBytes = parts.config.pullChunkBytes * 2;
    this.#objects = parts.objects;
    this.#readingMax = parts.config.ioWorkers;
    this.#counts = parts.counts;
  }

  get waitingCount(): number {
    let count = 0;
    for (const queue of this.#queues.values()) count += queue.size;
    return count + this.#reading.size;
  }

  onPullChunk(message: PullChunk): void {
    const peer = message.from as NodeId;
    const queue = this.#queues.get(peer);
    if (queue !== undefined) {
      queue.push(message);
      return;
    }
    const first = new Deque<PullChunk>();
    first.push(message);
    this.#queues.set(peer, first);
  }

  onNodeDied(nodeId: NodeId, out: RayletOut): void {
    this.#queues.delete(nodeId);
    for (const [id, reading] of this.#reading) {
      if (reading.message?.from !== nodeId) continue;
      reading.message = null;
      if (reading.bytes !== null || reading.againMs < Infinity) this.#endReading(id, out);
    }
  }

  /** The copy, if it is lost. */
  onSpilledRead(event: SpilledRead, nowMs: number, out: RayletOut): Copy | undefined {
    const { requestId, bytes, failure } = event;
    const reading = this.#reading.get(requestId);
    if (reading === undefined) return undefined;
    const { message, copy } = reading;
    if (bytes !== null) {
      reading.bytes = bytes;
      if (message === null) this.#endReading(requestId, out);
      return undefined;
    }
    assert(failure !== null, "what was not read says why");
    const againMs = reading.tries.next(failure, nowMs, this.#config);
    if (againMs !== null && message !== null && !this.#objects.isLeaving(copy)) {
      reading.againMs = againMs;
      return undefined;
    }
    this.#counts.lostObjects += 1;
    this.#objects.lose(copy, `what was spilled cannot be read: ${failure.text}`, out);
    if (message !== null) this.#refuse(message.from as NodeId, message.requestId, out);
    this.#endReading(requestId, out);
    return copy;
  }

  /** Sends what is due. */
  settle(out: RayletOut): void {
    let sentBytes = 0;
    this.#isOverTurn = false;
    if (this.#reading.size > 0) this.#sendRead(out);
    if (this.#queues.size === 0) return;
    for (const peer of [...this.#queues.keys()]) {
      if (out.isCongested(peer) || this.#mustWait(peer)) continue;
      if (sentBytes >= this.#turnBytes) {
        this.#isOverTurn = true;
        return;
      }
      sentBytes += this.#sendNext(peer, out);
    }
    const isStuck = [...this.#queues.keys()].every((peer) => this.#mustWait(peer));
    if (sentBytes > 0 && this.#queues.size > 0 && !isStuck) this.#isOverTurn = true;
  }

  /** At once when there is more to send. */
  nextDeadlineMs(): number {
    if (this.#isOverTurn) return 0;
    let nextMs = Infinity;
    for (const { againMs } of this.#reading.values()) nextMs = Math.min(nextMs, againMs);
    return nextMs;
  }

  onDeadline(nowMs: number, out: RayletOut): void {
    for (const [id, reading] of [...this.#reading]) {
      if (reading.againMs > nowMs) continue;
      this.#reading.delete(id);
      reading.againMs = Infinity;
      this.#ask(reading, out);
    }
  }

  checkInvariants(): void {
    for (const [peer, queue] of this.#queues) {
      assert(queue.size > 0, "a node that waits for no chunk is not listed");
      assert(peer !== this.#self, "a node does not pull from itself");
    }
  }

  /** The node goes behind the others. Returns the bytes of the chunk. */
  #sendNext(peer: NodeId, out: RayletOut): number {
    const queue = this.#queues.get(peer);
    const wanted = queue?.shift();
    this.#queues.delete(peer);
    if (queue === undefined || wanted === undefined) return 0;
    if (queue.size > 0) this.#queues.set(peer, queue);
    const { requestId, owner, copy: name, offset, size } = wanted;
    const copy = this.#objects.find(owner, name, name.version);
    if (copy === undefined || offset + size > copy.size) {
      this.#refuse(peer, requestId, out);
      return 1;
    }
    const { extent } = copy;
    if (extent === null) {
      this.#read(wanted, copy, out);
      return size;
    }
    this.#objects.touch(copy);
    const bytes = { segment: extent.segment, offset: extent.offset + offset, size };
    out.send(peer, { type: "chunk", from: this.#self, requestId, bytes });
    return size;
  }

  /** From the disk and out: it takes no room in the store, which two nodes might wait for. */
  #read(message: PullChunk, copy: Copy, out: RayletOut): void {
    this.#objects.pin(copy);
    this.#ask({ message, copy, bytes: null, tries: new ReadTries(), againMs: Infinity }, out);
  }

  #ask(reading: Reading, out: RayletOut): void {
    const { message, copy } = reading;
    const { spilled: place } = copy;
    assert(place !== null, "what is not in memory is on the disk");
    assert(message !== null, "what nobody waits for is not read");
    const { offset, size } = message;
    const requestId = this.#nextRequestId++;
    this.#reading.set(requestId, reading);
    out.instruct({ type: "readSpilled", requestId, place, offset, size });
  }

  #sendRead(out: RayletOut): void {
    for (const [id, { message, bytes }] of this.#reading) {
      if (message === null || bytes === null || out.isCongested(message.from)) continue;
      const { from, requestId } = message;
      out.send(from, { type: "chunk", from: this.#self, requestId, bytes });
      this.#endReading(id, out);
    }
  }

  #endReading(id: number, out: RayletOut): void {
    const reading = this.#reading.get(id);
    this.#reading.delete(id);
    if (reading !== undefined) this.#objects.unpin(reading.copy, out);
  }

  #mustWait(peer: NodeId): boolean {
    if (this.#reading.size < this.#readingMax) return false;
    const next = this.#queues.get(peer)?.peek();
    if (next === undefined) return false;
    return this.#objects.find(next.owner, next.copy, next.copy.version)?.extent === null;
  }

  #refuse(peer: NodeId, requestId: number, out: RayletOut): void {
    const { lastArrival } = this.#objects;
    out.send(peer, { type: "notHere", from: this.#self, requestId, lastArrival });
  }
}
