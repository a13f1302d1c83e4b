/**
 * A node in one thread, without user code and without a real clock: GCS, raylet, driver and
 * workers, each a real machine on a real host. What happens next is drawn: which link delivers,
 * which task acts or ends, who crashes, whether time passes. Then it heals: all that can happen
 * does.
 */
import { type Config, defaultConfig } from "#engine/common/config.ts";
import {
  type Address,
  gcsAddress,
  type NodeId,
  type WorkerId,
  workerIdOf,
} from "#engine/common/ids.ts";
import { makeRequest, toFixedPoint } from "#engine/common/resources.ts";
import { Gcs } from "#engine/gcs/gcs.ts";
import type { WorkerExit } from "#engine/protocol/launcher.ts";
import type { Message } from "#engine/protocol/message.ts";
import { FailedValue, type Outcome } from "#engine/protocol/outcome.ts";
import { Raylet, type RayletInstruction } from "#engine/raylet/raylet.ts";
import { Host, type HostClock } from "#engine/services/host.ts";
import { deliverControl, deliverTask, type Link, Links } from "./engine-links.ts";
import { check, EngineModel, nameOf } from "./engine-model.ts";
import { EngineExecutor } from "./engine-executor.ts";
import { checkNothingFreedEarly } from "./engine-oracles.ts";
import { Context, EngineProcess } from "./engine-process.ts";
import { finishTask, type UserAction, type UserActionName, userActions } from "./engine-program.ts";
import { namesOf, type ReadValue, ValueMemory } from "./engine-values.ts";

export interface WorldOptions {
  readonly cpus: number;
  readonly config: Partial<Config>;
  readonly congestedAt: number;
  readonly crashes: boolean;
  /** What a dead process sent may arrive after the news of its death, as it does in local mode. */
  readonly lateFrames: boolean;
  /** What is drawn, a number a decision; when it is used up the world heals. */
  readonly draws: readonly number[];
  /** What the programs of this run do; others are left out, so that these come together. */
  readonly actions: readonly UserActionName[];
}

const node = "0123456789abcdef0123456789abcdef" as NodeId;
const driverId = workerIdOf(node, 0);
const segmentBytes = [1 << 16];
const workersMax = 12;
const timerReachMs = 10_000;

type Step = () => void;

export class EngineWorld {
  readonly model: EngineModel;
  readonly executor = new EngineExecutor(this);
  /** What has happened that not every run sees. */
  readonly reached = new Set<string>();
  readonly memory = new ValueMemory(segmentBytes);
  readonly raylet: Raylet;
  readonly gcs = new Gcs();
  readonly driver: EngineProcess;
  readonly links: Links;
  readonly processes = new Map<WorkerId, EngineProcess>();
  nowMs = 0;
  eventCount = 0;
  readonly #options: WorldOptions;
  readonly #userActions: readonly UserAction[];
  readonly #config: Config;
  readonly #hosts = new Map<Address, Host>();
  readonly #starting: WorkerId[] = [];
  readonly #exits: { readonly workerId: WorkerId; readonly exit: WorkerExit }[] = [];
  readonly #soon: { readonly host: Host; readonly call: () => void }[] = [];
  readonly #timers = new Map<Host, { readonly atMs: number; readonly wake: () => void }>();
  #drawAt = 0;
  #numbers = 0;

  constructor(options: WorldOptions) {
    this.#options = options;
    this.#userActions = options.actions.map((name) => userActions[name]);
    this.#config = { ...defaultConfig, ...options.config };
    this.model = new EngineModel(this.#config.taskOomRetriesMax);
    this.links = new Links(options.congestedAt, (to, message) => {
      this.#noteRare(to, message);
      // From here on its thread may end before it has begun.
      if (message.type === "constructActor") this.model.onPlaced(message.spec.actorId, to);
    });
    this.raylet = new Raylet({
      nodeId: node,
      config: this.#config,
      isHead: true,
      totals: makeRequest([["CPU", toFixedPoint(options.cpus)]]),
      labels: new Map(),
      address: "world",
      hostname: "world",
      prestartCount: 1,
      segments: segmentBytes,
    });
    const rayletHost = this.#addHost(node);
    rayletHost.attach(node, this.raylet, (instruction) => this.#launch(instruction));
    this.#addHost(gcsAddress).attach(gcsAddress, this.gcs, () => {});
    this.driver = this.#addProcess(driverId);
    this.driver.contexts.push(new Context(this.driver, null, null));
    rayletHost.dispatch(node, { type: "attachDriver", workerId: driverId });
    rayletHost.dispatch(node, { type: "start" });
  }

  get arenaBytes(): number {
    return segmentBytes.reduce((sum, size) => sum + size, 0);
  }

  // ------------------------------------------------------------ what is drawn

  get #hasDraws(): boolean {
    return this.#drawAt < this.#options.draws.length;
  }

  /** 0 … count − 1; 0 when nothing is left to draw from. */
  readonly pick = (count: number): number => {
    const drawn = this.#options.draws[this.#drawAt] ?? 0;
    this.#drawAt += 1;
    return count <= 1 ? 0 : drawn % count;
  };

  oneOf<T>(items: readonly T[]): T {
    const item = items[this.pick(items.length)];
    check(item !== undefined, "there is one to draw");
    return item;
  }

  nextNumber(): number {
    this.#numbers += 1;
    return this.#numbers;
  }

  /** Lets happen what is drawn. */
  runChaos(): void {
    while (this.#hasDraws) {
      const kinds = this.#chaosKinds();
      const steps = kinds[this.pick(kinds.length)] ?? [];
      if (steps.length > 0) this.#do(this.oneOf(steps));
    }
  }

  /** Lets happen all that can, until nothing can; a step that never ends the rest is a livelock. */
  runToQuiet(): void {
    const eventsMax = this.eventCount + 20_000;
    for (;;) {
      check(this.eventCount < eventsMax, "the world does not come to rest");
      const step = this.#nextCalmStep();
      if (step === undefined) return;
      this.#do(step);
    }
  }

  #do(step: Step): void {
    this.eventCount += 1;
    step();
    // What is freed early stays so for as long as anybody counts on it.
    if (this.eventCount % 64 === 0) checkNothingFreedEarly(this);
  }

