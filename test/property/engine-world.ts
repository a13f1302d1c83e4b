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
import type { ActorClient } from "#engine/core-worker/actor-submitter.ts";
import type { TaskRecord } from "#engine/core-worker/object-entry.ts";
import type { IncomingActor, IncomingTask } from "#engine/core-worker/task-receiver.ts";
import { Gcs } from "#engine/gcs/gcs.ts";
import type { WorkerExit } from "#engine/protocol/launcher.ts";
import { FailedValue, type Outcome } from "#engine/protocol/outcome.ts";
import { Raylet, type RayletInstruction } from "#engine/raylet/raylet.ts";
import { Host, type HostClock } from "#engine/services/host.ts";
import { deliverControl, deliverTask, type Link, Links } from "./engine-links.ts";
import { check, EngineModel, type GivenArgument, nameOf } from "./engine-model.ts";
import { Context, EngineProcess } from "./engine-process.ts";
import { finishTask, type UserAction, type UserActionName, userActions } from "./engine-program.ts";
import { inlineValue, namesOf, type ReadValue, ValueMemory } from "./engine-values.ts";

export interface WorldOptions {
  readonly cpus: number;
  readonly config: Partial<Config>;
  readonly congestedAt: number;
  readonly crashes: boolean;
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
  readonly model = new EngineModel();
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
  readonly #constructing: { readonly process: EngineProcess; readonly actor: IncomingActor }[] = [];
  readonly #soon: { readonly host: Host; readonly call: () => void }[] = [];
  readonly #timers = new Map<Host, { readonly atMs: number; readonly wake: () => void }>();
  readonly #calls = new Map<string, { readonly client: ActorClient; readonly order: number }>();
  readonly #lastStarted = new Map<ActorClient, number>();
  #drawAt = 0;
  #numbers = 0;

  constructor(options: WorldOptions) {
    this.#options = options;
    this.#userActions = options.actions.map((name) => userActions[name]);
    this.#config = { ...defaultConfig, ...options.config };
    this.links = new Links(options.congestedAt, (to, message) => {
      // From here on its thread may end before it has begun.
      if (message.type === "constructActor") this.model.onPlaced(message.spec.actorId, to);
    });
    this.raylet = new Raylet({
      nodeId: node,
      config: this.#config,
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
  }

  /** By kind, so that a hundred waiting frames do not crowd out the rest. */
  #chaosKinds(): Step[][] {
    const acting = this.#acting();
    const actIn = (contexts: readonly Context[]): Step[] =>
      contexts.map((context) => () => this.oneOf(this.#userActions)(this, context));
    const tasks = actIn(acting.filter((context) => !context.isDriver));
    const { crashes } = this.#options;
    const workers = [...this.processes.values()].filter((p) => !p.isDead && p !== this.driver);
    const mayCrash = crashes && workers.length > 0 && this.pick(20) === 0;
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
      [...this.#startSteps(), ...this.#constructSteps(false)],
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
      () => this.#constructSteps(true),
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
      onWritable: () => {},
      onWork: () => {},
    });
    if (!link.wasCongested || link.tasks.length >= this.links.congestedAt) return;
    link.wasCongested = false;
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
    this.#hosts.delete(workerId);
    this.#timers.delete(process.host);
    for (const due of this.#soon.filter(({ host }) => host === process.host)) {
      this.#soon.splice(this.#soon.indexOf(due), 1);
    }
    for (const late of this.#constructing.filter((other) => other.process === process)) {
      this.#constructing.splice(this.#constructing.indexOf(late), 1);
    }
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
    this.links.forget(process, peer);
  }

  // ------------------------------------------------------------ tasks and actors

  /** A task begins in its worker: it must be what was submitted. */
  start(process: EngineProcess, task: IncomingTask): void {
    const name = nameOf({ owner: task.owner, serial: task.serial, index: 1 });
    const submitted = this.model.onStarted(name, process.id);
    submitted.takenBy.add(process.id);
    check(this.#isAlone(process, task), "two tasks of one lease run at once");
    this.#checkOrder(name);
    const context = new Context(process, task, process.client.core.receiver.actor);
    process.contexts.push(context);
    this.#readArguments(context, submitted, task);
  }

  startConstructor(process: EngineProcess, actor: IncomingActor): void {
    this.#constructing.push({ process, actor });
  }

  #constructSteps(calmly: boolean): Step[] {
    return this.#constructing.map((due) => () => {
      this.#constructing.splice(this.#constructing.indexOf(due), 1);
      this.#construct(due.process, due.actor, !calmly && this.pick(4) === 0);
    });
  }

  #construct(process: EngineProcess, actor: IncomingActor, fails: boolean): void {
    const { actorId, maxConcurrency } = actor.spec;
    const known = this.model.actors.get(actorId);
    check(known !== undefined && !known.wasMade, "an actor is made once, if at all");
    known.wasMade = true;
    const context = new Context(process, null, actor);
    process.contexts.push(context);
    this.#readArguments(context, { n: null, given: known.given }, actor.spec);
    const n = this.nextNumber();
    if (fails) known.wasKilled = true;
    const error = {
      type: "ACTOR_DIED",
      message: `boom ${n}`,
      subject: actorId,
      detail: "",
    } as const;
    const failure = fails ? { error, cause: inlineValue(n, []) } : null;
    process.client.dispatch({ type: "constructorFinished", actor, failure, maxConcurrency });
  }

  #readArguments(
    context: Context,
    expected: { n: number | null; given: readonly GivenArgument[] },
    came: Pick<IncomingTask, "args" | "values">,
  ): void {
    const read = this.memory.read(came.args);
    if (expected.n !== null) check(read.n === expected.n, "the arguments are those of the call");
    check(read.specials.length === expected.given.length, "as many arguments as were given");
    for (const [i, given] of expected.given.entries()) {
      const special = read.specials[i];
      if (given.kind === "actor") {
        check(special?.type === "actor" && special.actorId === given.actorId, "the same actor");
        context.revive([special]);
        continue;
      }
      check(special?.type === "ref" && nameOf(special) === given.name, "the same object");
      check(special.topLevel === (given.kind === "value"), "as a value or as a ref");
      if (!special.topLevel) context.revive([special]);
      else this.#readGiven(context, given.name, came.values?.[i]);
    }
  }

  #readGiven(context: Context, name: string, outcome: Outcome): void {
    const value = this.checkRead(name, outcome);
    context.revive(value.specials);
  }

  /** Calls of one handle are started in the order in which they were made. */
  onActorCall(client: ActorClient, task: TaskRecord): void {
    this.#calls.set(nameOf(task), { client, order: this.nextNumber() });
  }

  #checkOrder(name: string): void {
    const call = this.#calls.get(name);
    if (call === undefined) return;
    const last = this.#lastStarted.get(call.client) ?? 0;
    check(call.order > last, "calls of an actor were started out of order");
    this.#lastStarted.set(call.client, call.order);
  }

  #isAlone(process: EngineProcess, { owner, stream }: IncomingTask): boolean {
    if (process.client.core.receiver.actor !== null) return true;
    return process.contexts.every(
      ({ task }) => task === null || task.owner !== owner || task.stream !== stream,
    );
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
