/**
 * Brings objects into the memory of this node: a process asks → locate at the owner → room in the
 * store → chunks from the nodes that have a copy → the object is local, for all who asked. One that
 * was spilled here needs room as well, and is then read back: in one line with the others, so that
 * who came first gets all it needs before who came later takes its room.
 *
 * State:  requests by process; pulls by object, those with a location in line (PullLine); copies
 *         that are read back.
 * In/out: pullObject, unpinObjects, objectLocations, chunk, notHere, copies that were read back,
 *         deaths, deadlines → locateObject, pullChunk, objectLocal, copyAdded, copyGone,
 *         StoreChunk, RestoreObject.
 * Bounds: those of the chunks; `ioWorkers` copies read back at once.
 * Errors: what the owner says has no copy any more, OWNER_DIED, or OBJECT_STORE_FULL after
 *         `pullRoomTimeoutMs` or, while others give up, at most twice that, to each who waits. A
 *         lost source costs what it had not sent; what cannot be read back is a lost copy.
 * Source: Ray pull_manager; protocols §5.
 */
import { assert } from "#engine/common/assert.ts";
import type { Config } from "#engine/common/config.ts";
import type { EngineError } from "#engine/common/error-type.ts";
import type { NodeId, WorkerId } from "#engine/common/ids.ts";
import { ObjectMap } from "#engine/common/object-map.ts";
import { FrameBytes } from "#engine/protocol/arena.ts";
import {
  type Chunk,
  type NotHere,
  type ObjectLocations,
  type PullObject,
  type UnpinObjects,
} from "#engine/protocol/copy.ts";
import { FailedValue, type Outcome, StoredValue } from "#engine/protocol/outcome.ts";
import { ownOutcome } from "#engine/protocol/own-value.ts";
import type { ObjectStore } from "#engine/object-store/object-store.ts";
import { ChunkRequests } from "./chunk-requests.ts";
import { CopyRequests } from "./copy-requests.ts";
import { type Copy, nameOf } from "./copy.ts";
import type { LocalObjects } from "./local-objects.ts";
import type { RayletOut } from "./placement-queue.ts";
import { type CopyRequest, Pull } from "./pull.ts";
import { PullLine } from "./pull-line.ts";
import { died, fullError, localValue, type Lost } from "./pull-outcomes.ts";
import type { Restores } from "./restores.ts";

/** Of the time that a pull waits for room: so much longer when another one has given up. */
const patience = 8;

export class PullManager {
  readonly #self: NodeId;
  readonly #config: Config;
  readonly #store: ObjectStore;
  readonly #objects: LocalObjects;
  /** Null while it lives; asked of nodes and of owners. */
  readonly #deathOf: (nodeId: NodeId) => string | undefined;
  readonly #requests = new CopyRequests();
  readonly #pulls = new ObjectMap<Pull>();
  /** Waiting or fetching. */
  readonly #line: PullLine;
  readonly #chunks: ChunkRequests;
  readonly #restores: Restores;
  #nextOrder = 1;
  /** Something may be asked for that could not before. */
  #isDue = false;
  /** Nobody can find them any more; in this event. */
  readonly #left: Copy[] = [];

  constructor(parts: {
    nodeId: NodeId;
    config: Config;
    store: ObjectStore;
    objects: LocalObjects;
    restores: Restores;
    deathOf: (nodeId: NodeId) => string | undefined;
  }) {
    this.#self = parts.nodeId;
    this.#chunks = new ChunkRequests(parts.nodeId, parts.config);
    this.#restores = parts.restores;
    this.#config = parts.config;
    this.#store = parts.store;
    this.#objects = parts.objects;
    this.#line = new PullLine(parts.store, parts.objects);
    this.#deathOf = parts.deathOf;
    const onUnlisted = (copy: Copy): void => void this.#left.push(copy);
    parts.objects.onUnlisted.push(onUnlisted);
  }

