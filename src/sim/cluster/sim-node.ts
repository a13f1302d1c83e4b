/** One life of a simulated machine: raylet, on the head also the GCS, workers, and their arena. */
import { assert } from "#engine/common/assert.ts";
import { type ActorId, gcsAddress, type NodeId, type WorkerId } from "#engine/common/ids.ts";
import type { ResourceRequest } from "#engine/common/resources.ts";
import { isOverflow, isOwnSegment } from "#engine/protocol/arena.ts";
import type { WorkerExit } from "#engine/protocol/launcher.ts";
import { Host } from "#engine/services/host.ts";
import { MemoryWords } from "#engine/services/memory-words.ts";
import { type RunningNode, startNode } from "#engine/services/node.ts";
import type { OverflowPort } from "#engine/services/overflow-port.ts";
import type { SpilledPlace } from "#engine/protocol/spilled-place.ts";
import { findRemote } from "#api/identity/remote-registry.ts";
import { notRegisteredError } from "#api/identity/remote-resolution-error.ts";
import type { NodePlan } from "#api/node-plan.ts";
import { OverflowSegments } from "#api/overflow-segments.ts";
import { addExecutor, makeProcess } from "#api/process.ts";
import type { Process } from "#api/runtime.ts";
import type { ResolveRemote } from "#api/user-code.ts";
import type { Endpoint, Network } from "#transports/simulated/network.ts";
import { hostThreadIndex } from "#transports/threads/boot-data.ts";
import { threadsMax } from "#transports/threads/parking.ts";
import { SharedArena } from "#transports/threads/shared-arena.ts";
import type { SimDisk, WriteMoments } from "./disk.ts";
import { giveSegments, takeSegments } from "./arena-pool.ts";
import type { Moments } from "#sim/faults/moments.ts";
import { SimReclaimer } from "./reclaimer.ts";
import { prefixOf, SimSpilling } from "./sim-spilling.ts";
import type { Digest } from "#sim/oracles/oracle.ts";
import type { Oracles } from "#sim/oracles/oracles.ts";
import { digestIn, digestOfPut } from "#sim/oracles/value-digest.ts";
import { ProcessExited } from "#sim/virtual/exit.ts";
import { watchClient } from "#sim/watch/watch-client.ts";
import { watchValues } from "#sim/watch/watch-values.ts";
import { type UserCodeWatch, WatchedUserCode } from "#sim/watch/watch-user-code.ts";
import { Tenant } from "#sim/faults/tenant.ts";
import type { Life, World } from "#sim/world/world.ts";
import { WorldEffect } from "./world-effect.ts";

export interface SimProcess extends Process {
  readonly life: Life;
  readonly reclaimer: SimReclaimer;
  readonly endpoint: Endpoint;
}

export interface SimNodeOptions {
  readonly world: World;
  readonly network: Network;
  readonly plan: NodePlan;
  readonly number: number;
  /** Rises with every life that ended in the cluster: a part of names, which are never reused. */
  readonly life: number;
  readonly oracles: Oracles;
  /** Of the machine: it outlives the node. */
  readonly disk: SimDisk;
  readonly moments: Moments;
  /** It goes by the id of the life before: nobody may take it for that one. */
  readonly hasOldId?: boolean;
  /** Whether the GCS has declared such a node dead. */
  hasBuried(nodeId: NodeId): boolean;
  /** Whether the GCS has ended such an actor because nobody had a handle to it. */
  isOutOfScope(actorId: ActorId): boolean;
  onWorker(worker: SimProcess): void;
}

/** Ended by a fault, by itself, or in the midst of something: what it had is gone with it. */
export function isLost({ life }: SimProcess): boolean {
  return !life.isAlive && life.hasEndedIdle !== true;
}

export class SimNode {
  readonly number: number;
  readonly life: Life;
  readonly #options: SimNodeOptions;
  readonly #host: Host;
  readonly #effect: WorldEffect;
  readonly #endpoint: Endpoint;
  readonly #arena: SharedArena;
  readonly #digest: Digest;
  readonly #segments: SharedArrayBuffer[];
  readonly #processes: SimProcess[] = [];
  readonly #tenants: Tenant[] = [];
  #endedForMemoryCount = 0;
  readonly #memoryWords: MemoryWords;
  /** What each process writes what it has in words of. Those of the dead are given out again. */
  readonly #threads = new Map<WorkerId, number>();
  readonly #freeThreads: number[] = [];
  #nextThread = hostThreadIndex + 1;
  /** They have ended in the midst of writing a file. */
  readonly #cutShort = new Set<WorkerId>();
  #workerCount = 0;
  #running: RunningNode | null = null;
  /** Once it has started. */
  #spilling: SimSpilling | null = null;

