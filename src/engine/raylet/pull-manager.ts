/**
 * Brings objects to this node: a process asks → locate at the owner → room in the store → chunks
 * from the nodes that have a copy → the object is local, for all who asked.
 *
 * State:  requests by process; pulls by object, those with a location in order of priority; chunks
 *         that were asked for.
 * In/out: pullObject, unpinObjects, objectLocations, chunk, notHere, deaths, deadlines →
 *         locateObject, pullChunk, objectLocal, copyAdded, copyGone, StoreChunk.
 * Bounds: `pullBytesInFlightMax` and `chunksInFlightMax` asked for at once, one chunk at least.
 * Errors: what the owner says has no copy any more, OWNER_DIED, or OBJECT_STORE_FULL after
 *         `pullRoomTimeoutMs`, to each who waits. A lost source costs what it had not sent.
 * Source: Ray pull_manager; protocols §5.
 */
import { assert } from "#engine/common/assert.ts";
import type { Config } from "#engine/common/config.ts";
import { type EngineError, engineError } from "#engine/common/error-type.ts";
import { type NodeId, objectKey, type WorkerId } from "#engine/common/ids.ts";
import { subjectOf } from "#engine/common/lost-object.ts";
import { FrameBytes } from "#engine/protocol/arena.ts";
import {
  type Chunk,
  type CopyGone,
  everyArrival,
  type NotHere,
  type ObjectLocations,
  type PullObject,
  type UnpinObjects,
} from "#engine/protocol/copy.ts";
import { FailedValue, noSpecials, type Outcome, StoredValue } from "#engine/protocol/outcome.ts";
import { ownOutcome } from "#engine/protocol/own-value.ts";
import type { ObjectStore } from "#engine/object-store/object-store.ts";
import { type Copy, type LocalObjects, nameOf } from "./local-objects.ts";
import type { RayletOut } from "./placement-queue.ts";
import { type CopyRequest, Pull } from "./pull.ts";

const chunksInFlightMax = 64;

/** Where there is no copy any more, and why. */
type Lost = Pick<CopyGone, "nodeId" | "lastArrival" | "cause">;

interface ChunkRequest {
  /** Null once nobody waits for it: its answer only ends the account. */
  pull: Pull | null;
  readonly source: NodeId;
  readonly offset: number;
  readonly size: number;
}

export class PullManager {
  readonly #self: NodeId;
  readonly #config: Config;
  readonly #store: ObjectStore;
  readonly #objects: LocalObjects;
  /** Null while it lives; asked of nodes and of owners. */
  readonly #deathOf: (nodeId: NodeId) => string | undefined;
  readonly #requests = new Map<WorkerId, Map<number, CopyRequest>>();
  readonly #pulls = new Map<WorkerId, Map<number, Pull>>();
  /** Waiting or fetching, the most urgent first. */
  readonly #inOrder: Pull[] = [];
  readonly #chunks = new Map<number, ChunkRequest>();
  #chunkBytesInFlight = 0;
  #nextRequestId = 1;
  #nextOrder = 1;
  /** Something may be asked for that could not before. */
  #isDue = false;
  #freeBytesSeen = 0;

  constructor(parts: {
    nodeId: NodeId;
    config: Config;
    store: ObjectStore;
    objects: LocalObjects;
    deathOf: (nodeId: NodeId) => string | undefined;
  }) {
    this.#self = parts.nodeId;
    this.#config = parts.config;
    this.#store = parts.store;
    this.#objects = parts.objects;
    this.#deathOf = parts.deathOf;
  }

