/**
 * `simulate`: runs a program as the driver of a simulated cluster, with the ordinary api, from one
 * seed.
 */
import { nodeIdOf } from "#engine/common/ids.ts";
import { type NodePlan, planNode } from "#api/node-plan.ts";
import { type DriverRuntime, realmState } from "#api/runtime.ts";
import { keepOrdinals } from "#api/identity/remote-registry.ts";
import type { ClusterId } from "#api/ids.ts";
import {
  currentContext,
  insideWorld,
  ProgramContext,
  TaskContext,
  useStorageAlways,
} from "#api/task-context.ts";
import type { NodeId } from "#engine/common/ids.ts";
import { Cluster, type SimProcess } from "./cluster.ts";
import { drawFaults } from "./chaos.ts";
import { checkFaults } from "./check-faults.ts";
import { checkSimOptions, nodesOf } from "./check-options.ts";
import type { Fault } from "./fault.ts";
import { FaultDriver } from "./fault-driver.ts";
import { allOracles } from "./oracles/all-oracles.ts";
import { Oracles } from "./oracles/oracles.ts";
import type { NodeSpec, SimOptions, SimReport, Simulation, Violation } from "./options.ts";
import { rareCounts } from "./reached.ts";
import { RealIo } from "./real-io.ts";
import { Report } from "./report.ts";
import { UserTimers } from "./user-timers.ts";
import { installVirtualGlobals, type VirtualProcess } from "./virtual-globals.ts";
import { turn } from "./turns.ts";
import { WaitFor } from "./wait-for.ts";
import { type RunEnd, World } from "./world.ts";

const defaults = { maxVirtualMs: 600_000, quietMs: 120_000, objectStoreBytes: 16 << 20 };
/** With nothing but upkeep for so long a program is stuck: longer than any verdict takes. */
const stuckMs = 40_000;
/** … and a world is at rest. */
const settleMs = 3_000;
const busy =
  "a million steps were taken within 30 virtual seconds, or 200,000 at one moment: " +
  "processes keep each other busy";

export async function simulate<R>(
  options: SimOptions,
  program: (sim: Simulation) => Promise<R>,
): Promise<SimReport<R>> {
  checkSimOptions(options);
  const nodes = nodesOf(options);
  const state = realmState();
  if (state.driver !== null || state.worker !== null) {
    throw new TypeError("simulate: a runtime is running in this thread; call shutdown() first");
  }
  const run = new Run(options, nodes);
  const putBackOrdinals = keepOrdinals();
  try {
    return await run.execute(program);
  } finally {
    putBackOrdinals();
    state.driver = null;
    useStorageAlways(false);
  }
}

/** One run of one program in one world. */
class Run {
  readonly #options: SimOptions;
  readonly #world: World;
  readonly #cluster: Cluster;
  readonly #oracles: Oracles;
  readonly #faults: FaultDriver;
  readonly #timers = new Map<SimProcess, UserTimers>();
  readonly #violations: Violation[] = [];
  readonly #plan: readonly Fault[];
  readonly #io = new RealIo(() => (this.#virtualProcess() === null ? null : currentContext()));

