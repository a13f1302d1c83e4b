/**
 * The raylet's part of objects: which copies are here, what is brought here, what others are sent.
 * Routes; the state is in the parts.
 */
import type { Config } from "#engine/common/config.ts";
import type { EngineError } from "#engine/common/error-type.ts";
import { type Address, type NodeId, nodeIdOf, type WorkerId } from "#engine/common/ids.ts";
import { type ObjectOf, ownerDiedError } from "#engine/common/lost-object.ts";
import type {
  Chunk,
  FreeObjects,
  NotHere,
  ObjectLocations,
  ObjectSealed,
  ObjectsOffered,
  ObjectWritten,
  PinCopy,
  PlacesRevoked,
  PullChunk,
  PullObject,
  UnpinObjects,
} from "#engine/protocol/copy.ts";
import type { ArenaGiven, ArenaInUse } from "#engine/protocol/object.ts";
import type { Outbox } from "#engine/protocol/machine.ts";
import type { StoreRow } from "#engine/protocol/state.ts";
import type { ExplainPull } from "#engine/protocol/explain.ts";
import { ObjectStore } from "#engine/object-store/object-store.ts";
import type { OverflowMade } from "#engine/object-store/overflow.ts";
import { ArenaReclaims } from "./arena-reclaims.ts";
import { LocalObjects } from "./local-objects.ts";
import { PlaceRevocations } from "./place-revocations.ts";
import type { PeerWatch } from "./peer-watch.ts";
import type { RayletOut } from "./placement-queue.ts";
import { whyPulled } from "./pull-explanations.ts";
import { PullManager } from "./pull-manager.ts";
import { PushManager } from "./push-manager.ts";
import { Restores } from "./restores.ts";
import { SpillFiles } from "./spill-files.ts";
import type { FileLeft, SpillEvent } from "./spill-io.ts";
import { SpillManager } from "./spill-manager.ts";

/** Messages of processes and other raylets that are for this part. */
export type ObjectManagerMessage =
  | ObjectSealed
  | ObjectsOffered
  | PlacesRevoked
  | ObjectWritten
  | PullObject
  | ExplainPull
  | UnpinObjects
  | ObjectLocations
  | PinCopy
  | FreeObjects
  | PullChunk
  | Chunk
  | NotHere
  | ArenaGiven
  | ArenaInUse
  | FileLeft
  | OverflowMade
  | SpillEvent;

export class ObjectManager {
  readonly store: ObjectStore;
  readonly objects: LocalObjects;
  readonly pulls: PullManager;
  readonly pushes: PushManager;
  readonly files = new SpillFiles();
  readonly spilling: SpillManager;
  readonly reclaims: ArenaReclaims;
  readonly restores: Restores;
  readonly revocations: PlaceRevocations;
  readonly #self: NodeId;
  readonly #peers: PeerWatch;
  /** Of a process, wherever. */
  readonly #hasEnded: (process: Address) => boolean;
  #overflowAtMs = Infinity;

  constructor(parts: {
    nodeId: NodeId;
    config: Config;
    segments: readonly number[];
    peers: PeerWatch;
    /** Of this node. */
    processes: () => Iterable<WorkerId>;
    /** … with those that are told to end. */
    living: () => Iterable<WorkerId>;
    hasEnded: (process: Address) => boolean;
    deathOf: (nodeId: NodeId) => string | undefined;
  }) {
    const { nodeId, config, segments, deathOf } = parts;
    this.#self = nodeId;
    this.#peers = parts.peers;
    this.#hasEnded = parts.hasEnded;
    const evict = (out: Outbox<never>): boolean => this.objects.evict(out as RayletOut);
    const { processes } = parts;
    this.store = new ObjectStore(nodeId, segments, {
      evict,
      waitMs: config.pullRoomTimeoutMs,
      overflowBytesMax: config.overflowBytesMax,
      overflowGraceMs: config.overflowGraceMs,
      isMakingRoom: () => this.spilling.batchesInFlight > 0,
      diskTrouble: () => this.spilling.failure,
    });
    const { store, files } = this;
    this.objects = new LocalObjects(nodeId, store, files);
    const { objects } = this;
    const kept = { nodeId, config, store, objects };
    this.spilling = new SpillManager({ ...kept, files, processes });
    this.revocations = new PlaceRevocations({ nodeId, objects, living: parts.living });
    const { counts } = this.spilling;
    this.restores = new Restores({ ...kept, counts });
    this.pulls = new PullManager({ ...kept, restores: this.restores, deathOf });
    this.pushes = new PushManager({ nodeId, config, objects, counts });
    this.reclaims = new ArenaReclaims({ nodeId, store, objects, living: parts.living });
  }

