/**
 * The processes of a simulated cluster, built as the real ones are: the same machines, hosts,
 * executors and layers; only clocks, links, launchers and the collector are the world's.
 */
import { assert } from "#engine/common/assert.ts";
import {
  type ActorId,
  type NodeId,
  nodeIdOf,
  type WorkerId,
  workerIdOf,
} from "#engine/common/ids.ts";
import type { Gcs } from "#engine/gcs/gcs.ts";
import type { WorkerExit } from "#engine/protocol/launcher.ts";
import type { NodePlan } from "#api/node-plan.ts";
import { Network } from "#transports/simulated/network.ts";
import { PlainVolume, SimDisk } from "./disk.ts";
import { Moments } from "#sim/faults/moments.ts";
import type { Fates, WatchedProcess } from "#sim/oracles/oracle.ts";
import type { Oracles } from "#sim/oracles/oracles.ts";
import { isLost, type SimProcess, SimNode } from "./sim-node.ts";
import type { World } from "#sim/world/world.ts";

export type { SimProcess } from "./sim-node.ts";

/** More than a run writes, unless a fault says that it is full. */
const diskBytes = 2 ** 30;
export const crashedByFault: WorkerExit = { type: "crashed", by: "a fault" };

export class Cluster implements Fates {
  /** A process of its own on node 0's machine. */
  readonly driver: SimProcess;
  /** By number: the newest life of each. */
  readonly nodes: SimNode[] = [];
  /** Every worker that was ever started, in order. */
  readonly workers: SimProcess[] = [];
  /** The driver, and behind it those. */
  readonly processes: SimProcess[] = [];
  readonly network: Network;
  readonly moments: Moments;
  readonly #oracles: Oracles;
  readonly #world: World;
  readonly #plans: readonly NodePlan[];
  readonly #ended: SimNode[] = [];
  /** By number of the machine. */
  readonly disks: readonly SimDisk[];

  constructor(world: World, plans: readonly NodePlan[], oracles: Oracles) {
    this.#world = world;
    this.#oracles = oracles;
    this.#plans = plans;
    this.disks = plans.map((_, number) => {
      return new SimDisk({
        world,
        random: world.random.split(`disk ${number}`),
        capacityBytes: diskBytes,
        cache: new PlainVolume(),
        platter: new PlainVolume(),
      });
    });
    this.moments = new Moments(oracles);
    this.network = new Network(world, this.moments);
    for (const [number, plan] of plans.entries()) this.#addNode(number, plan);
    this.driver = this.head.makeProcess("driver", workerIdOf(this.head.nodeId, 0));
    this.processes.push(this.driver);
  }

  get head(): SimNode {
    const [head] = this.nodes;
    assert(head !== undefined, "a cluster has a head");
    return head;
  }

  get gcs(): Gcs {
    const { gcs } = this.head.running;
    assert(gcs !== null, "the head hosts the GCS");
    return gcs;
  }

  get liveNodes(): SimNode[] {
    return this.nodes.filter(({ life }) => life.isAlive);
  }

  get liveWorkers(): SimProcess[] {
    return this.workers.filter(({ life }) => life.isAlive);
  }

  /** A node has died, and the GCS has not found out. */
  get hasVerdictToCome(): boolean {
    return this.#ended.some(({ nodeId }) => !this.gcs.hasBuried(nodeId));
  }

  /** A node has died, or was taken for dead. */
  get hasLostNode(): boolean {
    return this.#ended.length > 0 || this.nodes.some(({ nodeId }) => this.gcs.hasBuried(nodeId));
  }