  constructor(options: SimOptions, nodes: readonly NodeSpec[]) {
    this.#options = options;
    const { seed, choices = [], choicesOnly = false } = options;
    this.#world = new World({ seed, nodeCount: nodes.length, choices, choicesOnly });
    const random = this.#world.random.split("ids");
    const id = (): string =>
      Array.from({ length: 32 }, () => random.below(16).toString(16)).join("");
    const nodeIds = nodes.map(() => id() as NodeId);
    const clusterId = id();
    const namespace = options.init?.namespace ?? id();
    const plans = nodes.map((node, number) => ({
      ...planOf(node, options),
      nodeId: nodeIds[number] as NodeId,
      clusterId,
      namespace,
    }));
    this.#plan = [
      ...(options.faults ?? []),
      ...drawFaults(options, this.#world.random, nodes.length),
    ];
    const oracles = allOracles({
      fates: () => this.#cluster,
      processes: () => [this.#cluster.driver, ...this.#cluster.workers],
      mark: (state) => this.#world.mark(state),
      mayStandStill: (node) => this.#plan.some((f) => f.kind === "pause" && f.node === node),
    });
    this.#oracles = new Oracles(oracles, {
      violate: (oracle, { entity, message }) => this.#violate(oracle, entity, message),
      note: (entity) => this.#world.note(entity),
    });
    this.#cluster = new Cluster(this.#world, plans, this.#oracles);
    this.#faults = new FaultDriver({
      world: this.#world,
      cluster: this.#cluster,
      faults: this.#plan,
      healAtMs: options.healAtMs ?? Infinity,
      isHostile: options.hostile === true,
    });
    this.#install(namespace);
  }

  async execute<R>(program: (sim: Simulation) => Promise<R>): Promise<SimReport<R>> {
    const restore = installVirtualGlobals(() => this.#virtualProcess());
    this.#io.start();
    const unhandled: unknown[] = [];
    const onUnhandled = (reason: unknown): void => void unhandled.push(reason);
    process.on("unhandledRejection", onUnhandled);
    let outcome: { result?: R; error?: unknown } = {};
    let isOver = false;
    /** Real IO may end it after all, while the world comes to rest: too late. */
    let isStuck = false;
    const end = (ended: typeof outcome): void => {
      if (isStuck) return;
      outcome = ended;
      isOver = true;
    };
    try {
      this.#cluster.start();
      this.#faults.arm();
      const body = (): Promise<R> => program(this.#simulation());
      const started = insideWorld(new ProgramContext(this.#world), async () => body());
      started.then(
        (result) => end({ result }),
        (error: unknown) => end({ error }),
      );
      await turn();
      const limitMs = this.#options.maxVirtualMs ?? defaults.maxVirtualMs;
      const over = (): boolean => isOver || !this.#cluster.driver.life.isAlive;
      const why = await this.#world.run(over, limitMs, stuckMs);
      isStuck = !isOver;
      if (isStuck) outcome = { error: this.#stuck(why) };
      // Of a program that is stuck nothing more is asked: what it waits for is left over.
      if (why === "livelock") this.#violate("16 liveness", "world", busy);
      else await this.#quiet(isOver || why === "over");
      for (const reason of unhandled)
        this.#violate("17 hygiene", "driver", `unhandled: ${String(reason)}`);
    } catch (error) {
      // A machine's assertion, or a mistake of the simulator itself.
      this.#violate(
        "17 hygiene",
        "engine",
        error instanceof Error ? String(error.stack) : String(error),
      );
    } finally {
      process.off("unhandledRejection", onUnhandled);
      this.#io.stop();
      restore();
      await this.#cluster.close();
    }
    this.#noteCounts();
    return new Report<R>({
      ...outcome,
      violations: this.#violations,
      world: this.#world,
      faults: this.#plan,
      faultsFired: this.#faults.firedCount,
      options: this.#options,
    });
  }

  #noteCounts(): void {
    const { driver, workers } = this.#cluster;
    for (const { client } of [driver, ...workers]) {
      for (const [name, state] of rareCounts) {
        if (client.core.retries.counts[name] > 0) this.#world.mark(state);
      }
      if (client.core.recovery.counts.recovered > 0) this.#world.mark("objectRecovered");
    }
  }

  /** Heals, lets everything come to rest, and asks the oracles. */
  async #quiet(asksOracles: boolean): Promise<void> {
    this.#faults.heal();
    const limitMs = this.#world.nowMs() + defaults.quietMs + this.#longestFaultMs();
    if (this.#cluster.hasVerdictToCome) {
      await this.#world.run(() => !this.#cluster.hasVerdictToCome, limitMs, stuckMs);
    }
    const first = await this.#world.run(() => false, limitMs, settleMs);
    this.#cluster.collectViews();
    const end =
      first === "livelock" ? first : await this.#world.run(() => false, limitMs, settleMs);
    if (end === "limit") {
      this.#violate("16 liveness", "world", `not quiet ${defaults.quietMs} ms after healing`);
    }
    if (end === "livelock") this.#violate("16 liveness", "world", busy);
    if (!asksOracles) return;
    this.#oracles.atQuiet(this.#cluster);
  }

  /** What a fault held before the world healed it holds to its end. */
  #longestFaultMs(): number {
    const lengths = this.#plan.map((fault) => {
      if (fault.kind === "crash") return fault.restartAfterMs ?? 0;
      return "forMs" in fault ? fault.forMs : 0;
    });
    return Math.max(0, ...lengths);
  }

  #stuck(end: RunEnd): Error {
    const limitMs = this.#options.maxVirtualMs ?? defaults.maxVirtualMs;
    if (end === "over") return new Error("the driver was crashed by a fault before it had ended");
    if (end === "livelock") return new Error(`livelock: ${busy}`);
    if (end === "limit") {
      return new Error(`the program did not end within ${limitMs} virtual ms (maxVirtualMs)`);
    }
    const { driver, workers } = this.#cluster;
    return new Error(new WaitFor(driver, workers, this.#io).explain());
  }

  #violate(oracle: string, entity: string, message: string): void {
    // The story of what no step has named yet is that of the step which shows it.
    if (this.#world.lastStepOf(entity) === 0) this.#world.note(entity);
    this.#violations.push({ oracle, entity, message, atMs: this.#world.nowMs() });
  }

  // ------------------------------------------------------------ what the program sees

  #install(namespace: string): void {
    useStorageAlways(true);
    const { client, values } = this.#cluster.driver;
    const nodeId = nodeIdOf(client.workerId);
    const driver: DriverRuntime = {
      client,
      values,
      mode: "local",
      namespace,
      runtime: {
        address: "sim",
        nodeId,
        clusterId: nodeId as unknown as ClusterId,
        [Symbol.asyncDispose]: () => Promise.resolve(),
      },
      ready: Promise.resolve(),
      startedBy: "simulate()",
      shutdown: () => Promise.resolve(),
    };
    realmState().driver = driver;
  }

  #simulation(): Simulation {
    const world = this.#world;
    const { driver } = this.#cluster;
    const act = (fault: Fault, carriedOut = fault): void => {
      checkFaults([fault], this.#cluster.nodes.length, this.#options.hostile === true);
      if (this.#faults.hasHealed) {
        const when = "after the world has healed (sim.heal(), healAtMs)";
        throw new TypeError(`sim: ${fault.kind} ${when}: no fault acts then`);
      }
      this.#faults.fireNow(carriedOut);
    };
    return {
      get nowMs(): number {
        return world.nowMs();
      },
      sleep: (ms) => {
        if (!(ms >= 0 && ms < Infinity)) {
          throw new RangeError(
            `sim.sleep takes finite virtual ms of at least 0, got ${String(ms)}`,
          );
        }
        return new Promise((resolve) => void this.#timersOf(driver).setTimer(ms, resolve));
      },
      crash: (node) => act({ at: 0, kind: "crash", node }),
      crashDriver: () => act({ at: 0, kind: "crashDriver" }),
      restart: (node) => this.#restart(node),
      partition: (from, to) => {
        const fault = { at: 0, kind: "partition", from, to, forMs: 0 } as const;
        act(fault, { ...fault, forMs: Infinity });
      },
      heal: () => this.#faults.heal(),
    };
  }

  #restart(node: number): void {
    const { nodes } = this.#cluster;
    const machine = Number.isInteger(node) ? nodes[node] : undefined;
    if (machine === undefined) {
      throw new RangeError(`sim.restart takes a node, 0 to ${nodes.length - 1}, got ${node}`);
    }
    if (machine.life.isAlive) throw new TypeError(`sim.restart: node ${node} is running`);
    this.#cluster.restart(node);
  }

  #virtualProcess(): VirtualProcess | null {
    const context = currentContext();
    if (context instanceof ProgramContext) {
      return context.world === this.#world ? this.#timersOf(this.#cluster.driver) : null;
    }
    if (!(context instanceof TaskContext)) return null;
    const { client } = context;
    const { driver, workers } = this.#cluster;
    const owner = [driver, ...workers].find((process) => process.client === client);
    return owner === undefined ? null : this.#timersOf(owner);
  }

  #timersOf(process: SimProcess): UserTimers {
    let timers = this.#timers.get(process);
    if (timers === undefined) {
      timers = new UserTimers(this.#world, process.life);
      this.#timers.set(process, timers);
    }
    return timers;
  }
}

function planOf(node: NodeSpec, options: SimOptions): NodePlan {
  return planNode({
    objectStoreMemory: defaults.objectStoreBytes,
    numCpus: 2,
    ...options.init,
    ...node,
    localMode: true,
  });
}