  /** By kind, so that a hundred waiting frames do not crowd out the rest. */
  #chaosKinds(): Step[][] {
    const acting = this.#acting();
    const actIn = (contexts: readonly Context[]): Step[] =>
      contexts.map((context) => () => this.oneOf(this.#userActions)(this, context));
    const tasks = actIn(acting.filter((context) => !context.isDriver));
    const { crashes } = this.#options;
    const workers = [...this.processes.values()].filter((p) => !p.isDead && p !== this.driver);
    const mayCrash = crashes && workers.length > 0 && this.pick(8) === 0;
    const crash = mayCrash ? [() => this.#crash(this.oneOf(workers).id, this.#anyExit())] : [];
    return [
      this.#controlSteps(),
      this.#controlSteps(),
      this.#taskSteps(),
      actIn(acting.filter((context) => context.isDriver)),
      tasks,
      tasks,
      this.#endSteps(false),
      [...this.#declareSteps(), ...this.#soonSteps()],
      [...this.#startSteps(), ...this.executor.constructSteps(false)],
      [...this.#exitSteps(), ...this.#timerSteps()],
      crash,
    ].filter((steps) => steps.length > 0);
  }

  #nextCalmStep(): Step | undefined {
    const kinds = [
      () => this.#controlSteps(),
      () => this.#taskSteps(),
      () => this.#soonSteps(),
      () => this.#exitSteps(),
      () => this.#startSteps(),
      () => this.executor.constructSteps(true),
      () => this.#endSteps(true),
      () => this.#declareSteps(),
      () => this.#timerSteps(),
    ];
    for (const kind of kinds) {
      const steps = kind();
      if (steps.length > 0) return steps[this.eventCount % steps.length];
    }
    return undefined;
  }

  #controlSteps(): Step[] {
    const steps: Step[] = [];
    for (const link of this.links.all) {
      const host = this.#hosts.get(link.to);
      if (link.control.length === 0 || host === undefined) continue;
      steps.push(() => deliverControl(link, host));
    }
    return steps;
  }

  #taskSteps(): Step[] {
    const steps: Step[] = [];
    for (const link of this.links.all) {
      const host = this.#hosts.get(link.to);
      if (link.tasks.length === 0 || host === undefined || !host.wantsTask()) continue;
      steps.push(() => this.#deliverTask(link, host));
    }
    return steps;
  }

  #deliverTask(link: Link, host: Host): void {
    deliverTask(link, {
      onMessage: (to, message) => {
        if (message.type === "pushTask") {
          const { serial } = message;
          const name = nameOf({ owner: link.from as WorkerId, serial, index: 1 });
          this.model.tasks.get(name)?.takenBy.add(to as WorkerId);
        }
        host.onMessage(to, message);
      },
      onBuffersMoved: () => {},
      onWritable: () => {},
      onWork: () => {},
    });
    if (!link.wasCongested || link.tasks.length >= this.links.congestedAt) return;
    link.wasCongested = false;
    this.reached.add("a link with room again");
    this.#hosts.get(link.from)?.onWritable(link.to);
  }

  #acting(): Context[] {
    const contexts: Context[] = [];
    for (const process of this.processes.values()) {
      if (process.isDead) continue;
      for (const context of process.contexts) if (!context.isWaiting) contexts.push(context);
    }
    return contexts;
  }

  #endSteps(calmly: boolean): Step[] {
    const ending = this.#acting().filter((context) => context.task !== null);
    return ending.map((context) => () => finishTask(this, context, calmly));
  }