  /** For status and tests. */
  *pulls(): IterableIterator<Pull> {
    for (const pulls of this.#pulls.values()) yield* pulls.values();
  }

  get chunksInFlight(): number {
    return this.#chunks.size;
  }

  /** `ownerError`: why its owner is no more, else null. */
  onPullObject(message: PullObject, ownerError: EngineError | null, out: RayletOut): void {
    const process = message.from as WorkerId;
    const { requestId, priority, owner, object } = message;
    const known = this.#requests.get(process)?.get(requestId);
    if (known !== undefined) {
      if (known.copy !== null) this.#answer(known, localValue(known.copy, this.#self), out);
      else this.#changePriority(known, priority);
      return;
    }
    const request: CopyRequest = { process, requestId, priority, pull: null, copy: null };
    if (ownerError !== null) {
      this.#answer(request, new FailedValue(ownerError, null), out);
      return;
    }
    this.#addRequest(request);
    const copy = this.#objects.find(owner, object);
    if (copy !== undefined) {
      this.#deliver(request, copy, out);
      return;
    }
    const pull = this.#pullOf(owner, object) ?? this.#newPull(owner, object, out);
    request.pull = pull;
    pull.requests.add(request);
    this.#reorder(pull);
  }

  /** Each lets go of its own only: the pull ends with the last who waits for it. */
  onUnpinObjects({ from, requestIds }: UnpinObjects, out: RayletOut): void {
    for (const requestId of requestIds) {
      const request = this.#requests.get(from as WorkerId)?.get(requestId);
      if (request !== undefined) this.#dropRequest(request, out);
    }
  }

  onObjectLocations(message: ObjectLocations, out: RayletOut): void {
    const { from, object, nodes, outcome } = message;
    const pull = this.#pullOf(from as WorkerId, object);
    if (pull === undefined || pull.state !== "locating") return;
    if (!(outcome instanceof StoredValue)) {
      this.#end(pull, ownOutcome(outcome), out);
      return;
    }
    const { version, size } = outcome;
    if (pull.extent === null || version !== pull.version || size !== pull.size) {
      this.#dropPartial(pull);
      pull.begin(version, size);
    }
    const copy = this.#objects.find(pull.owner, pull, version);
    if (copy !== undefined) {
      this.#complete(pull, copy, out);
      return;
    }
    for (const node of nodes) {
      if (node === this.#self) {
        const { lastArrival } = this.#objects;
        this.#tellGone(pull, { nodeId: node, lastArrival, cause: "it is not there" }, out);
      } else if (this.#deathOf(node) === undefined) pull.sources.push(node);
      else this.#tellGone(pull, died(node, this.#deathOf(node)), out);
    }
    if (pull.sources.length === 0) this.#locate(pull, out);
    else this.#place(pull, pull.extent === null ? "waiting" : "fetching");
  }

  onChunk({ from, requestId, bytes }: Chunk, out: RayletOut): void {
    const chunk = this.#takeChunk(requestId, from as NodeId);
    if (chunk === undefined || !(bytes instanceof FrameBytes)) return;
    const { pull, offset, size } = chunk;
    const extent = pull?.extent ?? null;
    if (pull === null || extent === null || bytes.size !== size) return;
    const { segment } = extent;
    out.instruct({
      type: "storeChunk",
      bytes,
      to: { segment, offset: extent.offset + offset, size },
    });
    pull.receivedBytes += size;
    if (pull.receivedBytes < pull.size) return;
    const { owner, serial, index, version } = pull;
    const copy = this.#objects.addSecondary({ owner, serial, index, version, extent });
    pull.extent = null;
    const { arrival } = copy;
    out.send(owner, { type: "copyAdded", from: this.#self, copy: nameOf(copy), arrival });
    this.#complete(pull, copy, out);
  }

  onNotHere({ from, requestId, lastArrival }: NotHere, out: RayletOut): void {
    const chunk = this.#takeChunk(requestId, from as NodeId);
    const pull = chunk?.pull ?? null;
    if (chunk === undefined || pull === null) return;
    pull.askAgain(chunk);
    this.#loseSource(pull, { nodeId: chunk.source, lastArrival, cause: "it has none" }, out);
  }

  /** Sources there are lost, and who waits there waits no more. */
  onNodeDied(nodeId: NodeId, reason: string, out: RayletOut): void {
    for (const [requestId, { pull, source, offset, size }] of this.#chunks) {
      if (source !== nodeId) continue;
      this.#takeChunk(requestId, source);
      pull?.askAgain({ offset, size });
    }
    for (const pull of [...this.pulls()]) {
      this.#loseSource(pull, died(nodeId, reason), out);
    }
  }

  onOwnerEnded(owner: WorkerId, errorOf: (pull: Pull) => EngineError, out: RayletOut): void {
    for (const pull of [...(this.#pulls.get(owner)?.values() ?? [])]) {
      this.#end(pull, new FailedValue(errorOf(pull), null), out);
    }
  }

  /** A process of this node has ended: it waits for nothing and reads nothing. */
  onProcessEnded(process: WorkerId, out: RayletOut): void {
    for (const request of [...(this.#requests.get(process)?.values() ?? [])]) {
      this.#dropRequest(request, out);
    }
  }

  /** The owner has freed it, so nobody should wait: whoever does hears that from the owner. */
  onFreed(
    owner: WorkerId,
    name: { serial: number; index: number; version: number },
    out: RayletOut,
  ) {
    const pull = this.#pullOf(owner, name);
    if (pull === undefined || pull.state === "locating" || pull.version !== name.version) return;
    pull.sources = [];
    this.#dropPartial(pull);
    this.#locate(pull, out);
  }

  /** Asks for as much as is allowed at once. */
  settle(nowMs: number, out: RayletOut): void {
    const { freeBytes } = this.#store;
    const hasRoom = freeBytes > this.#freeBytesSeen;
    this.#freeBytesSeen = freeBytes;
    if (this.#inOrder.length === 0 || (!this.#isDue && !hasRoom)) return;
    this.#isDue = false;
    // Those behind one that waits for room do not take it away from it.
    let isFull = false;
    for (const pull of [...this.#inOrder]) {
      if (!this.#mayAsk(1)) break;
      if (pull.state === "waiting" && !isFull) isFull = !this.#reserve(pull, nowMs, out);
      if (pull.state === "fetching") this.#askChunks(pull, out);
    }
    this.#freeBytesSeen = this.#store.freeBytes;
  }

  nextDeadlineMs(): number {
    let nextMs = Infinity;
    for (const { roomDeadlineMs } of this.#inOrder) nextMs = Math.min(nextMs, roomDeadlineMs);
    return nextMs;
  }

  onDeadline(nowMs: number, out: RayletOut): void {
    for (const pull of [...this.#inOrder]) {
      if (pull.roomDeadlineMs > nowMs) continue;
      const { pullRoomTimeoutMs } = this.#config;
      const waited = `none became free within ${pullRoomTimeoutMs} ms`;
      this.#end(pull, new FailedValue(this.#fullError(pull, waited), null), out);
    }
  }

  checkInvariants(): void {
    let bytes = 0;
    for (const { size } of this.#chunks.values()) bytes += size;
    assert(bytes === this.#chunkBytesInFlight, "bytes in flight are counted");
    for (const [process, requests] of this.#requests) {
      assert(requests.size > 0, "a process without requests is not listed");
      for (const request of requests.values()) {
        assert(request.process === process, "a request is listed under its process");
        assert((request.pull === null) !== (request.copy === null), "a request waits or reads");
        assert(request.pull?.requests.has(request) !== false, "a pull knows who waits for it");
      }
    }
    for (const pull of this.pulls()) {
      assert(pull.requests.size > 0, "a pull that nobody waits for is over");
      assert(pull.state === "locating" || this.#inOrder.includes(pull), "a located pull is listed");
      assert(pull.state !== "fetching" || pull.extent !== null, "what is fetched has its room");
      assert(pull.state === "locating" || pull.sources.length > 0, "a located pull has a source");
    }
  }

  // ------------------------------------------------------------ requests

  #addRequest(request: CopyRequest): void {
    const { process, requestId } = request;
    let requests = this.#requests.get(process);
    if (requests === undefined) {
      requests = new Map();
      this.#requests.set(process, requests);
    }
    requests.set(requestId, request);
  }

  #forget({ process, requestId }: CopyRequest): void {
    const requests = this.#requests.get(process);
    requests?.delete(requestId);
    if (requests?.size === 0) this.#requests.delete(process);
  }

  #dropRequest(request: CopyRequest, out: RayletOut): void {
    this.#forget(request);
    // What it read may now be evicted.
    this.#isDue = true;
    const { pull, copy } = request;
    if (copy !== null) this.#objects.unpin(copy, out);
    if (pull === null) return;
    pull.requests.delete(request);
    if (pull.requests.size === 0) this.#remove(pull);
  }

  #changePriority(request: CopyRequest, priority: CopyRequest["priority"]): void {
    request.priority = priority;
    if (request.pull !== null) this.#reorder(request.pull);
  }

  #deliver(request: CopyRequest, copy: Copy, out: RayletOut): void {
    request.pull = null;
    request.copy = copy;
    this.#objects.pin(copy);
    this.#answer(request, localValue(copy, this.#self), out);
  }

  #answer({ process, requestId }: CopyRequest, outcome: Outcome, out: RayletOut): void {
    out.send(process, { type: "objectLocal", from: this.#self, requestId, outcome });
  }

  // ------------------------------------------------------------ pulls

  #pullOf(owner: WorkerId, { serial, index }: { serial: number; index: number }) {
    return this.#pulls.get(owner)?.get(objectKey(serial, index));
  }

  #newPull(owner: WorkerId, name: { serial: number; index: number }, out: RayletOut): Pull {
    const pull = new Pull(owner, name, this.#nextOrder++);
    let pulls = this.#pulls.get(owner);
    if (pulls === undefined) {
      pulls = new Map();
      this.#pulls.set(owner, pulls);
    }
    pulls.set(objectKey(name.serial, name.index), pull);
    this.#locate(pull, out);
    return pull;
  }

  #locate(pull: Pull, out: RayletOut): void {
    this.#unplace(pull);
    pull.state = "locating";
    const { owner, serial, index } = pull;
    const object = { serial, index };
    out.send(owner, { type: "locateObject", from: this.#self, object });
  }

  #place(pull: Pull, state: "waiting" | "fetching"): void {
    pull.state = state;
    this.#isDue = true;
    const { priority, order } = pull;
    const at = this.#inOrder.findIndex((other) => {
      return other.priority > priority || (other.priority === priority && other.order > order);
    });
    this.#inOrder.splice(at === -1 ? this.#inOrder.length : at, 0, pull);
  }

  #unplace(pull: Pull): void {
    const at = this.#inOrder.indexOf(pull);
    if (at !== -1) this.#inOrder.splice(at, 1);
    pull.roomDeadlineMs = Infinity;
  }

  #reorder(pull: Pull): void {
    const { state } = pull;
    if (state !== "waiting" && state !== "fetching") return;
    const { roomDeadlineMs } = pull;
    this.#unplace(pull);
    this.#place(pull, state);
    pull.roomDeadlineMs = roomDeadlineMs;
  }

  #complete(pull: Pull, copy: Copy, out: RayletOut): void {
    for (const request of pull.requests) this.#deliver(request, copy, out);
    this.#remove(pull);
  }

  #end(pull: Pull, outcome: Outcome, out: RayletOut): void {
    for (const request of pull.requests) {
      this.#forget(request);
      this.#answer(request, outcome, out);
    }
    this.#remove(pull);
  }

  #remove(pull: Pull): void {
    this.#unplace(pull);
    this.#dropPartial(pull);
    pull.state = "over";
    pull.requests.clear();
    const pulls = this.#pulls.get(pull.owner);
    pulls?.delete(objectKey(pull.serial, pull.index));
    if (pulls?.size === 0) this.#pulls.delete(pull.owner);
    this.#isDue = true;
  }

  #dropPartial(pull: Pull): void {
    if (pull.extent !== null) this.#store.free(pull.extent);
    pull.extent = null;
    // What is under way of it is not for what comes in its place.
    for (const chunk of this.#chunks.values()) if (chunk.pull === pull) chunk.pull = null;
  }

  #loseSource(pull: Pull, lost: Lost, out: RayletOut): void {
    if (!pull.sources.includes(lost.nodeId)) return;
    pull.sources = pull.sources.filter((node) => node !== lost.nodeId);
    this.#tellGone(pull, lost, out);
    if (pull.sources.length === 0) this.#locate(pull, out);
    else this.#isDue = true;
  }

  #tellGone(pull: Pull, lost: Lost, out: RayletOut): void {
    this.#objects.tellGone(pull, lost, out);
  }

  // ------------------------------------------------------------ room and chunks

  /** False when there is no room now. */
  #reserve(pull: Pull, nowMs: number, out: RayletOut): boolean {
    if (pull.size > this.#store.largestBytes) {
      const why = "no segment of the store is as large";
      this.#end(pull, new FailedValue(this.#fullError(pull, why), null), out);
      return true;
    }
    pull.extent = this.#store.reserve(pull.size, out);
    if (pull.extent !== null) {
      pull.state = "fetching";
      pull.roomDeadlineMs = Infinity;
    } else if (pull.roomDeadlineMs === Infinity) {
      pull.roomDeadlineMs = nowMs + this.#config.pullRoomTimeoutMs;
    }
    return pull.extent !== null;
  }

  #askChunks(pull: Pull, out: RayletOut): void {
    const { pullChunkBytes } = this.#config;
    while (this.#mayAsk(Math.min(pullChunkBytes, pull.size))) {
      const next = pull.takeNext(pullChunkBytes);
      if (next === null) return;
      const { source, offset, size } = next;
      const requestId = this.#nextRequestId++;
      this.#chunks.set(requestId, { pull, source, offset, size });
      this.#chunkBytesInFlight += size;
      const { owner } = pull;
      const copy = nameOf(pull);
      const from = this.#self;
      out.send(source, { type: "pullChunk", from, requestId, owner, copy, offset, size });
    }
  }

