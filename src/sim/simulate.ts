/**
 * `simulate`: runs a program as the driver of a simulated cluster, with the ordinary api, from one
 * seed.
 */
import { nodeIdOf } from "#engine/common/ids.ts";
import { type NodePlan, planNode } from "#api/node-plan.ts";
import { checkBoolean, checkOptions } from "#api/option-checks.ts";
import { type DriverRuntime, realmState } from "#api/runtime.ts";
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
import { checkChaos, checkFaults } from "./check-faults.ts";
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

const defaults = { nodes: 3, maxVirtualMs: 600_000, quietMs: 120_000, objectStoreBytes: 16 << 20 };
const optionNames = [
  "seed",
  "nodes",
  "faults",
  "choices",
  "choicesOnly",
  "chaos",
  "hostile",
  "maxVirtualMs",
  "healAtMs",
  "init",
];
/** With nothing but upkeep for so long a program is stuck: longer than any verdict takes. */
const stuckMs = 40_000;
/** … and a world is at rest. */
const settleMs = 3_000;
const busy = "a million steps were taken within 30 virtual seconds: processes keep each other busy";

export async function simulate<R>(
  options: SimOptions,
  program: (sim: Simulation) => Promise<R>,
): Promise<SimReport<R>> {
  checkOptions("simulate", options, optionNames);
  const nodes = nodesOf(options);
  checkSimOptions(options, nodes.length);
  const state = realmState();
  if (state.driver !== null || state.worker !== null) {
    throw new TypeError("simulate: a runtime is running in this thread; call shutdown() first");
  }
  const run = new Run(options, nodes);
  try {
    return await run.execute(program);
  } finally {
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
      ...planOf(node, options, nodes.length),
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
    try {
      this.#cluster.start();
      this.#faults.arm();
      const body = (): Promise<R> => program(this.#simulation());
      const started = insideWorld(new ProgramContext(this.#world), async () => body());
      started.then(
        (result) => {
          outcome = { result };
          isOver = true;
        },
        (error: unknown) => {
          outcome = { error };
          isOver = true;
        },
      );
      await turn();
      const limitMs = this.#options.maxVirtualMs ?? defaults.maxVirtualMs;
      const over = (): boolean => isOver || !this.#cluster.driver.life.isAlive;
      const end = await this.#world.run(over, limitMs, stuckMs);
      if (!isOver) outcome = { error: this.#stuck(end) };
      // Of a program that is stuck nothing more is asked: what it waits for is left over.
      await this.#quiet(isOver || end === "over");
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
    }
  }

  /** Heals, lets everything come to rest, and asks the oracles. */
  async #quiet(asksOracles: boolean): Promise<void> {
    this.#faults.heal();
    const limitMs = this.#world.nowMs() + defaults.quietMs;
    if (this.#cluster.hasVerdictToCome) {
      await this.#world.run(() => !this.#cluster.hasVerdictToCome, limitMs, stuckMs);
    }
    const end = await this.#world.run(() => false, limitMs, settleMs);
    if (end === "limit") {
      this.#violate("16 liveness", "world", `not quiet ${defaults.quietMs} ms after healing`);
    }
    if (end === "livelock") this.#violate("16 liveness", "world", busy);
    if (!asksOracles) return;
    this.#oracles.atQuiet(this.#cluster);
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
    const act = (fault: Fault): void => {
      checkFaults([fault], this.#cluster.nodes.length, this.#options.hostile === true);
      this.#faults.fireNow(fault);
    };
    return {
      get nowMs(): number {
        return world.nowMs();
      },
      sleep: (ms) =>
        new Promise((resolve) => void this.#timersOf(driver).setTimer(Math.max(0, ms), resolve)),
      crash: (node) => act({ at: 0, kind: "crash", node }),
      crashDriver: () => act({ at: 0, kind: "crashDriver" }),
      restart: (node) => this.#restart(node),
      partition: (from, to) => act({ at: 0, kind: "partition", from, to, forMs: Infinity }),
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

function nodesOf({ nodes = defaults.nodes }: SimOptions): readonly NodeSpec[] {
  if (Array.isArray(nodes)) return nodes;
  if (typeof nodes !== "number" || !Number.isInteger(nodes) || nodes < 1) {
    throw new RangeError(`nodes must be a number of at least 1 or a list, got ${String(nodes)}`);
  }
  return Array.from({ length: nodes }, () => ({}));
}

function checkSimOptions(options: SimOptions, nodeCount: number): void {
  const { seed, faults = [], hostile, healAtMs, maxVirtualMs } = options;
  if (!Number.isSafeInteger(seed)) {
    throw new TypeError(`seed must be an integer, got ${String(seed)}`);
  }
  for (const [name, value] of Object.entries({ healAtMs, maxVirtualMs })) {
    if (value !== undefined && !(typeof value === "number" && value >= 0)) {
      throw new RangeError(`${name} must be a number of at least 0, got ${String(value)}`);
    }
  }
  checkBoolean("hostile", hostile);
  checkFaults(faults, nodeCount, hostile === true);
  checkChaos(options.chaos, hostile === true);
}

function planOf(node: NodeSpec, options: SimOptions, nodeCount: number): NodePlan {
  const plan = planNode({
    objectStoreMemory: defaults.objectStoreBytes,
    numCpus: 2,
    ...options.init,
    ...node,
    localMode: true,
  });
  if (nodeCount === 1) return plan;
  // Objects do not move between nodes yet: with several every value travels inside its message.
  return { ...plan, config: { ...plan.config, inlineBytesMax: 2 ** 30 } };
}
