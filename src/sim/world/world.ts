/**
 * One loop for everything that happens in a simulated cluster: the next step, then all that follows
 * from it, then the next. Virtual time moves only when no step is due.
 *
 * State:  the schedule, the trace, seeded streams, clocks and pauses of the machines.
 * In/out: steps of processes, frames under way, faults, user timers → one order, a function of the
 *         seed.
 * Bounds: the virtual time limit.
 * Errors: the first exception of a step (an assertion of a machine) ends the run and is reported.
 * Source: simulation.md; FoundationDB's and madsim's loops.
 */
import { defaultConfig } from "#engine/common/config.ts";
import type { WorkerId } from "#engine/common/ids.ts";
import { Prng } from "#engine/common/prng.ts";
import type { HostClock } from "#engine/services/host.ts";
import type { MessageType } from "#engine/protocol/message.ts";
import type {
  Fate,
  Flight,
  LinkStep,
  NetworkWorld,
  Place,
} from "#transports/simulated/network-world.ts";
import { Arrival } from "./arrival.ts";
import { LinkRules } from "#sim/faults/link-rules.ts";
import { NodeClock } from "#sim/cluster/node-clock.ts";
import { rareMessages, rareResent, type RareState } from "#sim/report/reached.ts";
import { isUpkeep, Schedule, type Step } from "./schedule.ts";
import { EntitySteps } from "#sim/report/story.ts";
import { Trace } from "#sim/report/trace.ts";
import { workInTurns } from "./turns.ts";

/**
 * A simulated process: its steps happen only while it lives, and not while its machine stands
 * still.
 */
export interface Life {
  readonly name: string;
  readonly node: number;
  /** User code may run in its steps, so microtasks are awaited after them. */
  readonly hasUserCode: boolean;
  isAlive: boolean;
  /** It was asked to end when nothing was left that anybody could miss. */
  hasEndedIdle?: boolean;
}

/** Delay of a frame between threads of one machine, in virtual milliseconds. */
const linkDelayMs = { least: 0.002, spread: 0.05 };
/** … and between machines: most are fast, some come late. */
const farDelayMs = { least: 0.2, spread: 0.3, lateSpread: 1.8, lateOneIn: 12 };
/** One link in so many is slow for the whole run. */
const slowLinkOneIn = 8;
const slowLinkFactor = 40;
/** One machine in so many is slow to everybody. */
const slowNodeOneIn = 6;
const slowNodeFactor = 8;
/** Sent for ever, whatever the program does, once there are several nodes. */
/** By so much a frame may be later than others that a choice lets come before it. */
const overtakenMs = 1;
const upkeepTypes: readonly (MessageType | null)[] = ["heartbeat", "heartbeatAck", "resourceView"];
/** Sent for as long as tasks wait, which may be for ever. */
const probeTypes: readonly (MessageType | null)[] = ["probeObject", "probeTask"];

/** What a directed link draws from: its delays, and how its cuts go. */
interface LinkChance {
  readonly delays: Prng;
  readonly cuts: Prng;
  readonly factor: number;
}

interface LaterStep {
  readonly kind: string;
  readonly what: string;
  readonly run: () => void;
  readonly isLive?: () => boolean;
  readonly isUpkeep?: boolean | (() => boolean);
}

export interface WorldOptions {
  readonly seed: number;
  readonly nodeCount: number;
  readonly choices: readonly number[];
  readonly choicesOnly: boolean;
  /** The engine's defaults unless told otherwise. */
  readonly linkTimeoutMs?: number;
  readonly linkWindowBytes?: number;
}

export type RunEnd = "over" | "idle" | "limit" | "livelock";

/** So many steps within so much virtual time lead nowhere: no program has so much to do. */
const livelock = { steps: 1_000_000, withinMs: 30_000 };
/** … and so many at one moment: a frame takes its time, so whoever gets anywhere does in less. */
const standstillSteps = 200_000;

