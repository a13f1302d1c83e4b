/** Carries out a plan of faults: each at its time, until the world heals. */
import type { Address } from "#engine/common/ids.ts";
import type { Prng } from "#engine/common/prng.ts";
import type { Fault, FaultKind } from "./fault.ts";
import { type Cluster, crashedByFault, type SimProcess } from "#sim/cluster/cluster.ts";
import type { Tenant } from "./tenant.ts";
import type { Life, World } from "#sim/world/world.ts";

export interface FaultDriverOptions {
  readonly world: World;
  readonly cluster: Cluster;
  readonly faults: readonly Fault[];
  readonly healAtMs: number;
  readonly isHostile: boolean;
}

export class FaultDriver {
  readonly #options: FaultDriverOptions;
  readonly #life: Life = { name: "fault", node: -1, hasUserCode: false, isAlive: true };
  /** Who switches machines on again, also after the world has healed. */
  readonly #operator: Life = { name: "operator", node: -1, hasUserCode: false, isAlive: true };
  /** What memory pressure has taken, it gives back. */
  readonly #tenants = new Set<Tenant>();
  /** In force, in the order in which they began. */
  readonly #drifts: { readonly node: number; readonly ppm: number }[] = [];
  #healed = false;
  /** By kind. A fault counts once, when it is carried out or first touches something. */
  readonly fired = new Map<FaultKind, number>();