  constructor(options: SimNodeOptions) {
    const { world, network, plan, number, life } = options;
    this.#options = options;
    this.number = number;
    this.#segments = takeSegments(plan.objectStoreBytes);
    this.#arena = new SharedArena(this.#segments.entries());
    this.#memoryWords = MemoryWords.of({ storeBytes: plan.objectStoreBytes, threads: threadsMax });
    this.#digest = digestIn((segment) => this.#arena.bytes(segment));
    const name = number === 0 ? "head" : `raylet${number}${life === 0 ? "" : `.${life}`}`;
    this.life = { name, node: number, hasUserCode: false, isAlive: true };
    world.addLife(this.life);
    this.#host = new Host(world.hostClock(this.life), true);
    this.#effect = new WorldEffect(world, this.life);
    const addresses = number === 0 ? [plan.nodeId, gcsAddress] : [plan.nodeId];
    this.#endpoint = network.join(this.life, addresses, this.#host, this.#arena);
    this.#host.connect(this.#endpoint);
    if (this.hasOldId) this.#standBy(this.#endpoint);
  }

  get hasOldId(): boolean {
    return this.#options.hasOldId === true;
  }

  get nodeId(): NodeId {
    return this.#options.plan.nodeId;
  }

  get arenaBytes(): number {
    return this.#options.plan.objectStoreBytes;
  }

  /** Of its arena: what memory pressure has taken. */
  get tenantBytes(): number {
    return this.#tenants.reduce((sum, { heldBytes }) => sum + heldBytes, 0);
  }

  /** Sizes of the segments that threads have made for themselves. */
  get ownSegmentSizes(): number[] {
    const own = this.#arena.segments().filter(([segment]) => isOwnSegment(segment));
    return own.map(([, { byteLength }]) => byteLength);
  }

  /** … and that the store has made beyond what it has. */
  get overflowSizes(): number[] {
    const beyond = this.#arena.segments().filter(([segment]) => isOverflow(segment));
    return beyond.map(([, { byteLength }]) => byteLength);
  }

  /** Of the threads' own: as they count against what threads may have. */
  get ownBytesCounted(): number {
    return this.#memoryWords.ownBytes;
  }

  /** The disk is read for it, or has failed and will be read again. */
  isRestoring(place: SpilledPlace): boolean {
    return this.#spilling?.isReading(place) ?? false;
  }

  get totals(): ResourceRequest {
    return this.#options.plan.totals;
  }