export class World implements NetworkWorld {
  readonly random: Prng;
  readonly trace = new Trace();
  readonly clocks: readonly NodeClock[];
  readonly reached = new Set<RareState>();
  readonly links = new LinkRules();
  readonly linkTimeoutMs: number;
  readonly linkWindowBytes: number;
  #nowMs = 0;
  /** When it was last asked whether time goes on. */
  #lookedAt = { stepId: 0, nowMs: 0 };
  /** The last step before time went on. */
  #movedAtStep = 0;
  /** Which of the steps that are due comes next, if that was chosen as time came to it. */
  #chosen: number | null = null;
  /** When anything but upkeep has last happened. */
  #foregroundMs = 0;
  readonly #schedule = new Schedule();
  /** What happens before anything else does. */
  readonly #urgent: Step[] = [];
  readonly #choices: readonly number[];
  readonly #choicesOnly: boolean;
  readonly #chooser: Prng;
  readonly #lives = new Map<string, Life>();
  readonly #pausedUntilMs: number[];
  /** By node: what was due while it stood still, in order. */
  readonly #deferred: Step[][];
  readonly #lastPauses: ({ readonly fromMs: number; untilMs: number } | null)[];
  /** By node: told of each step that a pause holds up. */
  readonly #onHeldUp: (() => void)[][];
  /** By the names of both ends: of who takes part now, and who has it from a life before. */
  readonly #linkChances = new Map<string, Map<string, LinkChance>>();
  readonly #nodeFactors: readonly number[];
  readonly #entitySteps = new EntitySteps();
  readonly #isNews = (flight: Flight): boolean => !this.#isUpkeep(flight);
  #choiceCount = 0;
  #stepId = 0;
  #userCodeMayRun = false;
  #hasHealed = false;