  constructor(options: FaultDriverOptions) {
    this.#options = options;
    options.world.addLife(this.#life);
    options.world.addLife(this.#operator);
  }

  /** Schedules every fault. */
  arm(): void {
    const { faults, healAtMs } = this.#options;
    for (const fault of faults) {
      if (fault.at >= healAtMs) continue;
      // A step that says a fault is one in which it was carried out.
      const what = `${fault.kind === "crashAfter" ? "awaits " : ""}${JSON.stringify(fault)}`;
      this.#later(fault.at, what, () => this.fireNow(fault));
    }
    if (healAtMs < Infinity) this.#later(healAtMs, "heal", () => this.heal());
  }

  /** From now on no fault acts, also none that had begun. A node that is to come back does. */
  heal(): void {
    if (this.#healed) return;
    this.#healed = true;
    this.#life.isAlive = false;
    const { world, cluster, isHostile } = this.#options;
    world.heal();
    for (const tenant of this.#tenants) tenant.giveBack();
    for (const disk of cluster.disks) disk.heal();
    cluster.moments.clear();
    if (isHostile) cluster.network.cutAll();
  }

  get hasHealed(): boolean {
    return this.#healed;
  }

  /** Not for a world that has healed. */
  fireNow(fault: Fault): void {
    if (this.#apply(fault)) this.#fire(fault.kind);
  }

  #fire(kind: FaultKind): void {
    this.fired.set(kind, (this.fired.get(kind) ?? 0) + 1);
  }

  /** For a fault that waits for something to touch. */
  #onTouch({ kind }: Fault): () => void {
    let hasTouched = false;
    return () => {
      if (hasTouched) return;
      hasTouched = true;
      this.#fire(kind);
    };
  }

  /** False when there was nothing to hit, or it is still to come. */
  #apply(fault: Fault): boolean {
    switch (fault.kind) {
      case "crash":
        return this.#crash(fault);
      case "crashWorker":
        return this.#crashWorker(fault.node, fault.worker);
      case "crashDriver":
        return this.#crashDriver();
      case "crashAfter":
        this.#crashAfter(fault);
        return false;
      case "collect":
        return this.#collect(fault) > 0;
      case "pause":
        this.#pause(fault);
        return false;
      case "memoryPressure":
        return this.#takeMemory(fault);
      case "disk":
        this.#options.cluster.disks[fault.node]?.fail(
          fault.what,
          this.#options.world.nowMs() + fault.forMs,
        );
        return true;
      case "clockDrift":
      case "clockJump":
        return this.#turnClock(fault);
      default:
        this.#disturb(fault);
        return false;
    }
  }

  /** What happens to links. */
  #disturb(fault: Fault): void {
    const { links } = this.#options.world;
    const untilMs = this.#options.world.nowMs() + ("forMs" in fault ? fault.forMs : 0);
    const onTouch = this.#onTouch(fault);
    switch (fault.kind) {
      case "slowLink": {
        const { from, to, delayMs, bytesPerMs = Infinity } = fault;
        links.delay({ from, to, delayMs, bytesPerMs, untilMs, onTouch });
        return;
      }
      case "hold": {
        const { from, to } = fault;
        links.delay({ from, to, delayMs: Infinity, bytesPerMs: Infinity, untilMs, onTouch });
        return;
      }
      case "partition":
        for (const from of fault.from) {
          for (const to of fault.to) {
            links.separate({ from, to, untilMs, onTouch });
            if (fault.oneWay !== true) links.separate({ from: to, to: from, untilMs, onTouch });
          }
        }
        return;
      case "drop":
      case "duplicate":
      case "reorder": {
        const silently = this.#options.isHostile ? "lose" : "cut";
        const harm = fault.kind === "drop" ? silently : fault.kind;
        links.harm({ ...fault, harm, untilMs, random: this.#randomOf(fault), onTouch });
        return;
      }
      case "rpc": {
        const { method, instant, count } = fault;
        links.rpc({ method, instant, left: count, onTouch });
        return;
      }
      default:
        throw new TypeError(`the fault ${fault.kind} is specified but not built yet`);
    }
  }

  /** To the others it is silent: longer than they wait, and they give up their links with it. */
  #pause(fault: Extract<Fault, { kind: "pause" }>): void {
    const { world, cluster } = this.#options;
    const { node, forMs } = fault;
    const onTouch = this.#onTouch(fault);
    world.pause(node, world.nowMs() + forMs, onTouch);
    const { linkTimeoutMs } = world;
    if (forMs <= linkTimeoutMs) return;
    const cut = (): void => {
      onTouch();
      cluster.network.cutNode(node);
    };
    this.#later(linkTimeoutMs, `links with node ${node} are given up`, cut);
  }

  #turnClock(fault: Extract<Fault, { kind: "clockDrift" | "clockJump" }>): boolean {
    const { world } = this.#options;
    if (fault.kind === "clockJump") {
      world.clocks[fault.node]?.jumpWall(fault.byMs);
      return true;
    }
    const drift = { node: fault.node, ppm: fault.ppm };
    this.#drifts.push(drift);
    this.#turnRate(fault.node);
    this.#later(fault.forMs, "end of clockDrift", () => {
      this.#drifts.splice(this.#drifts.indexOf(drift), 1);
      this.#turnRate(fault.node);
    });
    return true;
  }

  /** To that of the drift in force that began last: a sum of several could stop the clock. */
  #turnRate(node: number): void {
    const drift = this.#drifts.findLast((one) => one.node === node);
    this.#options.world.setDrift(node, drift?.ppm ?? 0);
  }

  #takeMemory({ node, bytes, forMs }: Extract<Fault, { kind: "memoryPressure" }>): boolean {
    const machine = this.#options.cluster.nodes[node];
    if (machine === undefined || !machine.life.isAlive) return false;
    const tenant = machine.addTenant();
    this.#tenants.add(tenant);
    tenant.take(bytes);
    let isOver = false;
    this.#later(forMs, "end of memoryPressure", () => {
      isOver = true;
      tenant.giveBack();
    });
    const look = (): void => {
      if (isOver || this.#healed) return;
      machine.sampleMemory(bytes);
      this.#later(machine.memoryMonitorMs, "look at memory", look);
    };
    // More than its whole store: other things of the machine are short of memory as well.
    if (bytes >= machine.arenaBytes && machine.memoryMonitorMs > 0) look();
    return true;
  }

  #crash(fault: Extract<Fault, { kind: "crash" }>): boolean {
    const { node, restartAfterMs, sameId: withOldId = false, keepDisk = false } = fault;
    const { cluster } = this.#options;
    if (!cluster.crash(node)) return false;
    if (restartAfterMs === undefined) return true;
    const what = `restart of node ${node}`;
    const run = (): void => cluster.restart(node, { withOldId, keepDisk });
    this.#options.world.after(this.#operator, restartAfterMs, { kind: "fault", what, run });
    return true;
  }

  /** Without a number: one that runs something, if there is one. */
  #crashWorker(node: number | undefined, number: number | undefined): boolean {
    const { cluster } = this.#options;
    const workers = onNode(cluster.liveWorkers, node);
    const busy = workers.find(({ client }) => client.core.receiver.runningCount > 0);
    const chosen = workers[(number ?? 0) % Math.max(1, workers.length)];
    const worker = number === undefined ? (busy ?? chosen) : chosen;
    return worker !== undefined && this.#endWorker(worker);
  }

  #endWorker(worker: SimProcess): boolean {
    const { cluster, world } = this.#options;
    if (worker.client.core.receiver.runningCount > 0) world.mark("workerCrashedWhileRunning");
    cluster.endWorker(worker.client.workerId, crashedByFault);
    return true;
  }

  /** It counts as fired each time that it hits somebody. */
  #crashAfter(fault: Extract<Fault, { kind: "crashAfter" }>): void {
    const { cluster, world } = this.#options;
    const { wholeNode, driver = false, ...moment } = fault;
    const victim = (address: Address): (() => boolean) | null =>
      this.#victim(address, { wholeNode, driver });
    cluster.moments.await({
      ...moment,
      mayHit: (address) => victim(address) !== null,
      hit: (address, isNow) => {
        const what = JSON.stringify({ ...fault, hits: address });
        const run = (): void => {
          if (victim(address)?.() !== true) return;
          this.#fire("crashAfter");
          world.mark(isNow ? "endedWhileWriting" : "crashedAfterMessage");
        };
        if (!isNow) {
          world.next(this.#life, { kind: "fault", what, run });
          return;
        }
        run();
        // Whether the world heals by that or not: the step behind it says what has happened.
        world.next(this.#operator, { kind: "fault", what, run: () => {} });
      },
    });
  }

  /** How it ends; null for the head, on which the others depend, as a rule for the driver too. */
  #victim(
    address: Address,
    { wholeNode, driver }: { readonly wholeNode: boolean; readonly driver: boolean },
  ): (() => boolean) | null {
    const { cluster } = this.#options;
    if (driver && address === cluster.driver.client.workerId) return () => this.#crashDriver();
    const worker = cluster.liveWorkers.find(({ client }) => client.workerId === address);
    const node = cluster.liveNodes.find(({ nodeId, number }) => {
      return (
        number > 0 && (worker === undefined ? nodeId === address : number === worker.life.node)
      );
    });
    if (node !== undefined && (wholeNode || worker === undefined)) {
      return () => cluster.crash(node.number);
    }
    return worker === undefined ? null : () => this.#endWorker(worker);
  }

  #crashDriver(): boolean {
    const { cluster } = this.#options;
    if (!cluster.driver.life.isAlive) return false;
    cluster.endDriver(crashedByFault);
    return true;
  }

  #collect(fault: Extract<Fault, { kind: "collect" }>): number {
    const { cluster } = this.#options;
    const random = this.#randomOf(fault);
    const processes = onNode([cluster.driver, ...cluster.liveWorkers], fault.node);
    const counts = processes.map(({ reclaimer }) => reclaimer.collect(fault.order, random));
    return counts.reduce((sum, count) => sum + count, 0);
  }

  /** By what it is: one fault less changes nothing of the others. */
  #randomOf(fault: Fault): Prng {
    return this.#options.world.random.split(`fault ${JSON.stringify(fault)}`);
  }

  #later(afterMs: number, what: string, run: () => void): void {
    this.#options.world.after(this.#life, afterMs, { kind: "fault", what, run });
  }
}

/** All of them when no node is named. */
function onNode(processes: readonly SimProcess[], node: number | undefined): SimProcess[] {
  return processes.filter(({ life }) => life.isAlive && (node === undefined || life.node === node));
}