  /** For status and tests. */
  pulls(): IterableIterator<Pull> {
    return this.#pulls.values();
  }

  /** Undefined once it has failed, or the process has let go of it. */
  requestOf(process: WorkerId, requestId: number): CopyRequest | undefined {
    return this.#requests.find(process, requestId);
  }

  /** It is not room that it waits for: others are brought first. */
  waitsForTurn(pull: Pull): boolean {
    return pull.state === "waiting" && !this.#isItsTurn(pull);
  }

  get chunksInFlight(): number {
    return this.#chunks.size;
  }

  get restoresInFlight(): number {
    return this.#restores.size;
  }

  /** What the first of those that wait for room lacks. */
  get waitingBytes(): number {
    return this.#line.waitingBytes;
  }

  /** For room, or until those ahead of them have been read. */
  get hasWaiting(): boolean {
    return this.#line.hasWaiting;
  }

  /** `ownerError`: why its owner is no more, else null. */
  onPullObject(message: PullObject, ownerError: EngineError | null, out: RayletOut): void {
    const process = message.from as WorkerId;
    const { requestId, priority, owner, object } = message;
    const known = this.#requests.find(process, requestId);
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
    this.#requests.add(request);
    const copy = this.#objects.find(owner, object);
    if (copy !== undefined && this.#line.mayPinNow(copy, priority)) {
      this.#deliver(request, copy, out);
      return;
    }
    const pull = this.#pulls.find(owner, object) ?? this.#newPull(owner, object);
    request.pull = pull;
    pull.requests.add(request);
    if (pull.state !== "new") this.#reorder(pull);
    else if (copy === undefined) this.#locate(pull, out);
    else this.#restore(pull, copy);
  }

  /** Each lets go of its own only: the pull ends with the last who waits for it. */
  onUnpinObjects({ from, requestIds }: UnpinObjects, out: RayletOut): void {
    for (const requestId of requestIds) {
      const request = this.#requests.find(from as WorkerId, requestId);
      if (request !== undefined) this.#dropRequest(request, out);
    }
  }

  onObjectLocations(message: ObjectLocations, out: RayletOut): void {
    const { from, object, nodes, outcome } = message;
    const pull = this.#pulls.find(from as WorkerId, object);
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
      this.#dropPartial(pull);
      if (copy.extent !== null) this.#complete(pull, copy, out);
      else this.#restore(pull, copy);
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
    for (const { pull, offset, size } of this.#chunks.takeAllOf(nodeId)) {
      this.#isDue = true;
      pull?.askAgain({ offset, size });
    }
    for (const pull of [...this.pulls()]) {
      this.#loseSource(pull, died(nodeId, reason), out);
    }
  }

