/**
 * Makes room by writing objects to the disk: the store is above its threshold, or somebody waits
 * for room → the least recently used copies that nobody reads, fused to one file → they may be
 * evicted, and are read back when somebody needs them.
 *
 * State:  files that are being written, with their copies; what the disk said last.
 * In/out: what the store holds, who waits, objectsSpilled, objectsOffered → SpillObjects,
 *         offerObjects.
 * Bounds: `ioWorkers` files at once, each of `minSpillBytes` and `objectsPerFileMax` objects at
 *         most, one object at least.
 * Errors: what could not be written stays in memory. The disk is tried again later, at first after
 *         `spillRetryMs`; who finds no room meanwhile is told why.
 * Source: Ray local_object_manager (TryToSpillObjects); protocols §5, §9.
 */
import { assert } from "#engine/common/assert.ts";
import type { Config } from "#engine/common/config.ts";
import type { NodeId, WorkerId } from "#engine/common/ids.ts";
import type { ObjectsOffered } from "#engine/protocol/copy.ts";
import type { ObjectStore } from "#engine/object-store/object-store.ts";
import type { Copy } from "./copy.ts";
import type { LocalObjects } from "./local-objects.ts";
import type { RayletOut } from "./placement-queue.ts";
import type { SpillFiles } from "./spill-files.ts";
import type { ObjectsSpilled, SpillFailure } from "./spill-io.ts";
import { SpillOffers } from "./spill-offers.ts";

const objectsPerFileMax = 2_000;
/** A store writes so much of itself at once, at least: many small files cost more. */
const stepShare = 1 / 16;
/** Between two tries of a disk that fails, so many times the first wait: others wait for it. */
const waitGrowthMax = 16;

interface Batch {
  readonly file: number;
  readonly copies: readonly Copy[];
  readonly bytes: number;
}

export interface SpillCounts {
  spilledObjects: number;
  spilledBytes: number;
  /** What processes wrote to files themselves. */
  fallbackObjects: number;
  fallbackBytes: number;
  /** Of the spilled ones, those whose place others than their owners had been told. */
  revokedObjects: number;
  restoredObjects: number;
  restoredBytes: number;
  /** Copies that could not be read back as they were written. */
  lostObjects: number;
}

export class SpillManager {
  readonly counts: SpillCounts = {
    spilledObjects: 0,
    spilledBytes: 0,
    fallbackObjects: 0,
    fallbackBytes: 0,
    revokedObjects: 0,
    restoredObjects: 0,
    restoredBytes: 0,
    lostObjects: 0,
  };
  readonly #config: Config;
  readonly #store: ObjectStore;
  readonly #objects: LocalObjects;
  readonly #files: SpillFiles;
  readonly #offers: SpillOffers;
  readonly #batches = new Map<number, Batch>();
  #bytesInFlight = 0;
  #nextRequestId = 1;
  /** What the store held when a process had nothing to offer. */
  #inVainBytes = 0;
  /** Of the last try. */
  #failure: SpillFailure | null = null;
  #retryAtMs = 0;
  #retryWaitMs = 0;
  /** Somebody waits: what may help later is tried then, whatever else happens. */
  #tryAgainMs = Infinity;

  constructor(parts: {
    nodeId: NodeId;
    config: Config;
    store: ObjectStore;
    objects: LocalObjects;
    files: SpillFiles;
    processes: () => Iterable<WorkerId>;
  }) {
    this.#config = parts.config;
    this.#store = parts.store;
    this.#objects = parts.objects;
    this.#files = parts.files;
    this.#offers = new SpillOffers(parts.nodeId, parts.processes);
  }

  /** Why nothing is written at present; null while the disk is well. */
  get failure(): SpillFailure | null {
    return this.#failure;
  }

  get batchesInFlight(): number {
    return this.#batches.size;
  }