  constructor(options: WorldOptions) {
    this.random = new Prng(options.seed);
    this.#chooser = this.random.split("choices");
    this.#choices = options.choices;
    this.#choicesOnly = options.choicesOnly;
    this.linkTimeoutMs = options.linkTimeoutMs ?? defaultConfig.linkTimeoutMs;
    this.linkWindowBytes = options.linkWindowBytes ?? defaultConfig.linkWindowBytes;
    const skew = this.random.split("skew");
    this.clocks = Array.from({ length: options.nodeCount }, () => {
      return new NodeClock(Date.UTC(2026, 0, 1) + skew.below(10_000));
    });
    const peers = this.random.split("peers");
    this.#nodeFactors = this.clocks.map(() => {
      return peers.below(slowNodeOneIn) === 0 ? slowNodeFactor : 1;
    });
    this.#pausedUntilMs = this.clocks.map(() => 0);
    this.#deferred = this.clocks.map(() => []);
    this.#lastPauses = this.clocks.map(() => null);
    this.#onHeldUp = this.clocks.map(() => []);
  }

  nowMs(): number {
    return this.#nowMs;
  }

  /** How often there was more than one step to choose from. */
  get choiceCount(): number {
    return this.#choiceCount;
  }

  addLife(life: Life): void {
    this.#lives.set(life.name, life);
  }

  /** The step that is happening, as the cause of what it leads to. */
  get stepId(): number {
    return this.#stepId;
  }

  after(life: Life, delayMs: number, step: LaterStep): void {
    this.#add(life, this.#nowMs + delayMs, step);
  }

  /** Once the clock of its machine shows `ownMs`, at whatever rate it goes until then. */
  atOwnTime(life: Life, ownMs: number, step: LaterStep): void {
    const clock = this.clocks[life.node] as NodeClock;
    const dueMs = (): number => Math.max(this.#nowMs, clock.worldMsAt(ownMs));
    this.#add(life, dueMs(), step, dueMs);
  }

  #add(life: Life, atMs: number, step: LaterStep, dueMs?: () => number): void {
    const { kind, what, run, isLive, isUpkeep = false } = step;
    this.#schedule.add(
      {
        kind,
        where: life.name,
        what,
        atMs,
        dueMs,
        causeId: this.#stepId,
        isUpkeep,
        isLive: () => life.isAlive && (isLive === undefined || isLive()),
        run,
      },
      this.#nowMs,
    );
  }

  /** The next step of all: nothing comes between it and the one that is happening. */
  next(life: Life, step: { kind: string; what: string; run: () => void }): void {
    const [atMs, causeId] = [this.#nowMs, this.#stepId];
    this.#urgent.push({ where: life.name, atMs, causeId, isLive: () => life.isAlive, ...step });
  }

  /** `probes`: whether the process has nothing to wake up for but its look for deadlocks. */
  hostClock(life: Life, probes: () => boolean = () => false): HostClock {
    const clock = this.clocks[life.node] as NodeClock;
    let newestWake = 0;
    return {
      nowMs: () => clock.monotonicMs(this.#nowMs),
      soon: (run) => this.after(life, 0, { kind: "turn", what: "", run }),
      wakeAt: (atMs, run) => {
        newestWake += 1;
        const wake = newestWake;
        const isLive = (): boolean => wake === newestWake;
        // A raylet or the GCS: with several nodes they report and check for ever.
        const isUpkeep = life.hasUserCode ? probes : this.clocks.length > 1;
        this.atOwnTime(life, atMs, { kind: "wake", what: "", run, isLive, isUpkeep });
      },
    };
  }

  /** The step that is happening is about this task, object or process. */
  note(entity: string): void {
    this.#entitySteps.note(entity, this.#stepId);
  }

  noteTask(owner: WorkerId, serial: number): void {
    this.#entitySteps.noteTask(owner, serial, this.#stepId);
  }

  noteObject(owner: WorkerId, key: number): void {
    this.#entitySteps.noteObject(owner, key, this.#stepId);
  }

  /** Oldest first; none when nothing was noted of it. */
  stepsOf(entity: string): readonly number[] {
    return this.#entitySteps.of(entity);
  }

  // ------------------------------------------------------------ network

  delayMs(from: Place, to: Place): number {
    const { delays, factor } = this.#linkOf(from, to);
    const isNear = from.node === to.node;
    const { least, spread } = isNear ? linkDelayMs : farDelayMs;
    const isLate = !isNear && delays.below(farDelayMs.lateOneIn) === 0;
    const drawn = delays.float() * (isLate ? farDelayMs.lateSpread : spread);
    return isNear ? least + drawn * factor : (least + drawn) * factor;
  }

  faultDelayMs(from: Place, to: Place, sizeBytes: number): number {
    return this.links.extraDelayMs(from, to, { sizeBytes, nowMs: this.#nowMs });
  }

  deliverAt(heldMs: number, flight: Flight): void {
    const { freeMs, type } = flight;
    const isHeld = heldMs > freeMs && !this.#hasHealed;
    const dueMs = isHeld ? (): number => (this.#hasHealed ? freeMs : heldMs) : undefined;
    const rare = rareMessages.get(type);
    if (rare !== undefined) this.mark(rare);
    // Only the first of a link has a step: what it holds up behind it is to come as well.
    const isUpkeep = this.#isUpkeep(flight) && ((): boolean => !flight.isFollowedBy(this.#isNews));
    this.#schedule.add(new Arrival(flight, isHeld ? heldMs : freeMs, dueMs, isUpkeep), this.#nowMs);
  }

  linkStep(place: Place, delayMs: number, step: LinkStep): void {
    const life = this.#lives.get(place.name);
    if (life === undefined) throw new TypeError(`no process is called ${place.name}`);
    this.after(life, delayMs, { kind: "link", ...step });
  }

  draw(from: Place, to: Place): number {
    return this.#linkOf(from, to).cuts.float();
  }

  blockedUntilMs(from: number, to: number): number {
    return this.links.blockedUntilMs(from, to, this.#nowMs);
  }

  isPaused(node: number): boolean {
    return (this.#pausedUntilMs[node] ?? 0) > this.#nowMs;
  }

  fateOf(from: Place, to: Place, type: MessageType): Fate {
    return this.links.fateOf(from, to, { type, nowMs: this.#nowMs });
  }

  cutsBehind(from: Place, to: Place, type: MessageType): boolean {
    return this.links.cutsBehind(from, to, type);
  }

  onSessionResumed(): void {
    this.mark("sessionResumed");
  }

  onRoomTold(): void {
    this.mark("waitedForRoom");
  }

  onResent(type: MessageType): void {
    const rare = rareResent.get(type);
    if (rare !== undefined) this.mark(rare);
  }

  mark(state: RareState): void {
    this.reached.add(state);
  }

  #linkOf(from: Place, to: Place): LinkChance {
    let links = this.#linkChances.get(from.name);
    if (links === undefined) this.#linkChances.set(from.name, (links = new Map()));
    let link = links.get(to.name);
    if (link === undefined) {
      const delays = this.random.split(`link ${from.name}>${to.name}`);
      const isSlow = delays.below(slowLinkOneIn) === 0;
      const near = isSlow ? slowLinkFactor : 1;
      const far = Math.max(this.#nodeFactors[from.node] ?? 1, this.#nodeFactors[to.node] ?? 1);
      const factor = from.node === to.node ? near : far;
      link = { delays, cuts: delays.split("cuts"), factor };
      links.set(to.name, link);
    }
    return link;
  }

  /** By the clock of the machine; pauses that overlap are one. */
  lastPause(node: number): { fromMs: number; untilMs: number } | null {
    return this.#lastPauses[node] ?? null;
  }

  pause(node: number, untilMs: number, onHeldUp: () => void): void {
    this.#onHeldUp[node]?.push(onHeldUp);
    if (!this.isPaused(node)) {
      this.#lastPauses[node] = { fromMs: this.#ownMs(node), untilMs: Infinity };
    }
    this.#pausedUntilMs[node] = Math.max(this.#pausedUntilMs[node] ?? 0, untilMs);
    const [where, run] = [`node ${node}`, (): void => this.#resume(node)];
    const step = { kind: "resume", where, what: "", atMs: untilMs, causeId: this.#stepId, run };
    // Not once the world has healed, nor where a longer pause goes on.
    const isLive = (): boolean => this.#pausedUntilMs[node] === untilMs;
    this.#schedule.add({ ...step, isLive }, this.#nowMs);
  }

  /** It goes on where it stood still, unless another pause holds it. */
  #resume(node: number): void {
    if (this.isPaused(node)) return;
    this.#onHeldUp[node]?.splice(0);
    const pause = this.#lastPauses[node];
    if (pause?.untilMs === Infinity) pause.untilMs = this.#ownMs(node);
    for (const step of this.#deferred[node]?.splice(0) ?? []) {
      step.atMs = this.#nowMs;
      this.#schedule.add(step, this.#nowMs);
    }
  }

  #ownMs(node: number): number {
    return this.clocks[node]?.monotonicMs(this.#nowMs) ?? 0;
  }

  /** Its timers fire when its clock says so, also those that are set already. */
  setDrift(node: number, ppm: number): void {
    this.clocks[node]?.setDrift(ppm, this.#nowMs);
    this.#schedule.retime(this.#nowMs);
  }

  /** Nothing is slow, held or paused from now on; what was held back so far comes now. */
  heal(): void {
    this.#hasHealed = true;
    this.links.clear();
    this.#pausedUntilMs.fill(0);
    for (const node of this.#deferred.keys()) this.#resume(node);
    for (const clock of this.clocks) clock.setDrift(0, this.#nowMs);
    this.#schedule.retime(this.#nowMs);
  }

  // ------------------------------------------------------------ the loop

  /**
   * Steps until `isOver` says so, nothing is left but upkeep for `settleMs`, the limit is reached,
   * or everybody is busy with getting nowhere.
   */
  async run(isOver: () => boolean, limitMs: number, settleMs: number): Promise<RunEnd> {
    this.#foregroundMs = this.#nowMs;
    let end: RunEnd | null = null;
    await workInTurns(() => {
      do {
        if (isOver()) end = "over";
        else end = this.#whyNothing(limitMs, settleMs);
        if (end !== null) return true;
        this.#step();
      } while (!this.#userCodeMayRun);
      return false;
    });
    return end ?? "over";
  }

  /** Null when a step is due, now or once the time has come to it. */
  #whyNothing(limitMs: number, settleMs: number): RunEnd | null {
    if (this.#stepId - this.#lookedAt.stepId >= livelock.steps) {
      const passedMs = this.#nowMs - this.#lookedAt.nowMs;
      this.#lookedAt = { stepId: this.#stepId, nowMs: this.#nowMs };
      if (passedMs < livelock.withinMs) return "livelock";
    }
    if (this.#stepId - this.#movedAtStep >= standstillSteps) return "livelock";
    if (this.#urgent.length > 0 || this.#schedule.dueCount() > 0) return null;
    const nextMs = this.#schedule.nextMs();
    if (nextMs === Infinity) return "idle";
    if (nextMs - this.#foregroundMs > settleMs && !this.#schedule.hasForeground()) return "idle";
    if (nextMs > limitMs) return "limit";
    const first = this.#firstArrival(nextMs, limitMs);
    const atMs = first?.atMs ?? nextMs;
    if (atMs > this.#nowMs) {
      this.#nowMs = atMs;
      this.#movedAtStep = this.#stepId;
    }
    this.#schedule.advance(this.#nowMs);
    if (first !== null) this.#chosen = this.#schedule.indexOf(first);
    return null;
  }

  /**
   * Of the frames that are about to arrive that which a given choice has come first: the others
   * take a little longer, as frames may. Null where there is nothing to choose, or no choice given.
   */
  #firstArrival(nextMs: number, limitMs: number): Step | null {
    const given = this.#choices[this.#choiceCount];
    if (given === undefined) return null;
    const arrivals = this.#schedule.arrivals(Math.min(nextMs + overtakenMs, limitMs));
    if (arrivals.length <= 1) return null;
    this.#choiceCount += 1;
    return arrivals[given % arrivals.length] as Step;
  }

  #step(): void {
    const urgent = this.#urgent.shift();
    const chosen = this.#chosen;
    this.#chosen = null;
    const step = urgent ?? this.#schedule.take(chosen ?? this.#choose(this.#schedule.dueCount()));
    this.#userCodeMayRun = false;
    if (step === undefined || !step.isLive()) return;
    const life = this.#lives.get(step.where);
    if (life !== undefined && this.isPaused(life.node)) {
      this.#deferred[life.node]?.push(step);
      for (const tell of this.#onHeldUp[life.node] ?? []) tell();
      return;
    }
    const { kind, where, what, from = "", causeId } = step;
    const atMs = this.#nowMs;
    const isQuiet = isUpkeep(step);
    if (!isQuiet) this.#foregroundMs = atMs;
    this.#stepId = this.trace.add({ atMs, kind, where, what, from, causeId, isUpkeep: isQuiet });
    // What waits for a disk waits for a promise, also in the engine.
    this.#userCodeMayRun = kind === "disk" || (life?.hasUserCode ?? true);
    step.run();
  }

  /** Probes look whether something goes on: they are no sign of it. */
  #isUpkeep({ type, said }: Flight): boolean {
    if (probeTypes.includes(type)) return true;
    if (this.clocks.length === 1) return false;
    if (type !== null) return upkeepTypes.includes(type);
    return typeof said === "string" && said.startsWith("ack ");
  }

  #choose(count: number): number {
    if (count <= 1) return 0;
    const given = this.#choices[this.#choiceCount];
    this.#choiceCount += 1;
    if (given !== undefined) return given % count;
    return this.#choicesOnly ? 0 : this.#chooser.below(count);
  }
}