  onOwnerEnded(owner: WorkerId, errorOf: (pull: Pull) => EngineError, out: RayletOut): void {
    for (const pull of [...this.#pulls.of(owner)]) {
      this.#end(pull, new FailedValue(errorOf(pull), null), out);
    }
  }

  /** A process of this node has ended: it waits for nothing and reads nothing. */
  onProcessEnded(process: WorkerId, out: RayletOut): void {
    for (const request of this.#requests.of(process)) this.#dropRequest(request, out);
  }

  /** The owner has freed it, so nobody should wait: whoever does hears that from the owner. */
  onFreed(
    owner: WorkerId,
    name: { serial: number; index: number; version: number },
    out: RayletOut,
  ) {
    const pull = this.#pulls.find(owner, name);
    if (pull === undefined || pull.state === "locating" || pull.version !== name.version) return;
    pull.sources = [];
    this.#dropPartial(pull);
    this.#locate(pull, out);
  }

  /** It is in memory, or lost; undefined: it is to be read again. */
  onCopyRead(copy: Copy | undefined, out: RayletOut): void {
    this.#isDue = true;
    if (copy === undefined) return;
    const pull = this.#pulls.find(copy.owner, copy);
    if (pull?.copy === copy && copy.extent !== null) this.#complete(pull, copy, out);
    else if (pull?.copy === copy) this.#locate(pull, out);
    this.#restores.end(copy, out);
  }

  /** Found out by another who read it: whoever waits for it here asks its owner. */
  onCopyLost(copy: Copy | undefined, out: RayletOut): void {
    if (copy === undefined || copy.isRestoring) return;
    const pull = this.#pulls.find(copy.owner, copy);
    if (pull?.copy === copy) this.#locate(pull, out);
  }

  /** There is some that does not show in what is free, or more can be asked for. */
  onRoomMayHaveCome(): void {
    this.#isDue = true;
  }

  /** Asks for as much as is allowed at once. */
  settle(nowMs: number, out: RayletOut): void {
    this.#locateLeft(out);
    const hasRoom = this.#line.takeHasMoreRoom();
    if (this.#line.isEmpty || (!this.#isDue && !hasRoom)) return;
    // Who leaves the line may be why those behind it do not have room.
    do this.#serve(nowMs, out);
    while (this.#isDue);
    this.#line.takeHasMoreRoom();
  }

  #serve(nowMs: number, out: RayletOut): void {
    this.#isDue = false;
    // Those behind one that waits for room do not take it away from it.
    let isFull = false;
    let aheadBytes = 0;
    for (const pull of [...this.#line]) {
      if (pull.state === "waiting" && !isFull && this.#isItsTurn(pull)) {
        isFull = !this.#line.fits(pull.size, aheadBytes) || !this.#reserve(pull, nowMs, out);
      }
      if (pull.state === "waiting") aheadBytes += pull.size;
      if (pull.state === "fetching" && pull.copy === null) this.#chunks.askFor(pull, out);
    }
    this.#locateLeft(out);
  }

  nextDeadlineMs(): number {
    return this.#line.nextDeadlineMs();
  }

  onDeadline(nowMs: number, out: RayletOut): void {
    for (const pull of [...this.#line]) {
      if (pull.roomDeadlineMs > nowMs) continue;
      if (!this.#isItsTurn(pull)) {
        // It is not room that it waits for now.
        pull.roomDeadlineMs = Infinity;
        continue;
      }
      const { pullRoomTimeoutMs } = this.#config;
      const waited = `none became free within ${pullRoomTimeoutMs} ms`;
      this.#end(pull, new FailedValue(fullError(this.#store, pull, waited), null), out);
      // What it stood in line for may be enough for those behind it, or what is let go of now.
      for (const other of this.#line) other.waitLonger(nowMs + pullRoomTimeoutMs / patience);
      this.settle(nowMs, out);
    }
  }

  checkInvariants(): void {
    this.#chunks.checkInvariants();
    this.#requests.checkInvariants();
    this.#pulls.checkInvariants();
    assert(this.#left.length === 0, "an event ended before those that lost their copy asked again");
    for (const pull of this.pulls()) {
      assert(pull.requests.size > 0, "a pull that nobody waits for is over");
      assert(pull.state === "locating" || this.#line.has(pull), "a located pull is listed");
      const { state, copy } = pull;
      assert(state !== "fetching" || pull.extent !== null || copy !== null, "it has its room");
      const isSomewhere = pull.sources.length > 0 || copy?.spilled !== undefined;
      assert(state === "locating" || isSomewhere, "a located pull has a source");
    }
  }

  // ------------------------------------------------------------ requests

  #dropRequest(request: CopyRequest, out: RayletOut): void {
    this.#requests.delete(request);
    // What it read may now be evicted.
    this.#isDue = true;
    const { pull, copy } = request;
    if (copy !== null) this.#objects.unpin(copy, out);
    if (pull === null) return;
    pull.requests.delete(request);
    if (pull.requests.size === 0) this.#remove(pull);
    else this.#reorder(pull);
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

  #newPull(owner: WorkerId, name: { serial: number; index: number }): Pull {
    const pull = new Pull(owner, name, this.#nextOrder++);
    this.#pulls.add(pull);
    return pull;
  }

  /** It is here, on the disk: it stands in line for room. */
  #restore(pull: Pull, copy: Copy): void {
    this.#line.delete(pull);
    pull.sources = [];
    pull.begin(copy.version, copy.size);
    pull.copy = copy;
    this.#place(pull, copy.isRestoring ? "fetching" : "waiting");
  }

  #locate(pull: Pull, out: RayletOut): void {
    this.#line.delete(pull);
    this.#isDue = true;
    pull.copy = null;
    pull.state = "locating";
    const { owner, serial, index } = pull;
    const object = { serial, index };
    out.send(owner, { type: "locateObject", from: this.#self, object });
  }

  /** What stood in line for a copy that lay here, and was evicted meanwhile, asks for another. */
  #locateLeft(out: RayletOut): void {
    for (const copy of this.#left.splice(0)) {
      const pull = this.#pulls.find(copy.owner, copy);
      if (pull?.copy !== copy || pull.state !== "waiting") continue;
      this.#locate(pull, out);
    }
  }

  #place(pull: Pull, state: "waiting" | "fetching"): void {
    pull.state = state;
    this.#isDue = true;
    this.#line.add(pull);
  }

  #reorder(pull: Pull): void {
    if (pull.state !== "waiting" && pull.state !== "fetching") return;
    this.#line.reorder(pull);
    this.#isDue = true;
  }

  #complete(pull: Pull, copy: Copy, out: RayletOut): void {
    for (const request of pull.requests) this.#deliver(request, copy, out);
    this.#remove(pull);
  }

  #end(pull: Pull, outcome: Outcome, out: RayletOut): void {
    for (const request of pull.requests) {
      this.#requests.delete(request);
      this.#answer(request, outcome, out);
    }
    this.#remove(pull);
  }

  #remove(pull: Pull): void {
    this.#line.delete(pull);
    this.#dropPartial(pull);
    pull.state = "over";
    pull.requests.clear();
    this.#pulls.delete(pull);
    this.#isDue = true;
  }

  #dropPartial(pull: Pull): void {
    if (pull.extent !== null) this.#store.free(pull.extent);
    pull.extent = null;
    this.#chunks.disown(pull);
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

  #isItsTurn({ copy }: Pull): boolean {
    if (copy === null) return this.#chunks.mayAsk(1);
    return copy.extent !== null || this.#restores.mayStart(copy);
  }

  /** False when there is no room now. */
  #reserve(pull: Pull, nowMs: number, out: RayletOut): boolean {
    const { copy } = pull;
    if (copy !== null && this.#objects.find(pull.owner, pull, pull.version) !== copy) {
      // For one that stands before it in line.
      this.#locate(pull, out);
      return true;
    }
    if (copy !== null && copy.extent !== null) {
      this.#complete(pull, copy, out);
      return true;
    }
    const { size } = pull;
    // Of what `wait` asks for one at a time is enough.
    const mayOverflow = pull.priority !== 1;
    if (!this.#store.mayHold(size, mayOverflow)) {
      const why = "no segment of the store is as large";
      this.#end(pull, new FailedValue(fullError(this.#store, pull, why), null), out);
      return true;
    }
    const extent = this.#store.reserve({ size, mayOverflow }, nowMs, out);
    if (extent === null) {
      pull.waitForRoom(nowMs, this.#config.pullRoomTimeoutMs);
      return false;
    }
    pull.state = "fetching";
    pull.roomDeadlineMs = Infinity;
    if (pull.copy === null) pull.extent = extent;
    else this.#restores.start(pull.copy, extent, out);
    return true;
  }

  #takeChunk(requestId: number, from: NodeId) {
    const chunk = this.#chunks.take(requestId, from);
    if (chunk !== undefined) this.#isDue = true;
    return chunk;
  }
}
