/**
 * 5 References, as far as copies go: at quiet every copy is one that its living owner lists, and
 * the other way round; nothing is brought or waited for; and a node's arena has back all bytes that
 * no object holds.
 */
import { extentAlignment } from "#engine/object-store/allocator.ts";
import { type NodeId, nodeIdOf, type WorkerId } from "#engine/common/ids.ts";
import { subjectOf } from "#engine/common/lost-object.ts";
import type { GetRequest } from "#engine/core-worker/memory-store.ts";
import type { IncomingTask } from "#engine/core-worker/incoming-task.ts";
import { type ObjectEntry, TaskRecord } from "#engine/core-worker/object-entry.ts";
import { isOverflow, isOwnSegment, managedSegment } from "#engine/protocol/arena.ts";
import type { ArenaExtent } from "#engine/protocol/object.ts";
import { FailedValue, type Outcome, StoredValue } from "#engine/protocol/outcome.ts";
import type { Copy } from "#engine/raylet/copy.ts";
import { roundedOwnBytes } from "#engine/services/memory-words.ts";
import { type Frame, messageOf } from "#transports/simulated/frame.ts";
import type { Cluster } from "#sim/cluster/cluster.ts";
import type { RareState } from "#sim/report/reached.ts";
import type { SimNode } from "#sim/cluster/sim-node.ts";
import { Oracle, type Violate, type WatchedProcess } from "./oracle.ts";
import { idOf } from "./tasks.ts";

const workerIdLength = 40;
/** Types of frames that tell of rare states by what is inside. */
const looksInto = new Set<Frame["type"]>(["arenaAllocated", "arenaInUse", "copyGone"]);

export class CopyOracle extends Oracle {
  readonly name = "5 references";
  readonly #reach: (state: RareState) => void;
  /** Everything that a process owns, whether it is still there or not. */
  readonly #owned = new Map<WatchedProcess, Set<ObjectEntry>>();

  constructor(violate: Violate, reach: (state: RareState) => void) {
    super(violate);
    this.#reach = reach;
  }

  override onSubmitted(entries: readonly ObjectEntry[], by: WatchedProcess): void {
    const owned = this.#owned.get(by) ?? new Set();
    this.#owned.set(by, owned);
    for (const entry of entries) {
      owned.add(entry);
      if (entry instanceof TaskRecord) for (const more of entry.moreReturns ?? []) owned.add(more);
    }
  }

  override onPut(entry: ObjectEntry, _digest: string, by: WatchedProcess): void {
    this.onSubmitted([entry], by);
  }

  override onStarted({ told }: IncomingTask): void {
    if (told?.some(({ outcome }) => outcome instanceof StoredValue)) this.#reach("placeTold");
  }

  override onSettled({ entries, failure }: GetRequest): void {
    if (failure?.type === "OBJECT_STORE_FULL") this.#reach("objectStoreFull");
    for (const { outcome } of entries) {
      const error = outcome instanceof FailedValue ? outcome.error : null;
      if (error?.type === "OBJECT_RECONSTRUCTION_FAILED") this.#reach("copyLost");
    }
  }

  override onSent(frame: Frame): void {
    if (!looksInto.has(frame.type)) return;
    const message = messageOf(frame);
    if (message.type === "arenaInUse" && message.extents.length > 0) this.#reach("readOfTheDead");
    if (message.type === "copyGone") {
      this.#reach(message.nodeId === message.from ? "copyEvicted" : "pullRetried");
    } else if (message.type === "arenaAllocated" && message.error !== null) {
      // Not what takes memory under pressure, which asks for all there is.
      if (frame.to.length === workerIdLength) this.#reach("objectStoreFull");
    }
  }

  override atQuiet(cluster: Cluster): void {
    const processes = new Map<WorkerId, WatchedProcess>();
    for (const process of [cluster.driver, ...cluster.liveWorkers]) {
      if (process.life.isAlive) processes.set(process.client.workerId, process);
    }
    if (cluster.hasLostSpilled) this.#reach("spillLost");
    for (const node of cluster.liveNodes) {
      this.#checkIdle(node);
      this.#checkDisk(node, cluster);
      for (const copy of node.running.raylet.objects.objects.all()) {
        this.#checkCopy(copy, node, processes.get(copy.owner));
      }
      this.#checkArena(node, processes);
    }
    for (const process of processes.values()) this.#checkDirectory(process, cluster);
  }