  #declareSteps(): Step[] {
    const steps: Step[] = [];
    for (const process of this.processes.values()) {
      for (const context of process.isDead ? [] : process.contexts) {
        const { task } = context;
        if (task === null || !context.isWaiting || context.isDeclared) continue;
        steps.push(() => {
          context.isDeclared = true;
          process.client.taskWaiting(task, true);
        });
      }
    }
    return steps;
  }

  #soonSteps(): Step[] {
    return this.#soon.map((due) => () => {
      this.#soon.splice(this.#soon.indexOf(due), 1);
      due.call();
    });
  }

  #timerSteps(): Step[] {
    let next: Host | undefined;
    let atMs = Infinity;
    for (const [host, timer] of this.#timers) {
      if (timer.atMs < atMs) [next, atMs] = [host, timer.atMs];
    }
    // Beyond is only how long a thread may take to start, which here is never too long.
    if (next === undefined || atMs > this.nowMs + timerReachMs) return [];
    const host = next;
    return [() => this.#wake(host)];
  }

  #wake(host: Host): void {
    const timer = this.#timers.get(host);
    if (timer === undefined) return;
    this.#timers.delete(host);
    this.nowMs = Math.max(this.nowMs, timer.atMs);
    timer.wake();
  }

  // ------------------------------------------------------------ processes

  #addHost(address: Address): Host {
    const clock: HostClock = {
      nowMs: () => this.nowMs,
      wakeAt: (atMs, wake) => void this.#timers.set(host, { atMs, wake }),
      soon: (call) => void this.#soon.push({ host, call }),
    };
    const host: Host = new Host(clock, true);
    host.connect(this.links.transportOf(address));
    this.#hosts.set(address, host);
    return host;
  }

  #addProcess(id: WorkerId): EngineProcess {
    const host = this.#addHost(id);
    const process = new EngineProcess(this, id, host, { config: this.#config, node });
    this.processes.set(id, process);
    return process;
  }

  #launch(instruction: RayletInstruction): void {
    if (instruction.type === "dropSegments") {
      const isDead = this.processes.get(instruction.workerId)?.isDead === true;
      check(isDead, "segments of the living are not dropped");
      return;
    }
    check(
      instruction.type === "startWorker" || instruction.type === "stopWorker",
      "there is no other node to bring anything from, and too little to be spilled",
    );
    const { type, workerId } = instruction;
    if (type === "startWorker") this.#starting.push(workerId);
    else if (this.processes.has(workerId)) this.#crash(workerId, { type: "stopped" });
  }

  #startSteps(): Step[] {
    // A worker that nobody may start yet: the world stays small.
    const alive = [...this.processes.values()].filter((process) => !process.isDead).length;
    if (alive > workersMax) return [];
    return this.#starting.map((workerId) => () => {
      this.#starting.splice(this.#starting.indexOf(workerId), 1);
      this.#addProcess(workerId);
      this.#hosts.get(node)?.dispatch(node, { type: "workerReady", workerId });
    });
  }

  #anyExit(): WorkerExit {
    return this.oneOf<WorkerExit>([
      { type: "exited", code: 7 },
      { type: "uncaught", message: "of the world" },
      { type: "outOfMemory", message: "of the world" },
    ]);
  }

  /** What it sent is under way; what is under way to it is lost, but may still be taken back. */
  #crash(workerId: WorkerId, exit: WorkerExit): void {
    const process = this.processes.get(workerId);
    if (process === undefined || process.isDead) return;
    process.isDead = true;
    process.host.close();
    this.model.dead.add(workerId);
    if (exit.type === "outOfMemory") this.model.outOfMemory.add(workerId);
    this.#hosts.delete(workerId);
    this.#timers.delete(process.host);
    for (const due of this.#soon.filter(({ host }) => host === process.host)) {
      this.#soon.splice(this.#soon.indexOf(due), 1);
    }
    this.executor.onCrash(process);
    this.#exits.push({ workerId, exit });
  }

  /** Reported after everything that it sent to the node's own thread has been delivered. */
  #exitSteps(): Step[] {
    const isDrained = (workerId: WorkerId): boolean =>
      [node, gcsAddress].every((to) => (this.links.known(workerId, to)?.control.length ?? 0) === 0);
    return this.#exits
      .filter(({ workerId }) => isDrained(workerId))
      .map((ended) => () => {
        this.#exits.splice(this.#exits.indexOf(ended), 1);
        this.#hosts.get(node)?.dispatch(node, { type: "workerExited", ...ended });
      });
  }

  forgetPeer(process: WorkerId, peer: WorkerId): void {
    this.links.forget(process, peer, this.#options.lateFrames);
  }

  #noteRare(to: Address, message: Message): void {
    this.reached.add(message.type);
    if (message.type === "taskReply" && message.keptRefs !== null) this.reached.add("keptRefs");
    if (message.type === "objectState" && message.outcome instanceof FailedValue) {
      this.reached.add("objectState of a failure");
    }
    if (message.type === "workerDied" && to !== gcsAddress) this.reached.add("a peer's death");
  }

  // ------------------------------------------------------------ what is read

  checkRead(name: string, outcome: Outcome): ReadValue {
    const value = this.memory.read(outcome);
    this.model.checkValue(name, value.n, namesOf(value.refs));
    return value;
  }

  checkFailed(name: string, { error, cause }: FailedValue): void {
    this.model.checkError(name, error);
    const told = /boom (\d+)/.exec(error.message);
    if (cause === null) check(error.type !== "TASK_ERROR", "a task's error has a cause");
    else check(this.memory.read(cause).n === Number(told?.[1]), "the cause is that of the error");
  }
}
