/**
 * Chunks for other nodes: in turn by node, a few a turn of the host, and none on a link that is
 * full.
 *
 * State:  per node what it has asked for, oldest first; a queue in the map is never empty.
 * In/out: pullChunk, writable, deadlines → chunk, notHere.
 * Bounds: what pullers ask for at once, `pullBytesInFlightMax` each; `turnBytes` of chunks a turn.
 * Errors: a copy that is not here (any more) is told so.
 * Source: Ray push_manager.
 */
import { assert } from "#engine/common/assert.ts";
import type { Config } from "#engine/common/config.ts";
import { Deque } from "#engine/common/deque.ts";
import type { NodeId } from "#engine/common/ids.ts";
import type { PullChunk } from "#engine/protocol/copy.ts";
import type { LocalObjects } from "./local-objects.ts";
import type { RayletOut } from "./placement-queue.ts";

export class PushManager {
  readonly #self: NodeId;
  readonly #objects: LocalObjects;
  /** More would hold the event loop for too long: they are copied while the machine runs. */
  readonly #turnBytes: number;
  /** In the order in which they are served. */
  readonly #queues = new Map<NodeId, Deque<PullChunk>>();
  #isOverTurn = false;

  constructor(self: NodeId, config: Config, objects: LocalObjects) {
    this.#self = self;
    this.#turnBytes = config.pullChunkBytes * 2;
    this.#objects = objects;
  }

  get waitingCount(): number {
    let count = 0;
    for (const queue of this.#queues.values()) count += queue.size;
    return count;
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

  onNodeDied(nodeId: NodeId): void {
    this.#queues.delete(nodeId);
  }

  /** Sends what is due. */
  settle(out: RayletOut): void {
    let sentBytes = 0;
    this.#isOverTurn = false;
    for (const peer of [...this.#queues.keys()]) {
      if (out.isCongested(peer)) continue;
      if (sentBytes >= this.#turnBytes) {
        this.#isOverTurn = true;
        return;
      }
      sentBytes += this.#sendNext(peer, out);
    }
    if (sentBytes > 0 && this.#queues.size > 0) this.#isOverTurn = true;
  }

  /** At once when there is more to send. */
  nextDeadlineMs(): number {
    return this.#isOverTurn ? 0 : Infinity;
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
    if (copy === undefined || offset + size > copy.extent.size) {
      const { lastArrival } = this.#objects;
      out.send(peer, { type: "notHere", from: this.#self, requestId, lastArrival });
      return 1;
    }
    this.#objects.touch(copy);
    const { extent } = copy;
    const bytes = { segment: extent.segment, offset: extent.offset + offset, size };
    out.send(peer, { type: "chunk", from: this.#self, requestId, bytes });
    return size;
  }
}