  /** Nothing is on its way to a node, or from it. */
  #checkIdle({ nodeId, running }: SimNode): void {
    const { pulls, pushes, store, spilling } = running.raylet.objects;
    const pullCount = [...pulls.pulls()].length;
    const { chunksInFlight } = pulls;
    const ioCount = spilling.batchesInFlight + pulls.restoresInFlight;
    const waitingCount = pushes.waitingCount + store.waitingCount;
    if (pullCount + chunksInFlight + waitingCount + ioCount === 0) return;
    const message =
      `${pullCount} pulls, ${chunksInFlight} chunks asked for and ${pushes.waitingCount} to be ` +
      `sent, ${ioCount} files in use and ${store.waitingCount} requests for room are left`;
    this.violate({ entity: nodeId, message });
  }

  /** Nor is there any of a former life. Where calls have failed, some could not be removed. */
  #checkDisk({ number, nodeId, running }: SimNode, { disks }: Cluster): void {
    const { count } = running.raylet.objects.files;
    const left = disks[number]?.fileCount ?? 0;
    if (left === count || disks[number]?.hasFailed === true) return;
    const message = `${left} spill files are on its disk, and ${count} are needed`;
    this.violate({ entity: nodeId, message });
  }

  #checkCopy(copy: Copy, { nodeId }: SimNode, owner: WatchedProcess | undefined): void {
    const { references } = owner?.client.core ?? {};
    const entry = references?.find(copy.owner, copy);
    const locations = entry === undefined ? undefined : references?.directory.locationsOf(entry);
    const isListed = locations !== undefined && locations.version === copy.version;
    const listed = copy.isPrimary ? [locations?.primary] : (locations?.secondaries ?? []);
    if (isListed && listed.includes(nodeId)) return;
    const kind = copy.isPrimary ? "primary" : "secondary";
    const message = `node ${nodeId} has a ${kind} copy of it that its owner does not list`;
    this.violate({ entity: subjectOf(copy), message });
  }

  #checkDirectory(process: WatchedProcess, { liveNodes }: Cluster): void {
    const nodes = new Map<NodeId, SimNode>(liveNodes.map((node) => [node.nodeId, node]));
    for (const [entry, locations] of process.client.core.references.directory.all()) {
      const { primary, secondaries, version } = locations;
      for (const nodeId of [primary, ...secondaries]) {
        const objects = nodes.get(nodeId)?.running.raylet.objects.objects;
        if (objects?.find(entry.owner, entry, version) !== undefined) continue;
        const message = `its owner believes in a copy on node ${nodeId}, which has none`;
        this.violate({ entity: idOf(entry), message });
      }
    }
  }

  /** Of the dead there is what is still read, by views as a rule. */
  #checkArena(node: SimNode, processes: ReadonlyMap<WorkerId, WatchedProcess>): void {
    const { raylet } = node.running;
    let accounted = node.tenantBytes;
    let ownSegments = 0;
    let overflows = 0;
    const count = ({ segment, size }: Pick<ArenaExtent, "segment" | "size">): void => {
      if (isOwnSegment(segment)) ownSegments += 1;
      else if (isOverflow(segment)) overflows += 1;
      else accounted += unitsOf(size);
    };
    for (const extent of this.#readOfTheDead(node, processes)) count(extent);
    for (const { extent, isManaged } of raylet.objects.objects.all()) {
      if (isManaged && extent !== null) count(extent);
    }
    for (const process of processes.values()) {
      if (nodeIdOf(process.client.workerId) !== node.nodeId) continue;
      accounted += process.client.arena.unusedBytes;
      for (const entry of this.#owned.get(process) ?? []) {
        // Of a task that may have to run again.
        const values = entry instanceof TaskRecord ? [entry.outcome, entry.args] : [entry.outcome];
        for (const value of values) {
          if (isHere(value, node.nodeId)) count(value);
        }
      }
    }
    const used = node.arenaBytes - raylet.counts.arenaFreeBytes;
    if (used !== accounted) {
      const message = `${used} bytes of its arena are in use, and ${accounted} are accounted for`;
      this.violate({ entity: node.nodeId, message });
    }
    const made = node.overflowSizes.length;
    if (made !== overflows) {
      const message = `its store has made ${made} segments, and ${overflows} are in use`;
      this.violate({ entity: node.nodeId, message });
    }
    const left = node.ownSegmentSizes;
    if (left.length !== ownSegments) {
      const count = left.length;
      const message = `${count} segments of its threads are left, and ${ownSegments} are in use`;
      this.violate({ entity: node.nodeId, message });
    }
    const ownBytes = left.reduce((sum, size) => sum + roundedOwnBytes(size), 0);
    if (node.ownBytesCounted === ownBytes) return;
    const counted = node.ownBytesCounted;
    const message = `${counted} bytes count as segments of its threads, which have ${ownBytes}`;
    this.violate({ entity: node.nodeId, message });
  }

  /** Each once, whoever reads it. */
  #readOfTheDead(
    { nodeId }: SimNode,
    processes: ReadonlyMap<WorkerId, WatchedProcess>,
  ): Iterable<ArenaExtent> {
    const read = new Map<string, ArenaExtent>();
    for (const owner of this.#owned.keys()) {
      const { workerId } = owner.client;
      if (owner.life.isAlive || nodeIdOf(workerId) !== nodeId) continue;
      for (const { client } of processes.values()) {
        if (nodeIdOf(client.workerId) !== nodeId) continue;
        for (const extent of client.core.uses.extentsOf(workerId)) {
          read.set(`${extent.segment}:${extent.offset}`, extent);
        }
      }
    }
    return read.values();
  }
}

/** Managed ones are the raylet's. */
function isHere(value: Outcome, nodeId: NodeId): value is StoredValue {
  if (!(value instanceof StoredValue) || value.segment === managedSegment) return false;
  // A segment of a thread's own goes with its maker's node alone.
  return isOwnSegment(value.segment) || value.node === null || value.node === nodeId;
}

function unitsOf(size: number): number {
  return Math.ceil(size / extentAlignment) * extentAlignment;
}
