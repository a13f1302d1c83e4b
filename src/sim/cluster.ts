/**
 * The processes of a simulated cluster, built as the real ones are: the same machines, hosts,
 * executors and layers; only clocks, links, launchers and the collector are the world's.
 */
import { assert } from "#engine/common/assert.ts";
import { gcsAddress, type NodeId, type WorkerId, workerIdOf } from "#engine/common/ids.ts";
import type { ResourceRequest } from "#engine/common/resources.ts";
import { ownSegmentsFrom, ownSegmentsPerThread } from "#engine/protocol/arena.ts";
import type { WorkerExit } from "#engine/protocol/launcher.ts";
import { Host } from "#engine/services/host.ts";
import { type RunningNode, startNode } from "#engine/services/node.ts";
import { findRemote } from "#api/identity/remote-registry.ts";
import { notRegisteredError } from "#api/identity/remote-resolution-error.ts";
import type { NodePlan } from "#api/node-plan.ts";
import { addExecutor, makeProcess } from "#api/process.ts";
import type { Process } from "#api/runtime.ts";
import type { ResolveRemote } from "#api/user-code.ts";
import { type Endpoint, Network } from "#transports/simulated/network.ts";
import { SharedArena } from "#transports/threads/shared-arena.ts";
import { giveSegments, takeSegments } from "./arena-pool.ts";
import { SimReclaimer } from "./reclaimer.ts";
import { StartCounts, WatchedUserCode } from "./watched-user-code.ts";
import type { Life, World } from "./world.ts";

export interface SimProcess extends Process {
  readonly life: Life;
  readonly reclaimer: SimReclaimer;
  readonly endpoint: Endpoint;
}

export class Cluster {
  readonly driver: SimProcess;
  /** Every worker that was ever started, in order. */
  readonly workers: SimProcess[] = [];
  readonly starts = new StartCounts();
  readonly #world: World;
  readonly #plan: NodePlan;
  readonly #network: Network;
  readonly #arena: SharedArena;
  readonly #headHost: Host;
  readonly #segments: SharedArrayBuffer[];
  #nextOwnSegment: number;
  #node: RunningNode | null = null;

  constructor(world: World, plan: NodePlan) {
    this.#world = world;
    this.#plan = plan;
    this.#network = new Network(world);
    this.#segments = takeSegments(plan.objectStoreBytes);
    this.#arena = new SharedArena(this.#segments.entries());
    this.#nextOwnSegment = ownSegmentsFrom;
    const head: Life = { name: "head", node: 0, hasUserCode: false, isAlive: true };
    world.addLife(head);
    this.#headHost = new Host(world.hostClock(head), true);
    const endpoint = this.#network.join("head", [plan.nodeId, gcsAddress], this.#headHost);
    this.#headHost.connect(endpoint);
    this.driver = this.#makeProcess("driver", workerIdOf(plan.nodeId, 0));
  }

  get nodeId(): NodeId {
    return this.#plan.nodeId;
  }

  get totals(): ResourceRequest {
    return this.#plan.totals;
  }

  get liveWorkers(): SimProcess[] {
    return this.workers.filter(({ life }) => life.isAlive);
  }

  /** Raylet and GCS come up; from then on everything happens in steps. */
  async start(): Promise<void> {
    const { nodeId, config, totals, labels, hostname, numCpus } = this.#plan;
    this.#node = await startNode({
      isHead: true,
      onExit: (reason) => assert(false, reason),
      host: this.#headHost,
      launcher: {
        start: (workerId) => this.#startWorker(workerId),
        stop: (workerId) => this.endWorker(workerId, { type: "stopped" }),
        prepare: () => Promise.resolve(),
        close: () => Promise.resolve(),
      },
      driverId: this.driver.client.workerId,
      raylet: {
        nodeId,
        config,
        isHead: true,
        totals,
        labels,
        address: "sim",
        hostname,
        prestartCount: Math.ceil(numCpus),
        segments: this.#segments.map((segment) => segment.byteLength),
      },
    });
  }

  /** Raylet and GCS, once they are up. */
  get node(): RunningNode {
    assert(this.#node !== null, "the cluster has been started");
    return this.#node;
  }

  async close(): Promise<void> {
    for (const worker of this.liveWorkers) this.#end(worker);
    this.#end(this.driver);
    await this.#node?.close();
    giveSegments(this.#segments, this.#plan.objectStoreBytes);
  }

  /** The thread ends: what it sent still arrives, what was on its way to it does not. */
  endWorker(workerId: WorkerId, exit: WorkerExit): void {
    const worker = this.workers.find(({ client }) => client.workerId === workerId);
    if (worker === undefined || !worker.life.isAlive) return;
    this.#end(worker);
    const tell = (): void => {
      this.#headHost.dispatch(this.#plan.nodeId, { type: "workerExited", workerId, exit });
    };
    // The raylet is told on the link from the worker, behind everything the worker had sent.
    const head = this.#network.endpointOf(this.#plan.nodeId);
    if (head !== undefined) this.#network.convey(worker.endpoint, head, "workerExited", tell);
  }

  #startWorker(workerId: WorkerId): void {
    const worker = this.#makeProcess(`worker${this.workers.length}`, workerId);
    this.workers.push(worker);
    const resolve: ResolveRemote = (descriptor) =>
      findRemote(descriptor) ?? Promise.reject(notRegisteredError(descriptor));
    addExecutor(worker, resolve, (userCode) => new WatchedUserCode(userCode, this.starts));
    worker.client.host.onIdleWork(() => {
      if (!worker.endpoint.hasTask) return;
      const run = (): void => void worker.client.host.pump();
      this.#world.after(worker.life, 0, { kind: "turn", what: "next task", run });
    });
    const head = this.#network.endpointOf(this.#plan.nodeId);
    if (head === undefined) return;
    this.#network.convey(worker.endpoint, head, "workerReady", () => {
      this.#headHost.dispatch(this.#plan.nodeId, { type: "workerReady", workerId });
    });
  }

  #makeProcess(name: string, workerId: WorkerId): SimProcess {
    const world = this.#world;
    const life: Life = { name, node: 0, hasUserCode: true, isAlive: true };
    world.addLife(life);
    const reclaimer = new SimReclaimer();
    const { nodeId, config } = this.#plan;
    const process = makeProcess({
      workerId,
      nodeId,
      config,
      checkInvariants: true,
      clock: world.hostClock(life),
      reclaimer,
      arena: this.#arena,
      ownSegmentsFrom: (this.#nextOwnSegment += ownSegmentsPerThread),
      announceSegment: () => {},
      announceDrop: () => {},
      forgetPeer: () => {},
      keepAlive: () => {},
    });
    const endpoint = this.#network.join(name, [workerId], process.client.host);
    process.client.host.connect(endpoint);
    return { ...process, life, reclaimer, endpoint };
  }

  #end({ life, endpoint, client }: SimProcess): void {
    life.isAlive = false;
    this.#network.leave(endpoint);
    client.host.close();
  }
}