  /** Ends an event. `neededBytes`: what could not be had, however much is evicted. */
  settle(neededBytes: number, nowMs: number, out: RayletOut): void {
    this.#tryAgainMs = Infinity;
    let wantedBytes = this.#wantedBytes(neededBytes);
    if (wantedBytes <= 0) return;
    // Nothing is ever written: the disk is only asked to tell those who wait why.
    if (neededBytes === 0 && this.#config.spillDiskUsedMax === 0) return;
    const stepBytes = this.#store.capacityBytes * stepShare;
    const fileBytes = Math.min(this.#config.minSpillBytes, Math.max(wantedBytes, stepBytes));
    const { ioWorkers } = this.#config;
    while (nowMs >= this.#retryAtMs && this.#batches.size < ioWorkers && wantedBytes > 0) {
      const bytes = this.#spill(fileBytes, out);
      if (bytes === 0) break;
      wantedBytes -= bytes;
    }
    const missingBytes = wantedBytes - this.#objects.spillable.bytes;
    const heldBytes = this.#heldBytes();
    this.#inVainBytes = Math.min(this.#inVainBytes, heldBytes);
    // What nobody could offer then nobody can now, as far as the store knows.
    if (neededBytes === 0 && heldBytes <= this.#inVainBytes) return;
    if (missingBytes > 0)
      this.#offers.ask(Math.ceil(Math.max(missingBytes, stepBytes)), nowMs, out);
    if (neededBytes === 0 || wantedBytes <= 0) return;
    if (missingBytes > 0) this.#tryAgainMs = this.#offers.nextMs(nowMs);
    if (nowMs < this.#retryAtMs) this.#tryAgainMs = Math.min(this.#tryAgainMs, this.#retryAtMs);
  }

  nextDeadlineMs(): number {
    return this.#tryAgainMs;
  }

  onOffered({ from, objects, told }: ObjectsOffered, nowMs: number): void {
    const isEmpty = objects.length + told.length === 0;
    this.#offers.onAnswer(from as WorkerId, isEmpty, nowMs);
    this.#inVainBytes = isEmpty ? this.#heldBytes() : 0;
  }

  onObjectsSpilled(event: ObjectsSpilled, nowMs: number, out: RayletOut): void {
    const batch = this.#batches.get(event.requestId);
    if (batch === undefined) return;
    this.#batches.delete(event.requestId);
    this.#bytesInFlight -= batch.bytes;
    const { failure, checksums } = event;
    if (failure === null) this.#onWritten(batch, checksums, out);
    else for (const copy of batch.copies) this.#objects.unpin(copy, out);
    this.#failure = failure;
    // One of several files that were written at once: it is no other try that failed.
    if (failure !== null && nowMs < this.#retryAtMs) return;
    const { spillRetryMs } = this.#config;
    const longerMs = Math.min(this.#retryWaitMs * 2, spillRetryMs * waitGrowthMax);
    this.#retryWaitMs = failure === null ? 0 : Math.max(spillRetryMs, longerMs);
    this.#retryAtMs = failure === null ? 0 : nowMs + this.#retryWaitMs;
  }

  /** Much has been made since: also who had nothing to offer may have some now. */
  askAnew(): void {
    this.#offers.askAnew();
  }

  onProcessEnded(process: WorkerId): void {
    this.#offers.onProcessEnded(process);
  }

  checkInvariants(): void {
    let bytes = 0;
    for (const batch of this.#batches.values()) {
      bytes += batch.bytes;
      for (const copy of batch.copies) {
        assert(copy.pinCount > 0 && copy.extent !== null, "what is written stays where it is");
      }
    }
    assert(bytes === this.#bytesInFlight, "bytes that are written are counted");
  }

  /** Beyond what is being written. */
  #wantedBytes(neededBytes: number): number {
    const { capacityBytes } = this.#store;
    const aboveBytes = this.#heldBytes() - capacityBytes * this.#config.spillThreshold;
    return Math.max(aboveBytes, neededBytes) - this.#bytesInFlight;
  }

  #heldBytes(): number {
    const { capacityBytes, freeBytes, overflowBytes } = this.#store;
    return capacityBytes - freeBytes + overflowBytes - this.#objects.evictableBytes;
  }

  /** Returns the bytes of one more file, 0 when there is nothing to write. */
  #spill(fileBytes: number, out: RayletOut): number {
    const copies: Copy[] = [];
    let bytes = 0;
    for (const copy of this.#objects.spillable) {
      if (bytes > 0 && bytes + copy.size > fileBytes) break;
      copies.push(copy);
      bytes += copy.size;
      if (copies.length === objectsPerFileMax) break;
    }
    if (copies.length === 0) return 0;
    const parts = copies.map((copy) => {
      this.#objects.pin(copy);
      assert(copy.extent !== null, "what is not in memory is not spilled");
      return copy.extent;
    });
    const requestId = this.#nextRequestId++;
    const file = this.#files.takeNumber();
    this.#batches.set(requestId, { file, copies, bytes });
    this.#bytesInFlight += bytes;
    out.instruct({ type: "spillObjects", requestId, file, parts });
    return bytes;
  }

  #onWritten(
    { file, copies, bytes }: Batch,
    checksumsOfParts: ObjectsSpilled["checksums"],
    out: RayletOut,
  ): void {
    this.#files.onWritten(file, copies.length);
    this.counts.spilledObjects += copies.length;
    this.counts.spilledBytes += bytes;
    let offset = 0;
    for (const [i, copy] of copies.entries()) {
      const checksums = checksumsOfParts[i];
      assert(checksums !== undefined, "every part has its checksums");
      copy.spilled = { file, offset, size: copy.size, checksums };
      offset += copy.size;
      if (copy.wasTold) this.counts.revokedObjects += 1;
      // One that was freed meanwhile gives up its place with this.
      this.#objects.unpin(copy, out);
    }
  }
}
