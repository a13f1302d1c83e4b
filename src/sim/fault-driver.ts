/** Carries out a plan of faults: each at its time, until the world heals. */
import type { Fault } from "./fault.ts";
import type { Cluster } from "./cluster.ts";
import type { Life, World } from "./world.ts";

export class FaultDriver {
  readonly #world: World;
  readonly #cluster: Cluster;
  readonly #faults: readonly Fault[];
  readonly #healAtMs: number;
  readonly #life: Life = { name: "fault", node: 0, hasUserCode: false, isAlive: true };
  #healed = false;
  firedCount = 0;

  constructor(
    world: World,
    cluster: Cluster,
    faults: readonly Fault[],
    healAtMs: number | undefined,
  ) {
    this.#world = world;
    this.#cluster = cluster;
    this.#faults = faults;
    this.#healAtMs = healAtMs ?? Infinity;
    world.addLife(this.#life);
  }

  /** Schedules every fault. */
  arm(): void {
    for (const fault of this.#faults) {
      if (fault.at >= this.#healAtMs) continue;
      const what = JSON.stringify(fault);
      const run = (): void => this.#fire(fault);
      this.#world.after(this.#life, fault.at, { kind: "fault", what, run });
    }
    if (this.#healAtMs === Infinity) return;
    const run = (): void => this.heal();
    this.#world.after(this.#life, this.#healAtMs, { kind: "fault", what: "heal", run });
  }

  /** From now on no fault acts. */
  heal(): void {
    this.#healed = true;
    this.#life.isAlive = false;
    this.#world.heal();
  }

  #fire(fault: Fault): void {
    if (this.#healed) return;
    if (this.#apply(fault)) this.firedCount += 1;
  }

  /** False when there was nothing to hit. */
  #apply(fault: Fault): boolean {
    const world = this.#world;
    const nowMs = world.nowMs();
    switch (fault.kind) {
      case "crashWorker":
        return this.#crashWorker(fault.worker ?? 0);
      case "pause":
        world.pause(fault.node, nowMs + fault.forMs);
        return true;
      case "slowLink": {
        const { from, to, delayMs, forMs } = fault;
        world.slowLink({ from, to, delayMs, untilMs: nowMs + forMs });
        return true;
      }
      case "hold": {
        const { from, to, forMs } = fault;
        world.slowLink({ from, to, delayMs: Infinity, untilMs: nowMs + forMs });
        return true;
      }
      case "clockDrift": {
        world.clocks[fault.node]?.setDrift(fault.ppm, nowMs);
        const end = (): void => world.clocks[fault.node]?.setDrift(0, world.nowMs());
        const what = "end of clockDrift";
        world.after(this.#life, fault.forMs, { kind: "fault", what, run: end });
        return true;
      }
      case "clockJump":
        world.clocks[fault.node]?.jumpWall(fault.byMs);
        return true;
      case "collect":
        return this.#collect(fault.order) > 0;
      default:
        throw new TypeError(`the fault ${fault.kind} is specified but not built yet`);
    }
  }

  #crashWorker(number: number): boolean {
    const workers = this.#cluster.liveWorkers;
    const worker = workers[number % Math.max(1, workers.length)];
    if (worker === undefined) return false;
    if (worker.client.core.receiver.runningCount > 0)
      this.#world.reached.add("crashedWhileRunning");
    const exit = { type: "uncaught", message: "crashed by a fault" } as const;
    this.#cluster.endWorker(worker.client.workerId, exit);
    return true;
  }

  #collect(order: "oldest" | "newest" | "random"): number {
    const random = this.#world.random.split(`collect ${this.firedCount}`);
    const processes = [this.#cluster.driver, ...this.#cluster.liveWorkers];
    return processes.reduce((sum, { reclaimer }) => sum + reclaimer.collect(order, random), 0);
  }
}