  /** Raylet, and the GCS if it is here, once they are up. */
  get running(): RunningNode {
    assert(this.#running !== null, "the node has been started");
    return this.#running;
  }

  start(driverId: WorkerId | null, onDeclaredDead: () => void): void {
    const { world, plan } = this.#options;
    const { nodeId, config, totals, labels, hostname, numCpus } = plan;
    const isHead = this.number === 0;
    this.#spilling = new SimSpilling({
      world,
      life: this.life,
      disk: this.#options.disk,
      arena: this.#arena,
      lifeNumber: this.#options.life,
      diskUsedMax: config.spillDiskUsedMax,
      revokedCount: () => this.#running?.raylet.objects.spilling.counts.revokedObjects ?? 0,
    });
    this.#running = startNode({
      host: this.#host,
      launcher: {
        start: (workerId) => this.#startWorker(workerId),
        stop: (workerId) => this.#stopWorker(workerId),
        dropSegments: ({ workerId, kept }) => {
          const dropped = this.#arena.dropOwn(workerId, kept);
          if (dropped.length > 0) world.mark("segmentsReclaimed");
          for (const { size } of dropped) this.#memoryWords.removeOwn(hostThreadIndex, size);
        },
        close: () => Promise.resolve(),
      },
      arena: this.#arena,
      memoryWords: this.#memoryWords,
      spilling: this.#spilling,
      overflow: this.#overflow(),
      driverId,
      isHead,
      onExit: onDeclaredDead,
      runtime: this.#effect.context,
      raylet: {
        nodeId,
        config,
        isHead,
        totals,
        labels,
        address: "sim",
        hostname,
        prestartCount: Math.ceil(numCpus),
        segments: this.#segments.map((segment) => segment.byteLength),
      },
    });
    this.#effect.onBuilt();
  }

  /** All its processes end at once, without a word; not the driver, which is a machine's guest. */
  end(): void {
    if (!this.life.isAlive) return;
    for (const process of this.#processes) {
      if (process.life.name !== "driver") this.#end(process);
    }
    for (const tenant of this.#tenants) tenant.end();
    this.life.isAlive = false;
    this.#options.network.leave(this.#endpoint);
    this.#host.close();
  }

  async close(): Promise<void> {
    this.#effect.release();
    await this.#running?.close();
    giveSegments(this.#segments, this.#options.plan.objectStoreBytes);
  }

  endWorker(workerId: WorkerId, exit: WorkerExit): void {
    const worker = this.#processes.find(({ client }) => client.workerId === workerId);
    if (worker === undefined || !worker.life.isAlive || !this.life.isAlive) return;
    this.#end(worker);
    const file = this.#takeLeft(workerId);
    // The raylet is told on the link from the worker, behind everything the worker had sent.
    this.#options.network.convey(worker.endpoint, this.#endpoint, "workerExited", () => {
      if (file !== null) this.#tellLeft(file, workerId);
      this.#host.dispatch(this.nodeId, { type: "workerExited", workerId, exit });
    });
  }

  /** As with threads: the node takes over what is left. The file it was writing last, if any. */
  #takeLeft(workerId: WorkerId): number | null {
    const thread = this.#threads.get(workerId);
    assert(thread !== undefined, "a process has words of its own");
    const file = this.#memoryWords.lastFileOf(thread);
    if (thread === hostThreadIndex) return file;
    const sizes = this.#arena.ownOf(workerId).map(({ size }) => size);
    this.#memoryWords.takeOver(thread, hostThreadIndex, sizes);
    this.#freeThreads.push(thread);
    return file;
  }

  #tellLeft(file: number, by: WorkerId): void {
    const spilling = this.#spilling;
    assert(spilling !== null, "the node has been started");
    spilling.leftFile = this.#cutShort.has(by) ? file : null;
    this.#host.dispatch(this.nodeId, { type: "fileLeft", file });
    spilling.leftFile = null;
  }

  endDriver(exit: WorkerExit): void {
    const driver = this.#processes.find(({ life }) => life.name === "driver");
    if (driver !== undefined) this.endWorker(driver.client.workerId, exit);
  }

  /** A process that takes room in the arena. */
  addTenant(): Tenant {
    const { world, network } = this.#options;
    const { life: host, nodeId } = this;
    const tenant = new Tenant({ world, network, host, nodeId, index: this.#tenants.length });
    this.#tenants.push(tenant);
    return tenant;
  }

  get endedForMemoryCount(): number {
    return this.#endedForMemoryCount;
  }

  get memoryMonitorMs(): number {
    return this.#options.plan.config.memoryMonitorMs;
  }

  /** Its memory is as large as its store; each thread that was started later holds more of it. */
  sampleMemory(usedBytes: number): void {
    if (!this.life.isAlive) return;
    const limitBytes = this.arenaBytes;
    const workerBytes = new Map<WorkerId, number>();
    for (const [i, { client }] of this.#processes.entries()) {
      workerBytes.set(client.workerId, Math.ceil((limitBytes * (i + 1)) / 64));
    }
    const sample = { usedBytes: Math.min(usedBytes, limitBytes), limitBytes, workerBytes };
    const living = this.#processes.filter(({ life }) => life.isAlive);
    this.#host.dispatch(this.nodeId, { type: "memorySampled", ...sample });
    const ended = living.filter(({ life }) => !life.isAlive);
    // Each had a task or an actor, though it may not have heard of it.
    for (const { life } of ended) life.hasEndedIdle = false;
    this.#endedForMemoryCount += ended.length;
    if (ended.length > 0) this.#options.world.mark("endedForMemory");
  }

  makeProcess(name: string, workerId: WorkerId): SimProcess {
    const { world, network, plan, oracles } = this.#options;
    const digest = this.#digest;
    const life: Life = { name, node: this.number, hasUserCode: true, isAlive: true };
    world.addLife(life);
    const reclaimer = new SimReclaimer();
    const isDriver = this.#processes.length === 0 && name === "driver";
    const thread = isDriver ? hostThreadIndex : (this.#freeThreads.pop() ?? this.#nextThread++);
    assert(thread < threadsMax, "a node has at most so many processes");
    this.#threads.set(workerId, thread);
    const { disk, moments } = this.#options;
    const writing: WriteMoments = {
      isAwaited: (moment) => moments.isAwaited(moment),
      come: (moment) => {
        moments.onFile(moment, workerId);
        if (!life.isAlive) this.#cutShort.add(workerId);
      },
    };
    const process = makeProcess({
      workerId,
      nodeId: plan.nodeId,
      clusterId: plan.clusterId,
      config: plan.config,
      checkInvariants: true,
      clock: world.hostClock(life, () => simulated.client.core.hasOnlyProbesDue),
      reclaimer,
      arena: this.#arena,
      memoryWords: this.#memoryWords,
      thread,
      spilled: { disk: disk.nowFor(life, writing), prefix: prefixOf(this.#options.life) },
      announceSegment: (segment, { byteLength }) => {
        if (life.isAlive) return;
        // What it catches as it ends does not keep it here.
        this.#arena.drop(segment);
        this.#memoryWords.removeOwn(thread, byteLength);
        throw new ProcessExited(`${name} has ended`);
      },
      announceDrop: () => {},
      forgetPeer: () => {},
      keepAlive: () => {},
    });
    const endpoint = network.join(life, [workerId], process.client.host);
    process.client.host.connect(endpoint);
    if (this.hasOldId) this.#standBy(endpoint);
    const simulated: SimProcess = { life, reclaimer, endpoint, ...process };
    watchClient(process.client, {
      onSubmitted: (entries) => oracles.onSubmitted(entries, simulated),
      onCalled: (task, parent) => oracles.onCalled(task, parent),
      onCancelling: (entry, force) => oracles.onCancelling(entry, force),
      onCancelTaken: (entry, wasPending) => oracles.onCancelTaken(entry, wasPending),
      onPut: (entry, written) => {
        oracles.onPut(entry, digestOfPut(entry, written, digest), simulated);
      },
      onCreating: (registration, creation) => oracles.onCreating(registration, creation),
      onKill: (actorId) => oracles.onKill(actorId),
      onAwaited: (request) => oracles.onAwaited(request, simulated),
      onSettled: (request) => {
        if (request.failure?.type === "DEADLOCK") world.mark("deadlockFound");
        oracles.onSettled(request, simulated, digest);
        return null;
      },
    });
    watchValues(process.values, (value, outcome) => oracles.onGiven(value, outcome));
    this.#processes.push(simulated);
    return simulated;
  }

  #overflow(): OverflowPort {
    const segments = new OverflowSegments(this.#arena);
    return {
      make: (segment, size) => {
        // Under pressure there is no memory for each third.
        const isRefused = this.tenantBytes > 0 && segment % 3 === 0;
        this.#options.world.mark(isRefused ? "overflowRefused" : "overflowed");
        return !isRefused && segments.make(segment, size);
      },
      drop: (segment) => segments.drop(segment),
    };
  }

  /** The GCS alone has no session with a node that it has buried: there it may try. */
  #standBy(endpoint: Endpoint): void {
    const { network, hasBuried } = this.#options;
    const isStrangerTo = (peer: Endpoint): boolean => {
      const isGcs = peer === network.endpointOf(gcsAddress);
      return endpoint !== this.#endpoint || !isGcs || !hasBuried(this.nodeId);
    };
    endpoint.isStrangerTo = isStrangerTo;
  }

  /** By its raylet: because nobody needs it, or in the midst of what it does. */
  #stopWorker(workerId: WorkerId): void {
    const worker = this.#processes.find(({ client }) => client.workerId === workerId);
    if (worker?.life.isAlive === true) {
      const { actor, runningCount } = worker.client.core.receiver;
      const isNeeded = actor !== null && !this.#options.isOutOfScope(actor.spec.actorId);
      worker.life.hasEndedIdle = runningCount === 0 && !isNeeded;
    }
    this.endWorker(workerId, { type: "stopped" });
  }

  #startWorker(workerId: WorkerId): void {
    const { world, network, oracles, onWorker } = this.#options;
    const digest = this.#digest;
    const prefix = this.number === 0 ? "" : `${this.life.name}.`;
    const worker = this.makeProcess(`${prefix}worker${this.#workerCount++}`, workerId);
    onWorker(worker);
    const resolve: ResolveRemote = (descriptor) =>
      findRemote(descriptor) ?? Promise.reject(notRegisteredError(descriptor));
    // A task may have ended its process in this very step.
    const whileAlive = (look: () => void): void => void (worker.life.isAlive && look());
    const watch: UserCodeWatch = {
      onStarted: (task) => {
        if (!worker.life.isAlive) throw new ProcessExited("its process has ended");
        oracles.onStarted(task, worker, digest);
      },
      onEnded: (task, outcomes) => whileAlive(() => oracles.onEnded(task, outcomes, digest)),
      onThrown: (subject) => whileAlive(() => oracles.onThrown(subject)),
      onConstructing: (actor) => oracles.onConstructing(actor, worker, digest),
    };
    addExecutor(worker, resolve, (userCode) => new WatchedUserCode(userCode, watch));
    worker.client.host.onIdleWork(() => {
      if (!worker.endpoint.hasTask) return;
      const run = (): void => void worker.client.host.pump();
      world.after(worker.life, 0, { kind: "turn", what: "next task", run });
    });
    network.convey(worker.endpoint, this.#endpoint, "workerReady", () => {
      this.#host.dispatch(this.nodeId, { type: "workerReady", workerId });
    });
  }

  #end({ life, endpoint, client }: SimProcess): void {
    if (!life.isAlive) return;
    life.isAlive = false;
    this.#options.network.leave(endpoint);
    client.host.close();
  }
}