  #mayAsk(size: number): boolean {
    if (this.#chunks.size === 0) return true;
    if (this.#chunks.size >= chunksInFlightMax) return false;
    return this.#chunkBytesInFlight + size <= this.#config.pullBytesInFlightMax;
  }

  #takeChunk(requestId: number, from: NodeId): ChunkRequest | undefined {
    const chunk = this.#chunks.get(requestId);
    if (chunk === undefined || chunk.source !== from) return undefined;
    this.#chunks.delete(requestId);
    this.#chunkBytesInFlight -= chunk.size;
    this.#isDue = true;
    return chunk;
  }

  #fullError(pull: Pull, why: string): EngineError {
    const object = subjectOf(pull);
    const text =
      `object ${object} of ${pull.size} bytes lies on another node, and there is no room for it ` +
      `in the object store of this one: ${why}; let go of large values that are no longer ` +
      "needed, or give the node more objectStoreMemory";
    return engineError("OBJECT_STORE_FULL", text, object);
  }
}

function died(nodeId: NodeId, reason = ""): Lost {
  return { nodeId, lastArrival: everyArrival, cause: `the node died: ${reason}` };
}

function localValue({ extent, version }: Copy, self: NodeId): StoredValue {
  const { segment, offset, size } = extent;
  return new StoredValue(segment, offset, size, noSpecials, self, version);
}
