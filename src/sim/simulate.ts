/**
 * `simulate`: runs a program as the driver of a simulated cluster, with the ordinary api, from one
 * seed.
 */
import { nodeIdOf } from "#engine/common/ids.ts";
import { type NodePlan, planNode } from "#api/node-plan.ts";
import { type DriverRuntime, realmState } from "#api/runtime.ts";
import { keepOrdinals } from "#api/identity/remote-registry.ts";
import { kindError } from "#api/option-checks.ts";
import type { ClusterId } from "#api/ids.ts";
import {
  currentContext,
  insideWorld,
  ProgramContext,
  TaskContext,
  useStorageAlways,
} from "#api/task-context.ts";
import type { NodeId } from "#engine/common/ids.ts";
import { Aftermath } from "./user-code/aftermath.ts";
import { quietMsOf, stuckMsOf } from "./run-end/bounds.ts";
import { Cluster, type SimProcess } from "./cluster/cluster.ts";
import { checkSimOptions, nodesOf } from "./check-options.ts";
import { DriverCrashed } from "./run-end/driver-crashed.ts";
import type { Fault } from "./faults/fault.ts";
import { type FirstFailure, firstFailureOf } from "./shrinking/first-failure.ts";
import { JobEnd } from "./run-end/job-end.ts";
import { FaultDriver } from "./faults/fault-driver.ts";
import { allOracles } from "./oracles/all-oracles.ts";
import { Oracles } from "./oracles/oracles.ts";
import type { NodeSpec, SimOptions, SimReport, Simulation, Violation } from "./options.ts";
import { rareCounts } from "./report/reached.ts";
import { RealIo } from "./user-code/real-io.ts";
import { takeThread, threadFree } from "./world/one-world.ts";
import { programEntity, Report } from "./report/report.ts";
import { entityOf, nameOf, type UserContext } from "./user-code/user-context.ts";
import { makeSimulation } from "./simulation.ts";
import { type Unhandled, withUnhandled } from "./user-code/unhandled.ts";
import { UserTimers } from "./user-code/user-timers.ts";
import { exitedBy, ProcessExited } from "./virtual/exit.ts";
import { installVirtualGlobals, type VirtualProcess } from "./virtual/virtual-globals.ts";
import { drawSwarm, type Swarm } from "./faults/swarm.ts";
import { turn } from "./world/turns.ts";
import { WaitFor } from "./run-end/wait-for.ts";
import { type RunEnd, World } from "./world/world.ts";

const defaults = { maxVirtualMs: 600_000, objectStoreBytes: 16 << 20 };
/** With nothing but upkeep for so long a world is at rest. */
const settleMs = 3_000;
const busy =
  "a million steps were taken within 30 virtual seconds, or 200,000 at one moment: " +
  "processes keep each other busy";

export async function simulate<R>(
  options: SimOptions,
  program: (sim: Simulation) => Promise<R>,
): Promise<SimReport<R>> {
  checkSimOptions(options);
  if (typeof program !== "function") {
    throw kindError("simulate takes a program: it", "an async function", program);
  }
  // Whoever gave them may change them: the report tells what the run was made of.
  const swarm = drawSwarm(copyOf(options));
  const firstFailure = firstFailureOf(options);
  const state = realmState();
  for (let free = threadFree(); free !== null; free = threadFree()) await free;
  if (state.driver !== null || state.worker !== null) {
    throw new TypeError("simulate: a runtime is running in this thread; call shutdown() first");
  }
  const run = new Run(swarm, firstFailure);
  const putBackOrdinals = keepOrdinals();
  const giveBack = takeThread();
  try {
    return await withUnhandled(run, () => run.execute(program));
  } finally {
    putBackOrdinals();
    state.driver = null;
    useStorageAlways(false);
    giveBack();
  }
}