  get hasLostSpilled(): boolean {
    const all = [...this.nodes, ...this.#ended];
    return all.some(({ running }) => running.raylet.objects.spilling.counts.lostObjects > 0);
  }

  get hasLostProcess(): boolean {
    return this.hasLostNode || this.processes.some(isLost);
  }

  get goneWorkerCount(): number {
    return this.workers.filter(({ client }) => this.isGone(client.workerId)).length;
  }

  get endedForMemoryCount(): number {
    let count = 0;
    for (const node of this.nodes) count += node.endedForMemoryCount;
    // One that crashed and did not come back is in both.
    for (const node of this.#ended) {
      if (this.nodes[node.number] !== node) count += node.endedForMemoryCount;
    }
    return count;
  }

  isDoomed({ client }: WatchedProcess): boolean {
    const { actor } = client.core.receiver;
    const actorId = actor?.spec.actorId ?? null;
    // One that is out of scope goes on while others count on it.
    const isDead = actorId !== null && !this.gcs.isLiveActor(actorId);
    if (isDead && !this.isOutOfScope(actorId)) return true;
    return this.hasBuried(nodeIdOf(client.workerId));
  }

  isOutOfScope(actorId: ActorId): boolean {
    return this.gcs.isOutOfScope(actorId);
  }

  hasBuried(nodeId: NodeId): boolean {
    return this.gcs.hasBuried(nodeId);
  }

  isGone(workerId: WorkerId): boolean {
    if (this.hasBuried(nodeIdOf(workerId))) return true;
    const process = this.processes.find(({ client }) => client.workerId === workerId);
    return process === undefined || !process.life.isAlive;
  }

  /** Raylets and GCS come up; from then on everything happens in steps. */
  start(): void {
    for (const node of this.nodes) this.#startNode(node);
  }

  /** Nothing of the program looks at stored bytes any more, nor uses what it has given up. */
  collectViews(): void {
    const random = this.#world.random.split("collected at the end");
    for (const { reclaimer, life } of this.processes) {
      if (!life.isAlive) continue;
      reclaimer.collect("oldest", random);
      reclaimer.collectViews();
    }
  }

  async close(): Promise<void> {
    for (const node of this.nodes) node.end();
    this.driver.client.host.close();
    // One that crashed and did not come back is in both: closed twice, its memory would be given to
    // two nodes of the next run.
    for (const node of new Set([...this.nodes, ...this.#ended])) await node.close();
  }

  /** The thread ends: what it sent still arrives, what was on its way to it does not. */
  endWorker(workerId: WorkerId, exit: WorkerExit): void {
    const nodeId = nodeIdOf(workerId);
    this.nodes.find((node) => node.nodeId === nodeId)?.endWorker(workerId, exit);
  }

  /** The driver's process ends; the raylet of its machine sees it. */
  endDriver(exit: WorkerExit): void {
    this.head.endDriver(exit);
    this.#world.mark("driverCrashed");
  }

  /** Its program has returned: it exits, and with it its job. */
  exitDriver(): void {
    this.head.endDriver({ type: "exited", code: 0 });
  }

  /** Power cut: all processes of the node end without a word. False for one that is off. */
  crash(number: number): boolean {
    const node = this.nodes[number];
    if (node === undefined || !node.life.isAlive) return false;
    assert(number > 0, "the head is not crashed before the GCS is durable");
    node.end();
    this.disks[number]?.crash();
    this.#ended.push(node);
    this.#world.mark("nodeCrashed");
    return true;
  }

  /**
   * The machine comes up again, as a new node, or it says that it is the old one: with its disk, or
   * an empty one in its place.
   */
  restart(number: number, { withOldId = false, keepDisk = true } = {}): void {
    const [node, plan] = [this.nodes[number], this.#plans[number]];
    if (node === undefined || plan === undefined || node.life.isAlive) return;
    if (!keepDisk) this.disks[number]?.wipe();
    if (!this.hasBuried(node.nodeId)) this.#world.mark("restartedUnnoticed");
    const id = this.#world.random.split(`restart ${number} ${this.#ended.length}`);
    const digits = Array.from({ length: 32 }, () => id.below(16).toString(16)).join("");
    const nodeId = withOldId ? node.nodeId : (digits as NodeId);
    const next = this.#addNode(number, { ...plan, nodeId }, withOldId);
    this.#startNode(next);
    this.#world.mark("nodeRestarted");
  }

  #addNode(number: number, plan: NodePlan, hasOldId = false): SimNode {
    const disk = this.disks[number];
    assert(disk !== undefined, "a machine has a disk");
    const node = new SimNode({
      disk,
      moments: this.moments,
      hasOldId,
      hasBuried: (nodeId) => this.hasBuried(nodeId),
      isOutOfScope: (actorId) => this.isOutOfScope(actorId),
      world: this.#world,
      network: this.network,
      plan,
      number,
      life: this.#ended.length,
      oracles: this.#oracles,
      // Under an old id, they have the ids of those that died: nobody is to look at them for those.
      onWorker: (worker) => {
        if (hasOldId) return;
        this.workers.push(worker);
        this.processes.push(worker);
      },
    });
    this.nodes[number] = node;
    return node;
  }

  #startNode(node: SimNode): void {
    node.start(node.number === 0 ? this.driver.client.workerId : null, () => {
      // The GCS took it for dead while it stood still or was cut off.
      this.#world.mark(node.hasOldId ? "oldIdRefused" : "zombieReturned");
      if (this.crash(node.number)) this.restart(node.number);
    });
  }
}