  handle(event: ObjectManagerMessage, nowMs: number, out: RayletOut): void {
    switch (event.type) {
      case "objectSealed":
        for (const { owner } of event.objects) this.#watch(owner, out);
        this.objects.onObjectSealed(event, this.#hasEnded);
        return this.objects.kept(event, out);
      case "objectsOffered":
        this.objects.onObjectsOffered(event, (copy) => this.revocations.begin(copy));
        this.spilling.onOffered(event, nowMs);
        return this.objects.kept(event, out);
      case "placesRevoked":
        return this.revocations.onPlacesRevoked(event);
      case "objectWritten":
        this.objects.onObjectWritten(event);
        this.spilling.counts.fallbackObjects += 1;
        this.spilling.counts.fallbackBytes += event.place.size;
        return this.objects.kept(event, out);
      case "fileLeft":
        return this.files.onLeft(event, out);
      case "objectsSpilled":
        this.pulls.onRoomMayHaveCome();
        return this.spilling.onObjectsSpilled(event, nowMs, out);
      case "overflowMade":
        if (this.store.onOverflowMade(event, nowMs)) this.pulls.onRoomMayHaveCome();
        return;
      case "spilledRead":
        return this.pulls.onCopyLost(this.pushes.onSpilledRead(event, nowMs, out), out);
      case "objectRestored":
        return this.pulls.onCopyRead(this.restores.onObjectRestored(event, nowMs, out), out);
      case "pullObject":
        this.#watch(event.owner, out);
        return this.pulls.onPullObject(event, this.#endOf(event.owner, event), out);
      case "explainPull":
        return this.onExplainPull(event, out);
      case "unpinObjects":
        return this.pulls.onUnpinObjects(event, out);
      case "objectLocations":
        return this.pulls.onObjectLocations(event, out);
      case "pinCopy":
        return this.objects.onPinCopy(event, out);
      case "freeObjects":
        this.objects.onFreeObjects(event, out);
        for (const name of event.objects) this.pulls.onFreed(event.from as WorkerId, name, out);
        return;
      case "pullChunk":
        return this.pushes.onPullChunk(event);
      case "chunk":
        return this.pulls.onChunk(event, out);
      case "notHere":
        return this.pulls.onNotHere(event, out);
      case "arenaGiven":
        this.store.onArenaGiven(event, this.#isOver(event.to));
        return this.reclaims.onGiven(event.to);
      case "arenaInUse":
        return this.reclaims.onArenaInUse(event);
    }
  }

  /** For who looks at it. */
  storeRow(): StoreRow {
    const { capacityBytes, freeBytes, overflowBytes } = this.store;
    const { counts } = this.spilling;
    return {
      nodeId: this.#self,
      capacityBytes,
      usedBytes: capacityBytes - freeBytes,
      overflowBytes,
      spilledObjects: counts.spilledObjects,
      spilledBytes: counts.spilledBytes,
      fallbackObjects: counts.fallbackObjects,
      fallbackBytes: counts.fallbackBytes,
      restoredObjects: counts.restoredObjects,
      restoredBytes: counts.restoredBytes,
      spillFiles: this.files.count,
    };
  }

  onExplainPull({ from, requestId, pullId }: ExplainPull, out: RayletOut): void {
    const request = this.pulls.requestOf(from as WorkerId, pullId);
    const text = whyPulled(request, this.pulls, this.store, this.#self);
    out.send(from, { type: "pullExplained", from: this.#self, requestId, text });
  }

  onDeadline(nowMs: number, out: RayletOut): void {
    this.store.onDeadline(nowMs, out);
    this.pulls.onDeadline(nowMs, out);
    this.restores.onDeadline(nowMs, out);
    this.pushes.onDeadline(nowMs, out);
  }

  nextDeadlineMs(): number {
    const { store, spilling, pulls, pushes, restores } = this;
    const ofRoom = Math.min(store.nextDeadlineMs(), spilling.nextDeadlineMs());
    const ofReads = Math.min(restores.nextDeadlineMs(), pushes.nextDeadlineMs());
    return Math.min(pulls.nextDeadlineMs(), ofReads, ofRoom, this.#overflowAtMs);
  }

  /** Ends every event of the raylet. */
  settle(nowMs: number, out: RayletOut): void {
    this.reclaims.settle(out);
    this.pushes.settle(out);
    this.objects.evictOverflow(out);
    // Whatever event is the first after that time.
    const mayOverflow = this.#overflowAtMs <= nowMs;
    if (mayOverflow || this.store.hasFreedOverflow) this.pulls.onRoomMayHaveCome();
    this.store.settle(nowMs, out);
    this.pulls.settle(nowMs, out);
    const waitingBytes = this.store.waitingBytes + this.pulls.waitingBytes;
    const neededBytes = Math.max(waitingBytes, this.store.takeRefusedBytes());
    this.revocations.settle(out);
    if (this.store.takeCallForOffers()) this.spilling.askAnew();
    this.spilling.settle(neededBytes, nowMs, out);
    this.store.settleOverflow(this.pulls.hasWaiting, out);
    this.#overflowAtMs = this.store.nextOverflowMs(nowMs);
  }

  /** Of this node, or of another. */
  onProcessEnded(process: WorkerId, why: string, out: RayletOut): void {
    this.pulls.onProcessEnded(process, out);
    this.pulls.onOwnerEnded(process, (pull) => ownerDiedError(pull, why), out);
    this.objects.onOwnerEnded(process, out);
    this.spilling.onProcessEnded(process);
    this.revocations.onProcessEnded(process);
    this.store.forget(process);
  }

  /** It was never ready, but may have had room for what it would make. */
  onStartEnded(process: WorkerId): void {
    this.store.forget(process);
    this.store.reclaim(process, []);
  }

  onNodeDied(nodeId: NodeId, reason: string, out: RayletOut): void {
    this.pushes.onNodeDied(nodeId, out);
    const owners = new Set<WorkerId>();
    for (const { owner } of this.pulls.pulls()) owners.add(owner);
    for (const { owner } of this.objects.all()) owners.add(owner);
    for (const owner of owners) {
      if (nodeIdOf(owner) === nodeId) this.onProcessEnded(owner, reason, out);
    }
    this.pulls.onNodeDied(nodeId, reason, out);
  }

  checkInvariants(): void {
    this.store.checkInvariants();
    this.objects.checkInvariants();
    this.spilling.checkInvariants();
    this.revocations.checkInvariants();
    this.pulls.checkInvariants();
    this.pushes.checkInvariants();
    this.reclaims.checkInvariants();
  }

  /** It has ended, and nobody reads anything that it had. */
  #isOver(process: WorkerId): boolean {
    return this.#hasEnded(process) && !this.reclaims.isOpen(process);
  }

  /** What we keep of an owner goes when it ends, so we must hear of that. */
  #watch(owner: WorkerId, out: RayletOut): void {
    if (nodeIdOf(owner) !== this.#self) this.#peers.watchRemote(owner, this.#self, out);
  }

  #endOf(owner: WorkerId, { object }: PullObject): EngineError | null {
    if (!this.#hasEnded(owner)) return null;
    const name: ObjectOf = { owner, ...object };
    return ownerDiedError(name, `process ${owner} has ended`);
  }
}