/** One run of one program in one world. */
class Run implements Unhandled {
  /** As if nothing had been drawn. */
  readonly #options: SimOptions;
  readonly #drawn: readonly string[];
  readonly #firstFailure: FirstFailure | undefined;
  readonly #stuckMs: number;
  readonly #quietMs: number;
  readonly #world: World;
  readonly #cluster: Cluster;
  readonly #oracles: Oracles;
  readonly #faults: FaultDriver;
  readonly #jobEnd: JobEnd;
  readonly #simulation: Simulation;
  readonly #timers = new Map<SimProcess, UserTimers>();
  readonly #aftermath = new Aftermath(() => this.#cluster.workers);
  /** What was thrown to nobody and has been told: a timer that fires again tells it once. */
  readonly #thrown = new Set<string>();
  readonly #violations: Violation[] = [];
  /** The step that showed the first violation. */
  #violatedAtStep: number | null = null;
  /** … and the one in which the program threw, or was found stuck. */
  #threwAtStep: number | null = null;
  /** The program has ended its own process. */
  #exited: ProcessExited | null = null;
  readonly #plan: readonly Fault[];
  readonly #io = new RealIo(() => (this.#virtualProcess() === null ? null : currentContext()));

  constructor({ options, drawn }: Swarm, firstFailure: FirstFailure | undefined) {
    this.#firstFailure = firstFailure;
    this.#options = options;
    this.#drawn = drawn;
    const nodes = nodesOf(options).map((node) => planOf(node, options));
    const { config } = nodes[0] as NodePlan;
    this.#stuckMs = stuckMsOf(config);
    this.#quietMs = quietMsOf(config);
    const { seed, choices = [], choicesOnly = false } = options;
    const { linkTimeoutMs, linkWindowBytes } = config;
    const nodeCount = nodes.length;
    const links = { linkTimeoutMs, linkWindowBytes };
    this.#world = new World({ seed, nodeCount, choices, choicesOnly, ...links });
    const random = this.#world.random.split("ids");
    const id = (): string =>
      Array.from({ length: 32 }, () => random.below(16).toString(16)).join("");
    const nodeIds = nodes.map(() => id() as NodeId);
    const clusterId = id();
    const namespace = options.init?.namespace ?? id();
    const plans = nodes.map((node, number) => ({
      ...node,
      nodeId: nodeIds[number] as NodeId,
      clusterId,
      namespace,
    }));
    this.#plan = options.faults ?? [];
    const oracles = allOracles({
      bounds: config,
      fates: () => this.#cluster,
      processes: () => this.#cluster.processes,
      nodes: () => this.#cluster.nodes,
      mark: (state) => this.#world.mark(state),
      lastPause: (node) => this.#world.lastPause(node),
      nowMs: () => this.#world.nowMs(),
    });
    this.#oracles = new Oracles(oracles, {
      violate: (oracle, { entity, message }) => this.#violate(oracle, entity, message),
      notes: this.#world,
    });
    this.#cluster = new Cluster(this.#world, plans, this.#oracles);
    this.#faults = new FaultDriver({
      world: this.#world,
      cluster: this.#cluster,
      faults: this.#plan,
      healAtMs: options.healAtMs ?? Infinity,
      isHostile: options.hostile === true,
    });
    this.#jobEnd = new JobEnd(this.#world, this.#cluster, this.#oracles);
    this.#simulation = makeSimulation({
      world: this.#world,
      cluster: this.#cluster,
      faults: this.#faults,
      isHostile: options.hostile === true,
      sleep: (ms) =>
        new Promise((resolve) => {
          this.#timersOf(this.#cluster.driver).setTimer(ms, resolve);
        }),
    });
    this.#install(namespace);
  }

  async execute<R>(program: (sim: Simulation) => Promise<R>): Promise<SimReport<R>> {
    const restore = installVirtualGlobals(() => this.#virtualProcess());
    this.#io.start();
    let outcome: { result?: R; error?: unknown } = {};
    let isOver = false;
    /** Real IO may end it after all, while the world comes to rest: too late. */
    let isStuck = false;
    const end = (ended: typeof outcome): void => {
      // Nor does anybody hear of what a process returns that has ended.
      if (isStuck || !this.#cluster.driver.life.isAlive) return;
      outcome = ended;
      isOver = true;
      if (!("error" in ended)) return;
      // What has led to what it throws are the causes of this step.
      this.#world.note(programEntity);
      this.#threwAtStep = this.#world.stepId;
    };
    try {
      this.#cluster.start();
      this.#faults.arm();
      const body = (): Promise<R> => program(this.#simulation);
      const started = insideWorld(new ProgramContext(this.#world), async () => body());
      started.then(
        (result) => end({ result }),
        (error: unknown) => end({ error }),
      );
      await turn();
      const limitMs = this.#options.maxVirtualMs ?? defaults.maxVirtualMs;
      const over = (): boolean => isOver || !this.#cluster.driver.life.isAlive;
      const why = await this.#world.run(over, limitMs, this.#stuckMs);
      isStuck = !isOver;
      if (isStuck) {
        this.#threwAtStep = this.#world.stepId;
        outcome = { error: this.#stuck(why) };
      }
      // Of a program that is stuck nothing more is asked: what it waits for is left over.
      if (why === "livelock") this.#violate("16 liveness", "world", busy);
      else await this.#quiet(isOver || why === "over");
      for (const { context, text } of this.#io.calls()) {
        const why = "the world does not wait for it, and no seed tells when it ends";
        const message = `real IO in ${nameOf(context)}: ${text}: ${why}`;
        this.#violate("17 hygiene", entityOf(context), message);
      }
    } catch (error) {
      // A machine's assertion, or a mistake of the simulator itself.
      this.#violate("17 hygiene", "engine", textOf(error));
    } finally {
      this.#io.stop();
      restore();
      await this.#cluster.close();
    }
    this.#noteCounts();
    return new Report<R>({
      violations: this.#violations,
      world: this.#world,
      fired: this.#faults.fired,
      options: this.#options,
      drawn: this.#drawn,
      firstFailure: this.#firstFailure,
      failedAtStep: this.#violatedAtStep ?? this.#threwAtStep ?? Infinity,
      ...outcome,
    });
  }

  onRejected(reason: unknown, context: UserContext): void {
    if (reason instanceof ProcessExited) return;
    // Code of a process that has ended may still run a little: there is nobody to whom it matters.
    if (this.#processOf(context)?.life.isAlive === false) return;
    if (context === null) {
      // Of the engine's own promises.
      this.#violate("17 hygiene", "engine", `unhandled rejection: ${textOf(reason)}`);
    } else this.#onUncaught("rejection in", reason, context);
  }

  /** In a microtask, in what was left for the next tick, or wherever else nobody calls. */
  onThrown(error: unknown, context: UserContext): void {
    if (error instanceof ProcessExited) return;
    if (this.#processOf(context)?.life.isAlive === false) return;
    if (context === null) this.#violate("17 hygiene", "engine", `uncaught: ${textOf(error)}`);
    else this.#onUncaught("exception in a callback of", error, context);
  }

  #noteCounts(): void {
    for (const { client } of this.#cluster.processes) {
      for (const [name, state] of rareCounts) {
        if (client.core.retries.counts[name] > 0) this.#world.mark(state);
      }
      if (client.core.recovery.counts.recovered > 0) this.#world.mark("objectRecovered");
    }
  }

  /** Heals, lets everything come to rest, and asks the oracles. */
  async #quiet(asksOracles: boolean): Promise<void> {
    this.#faults.heal();
    this.#aftermath.onProgramOver();
    const end = await this.#comeToRest();
    if (end === "limit") {
      this.#violate("16 liveness", "world", `not quiet ${this.#quietMs} ms after healing`);
    }
    if (end === "livelock") this.#violate("16 liveness", "world", busy);
    if (!asksOracles) return;
    this.#oracles.atQuiet(this.#cluster);
  }

  async #comeToRest(): Promise<RunEnd> {
    const world = this.#world;
    const limitMs = world.nowMs() + this.#quietMs + this.#longestRestartMs();
    if (this.#cluster.hasVerdictToCome) {
      await world.run(() => !this.#cluster.hasVerdictToCome, limitMs, this.#stuckMs);
    }
    const rest = (untilMs: number): Promise<RunEnd> => world.run(() => false, untilMs, settleMs);
    const first = await rest(limitMs);
    if (first !== "idle") {
      // What keeps it busy may be timers that the program or its tasks have left behind.
      this.#aftermath.dropTimers();
    }
    const lastMs = limitMs + this.#quietMs;
    let end = first === "idle" ? first : await rest(lastMs);
    while (end !== "livelock" && this.#jobEnd.endWhatIsLeft(end === "idle")) {
      end = await rest(world.nowMs() + this.#quietMs);
    }
    this.#cluster.collectViews();
    return end === "idle" ? rest(world.nowMs() + this.#quietMs) : end;
  }

  /** A machine that is to come back does so in a world that has healed. */
  #longestRestartMs(): number {
    const restarts = this.#plan.map((fault) => {
      return fault.kind === "crash" ? (fault.restartAfterMs ?? 0) : 0;
    });
    return Math.max(0, ...restarts);
  }

  #stuck(end: RunEnd): Error {
    const limitMs = this.#options.maxVirtualMs ?? defaults.maxVirtualMs;
    if (end === "over") {
      return this.#exited ?? new DriverCrashed();
    }
    if (end === "livelock") return told(`livelock: ${busy}`);
    if (end === "limit") {
      return told(`the program did not end within ${limitMs} virtual ms (maxVirtualMs)`);
    }
    const report = new WaitFor(this.#cluster, this.#io).explain();
    this.#oracles.onStuck(report);
    return told(report);
  }

  #onUncaught(what: string, error: unknown, context: UserContext): void {
    const message = `unhandled ${what} ${nameOf(context)}: ${textOf(error)}`;
    const entity = entityOf(context);
    if (this.#thrown.has(`${entity} ${message}`)) return;
    this.#thrown.add(`${entity} ${message}`);
    this.#violate("17 hygiene", entity, message);
  }

  #violate(oracle: string, entity: string, message: string): void {
    // The story of what no step has named yet is that of the step which shows it.
    if (this.#world.stepsOf(entity).length === 0) this.#world.note(entity);
    this.#violatedAtStep ??= this.#world.stepId;
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
      depth: 0,
      context: null,
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

  #virtualProcess(): VirtualProcess | null {
    const process = this.#processOf(currentContext());
    return process === null ? null : this.#timersOf(process);
  }

  /** Null for what is not part of this run. */
  #processOf(context: UserContext): SimProcess | null {
    const { driver, processes } = this.#cluster;
    if (context instanceof ProgramContext) return context.world === this.#world ? driver : null;
    if (!(context instanceof TaskContext)) return null;
    const { client } = context;
    return processes.find((process) => process.client === client) ?? null;
  }

  #exit({ client }: SimProcess, code: number): void {
    const { workerId } = client;
    if (workerId === this.#cluster.driver.client.workerId) {
      if (this.#cluster.driver.life.isAlive) this.#exited = exitedBy(code);
      this.#cluster.endDriver({ type: "exited", code });
    } else this.#cluster.endWorker(workerId, { type: "exited", code });
  }

  #timersOf(process: SimProcess): UserTimers {
    let timers = this.#timers.get(process);
    if (timers === undefined) {
      const onThrown = (error: unknown, context: UserContext): void =>
        this.#onUncaught("exception in a timer of", error, context);
      const exit = (code: number): void => this.#exit(process, code);
      const run = { world: this.#world, aftermath: this.#aftermath, onThrown };
      timers = new UserTimers(run, process.life, exit);
      this.#timers.set(process, timers);
    }
    return timers;
  }
}

function copyOf(options: SimOptions): SimOptions {
  try {
    return structuredClone(options);
  } catch (error) {
    throw new TypeError(`simulate takes options of plain data: ${String(error)}`, { cause: error });
  }
}

/** Where the simulator made it says nothing to whoever reads it. */
function told(message: string): Error {
  const error = new Error(message);
  error.stack = String(error);
  return error;
}

function textOf(error: unknown): string {
  return error instanceof Error ? String(error.stack) : String(error);
}

/** Without ids: those are drawn from the seed, for all nodes. */
function planOf(node: NodeSpec, options: SimOptions): NodePlan {
  const asked = {
    objectStoreMemory: defaults.objectStoreBytes,
    numCpus: 2,
    ...options.init,
    ...node,
    localMode: true,
  };
  return planNode(asked, () => "");
}
