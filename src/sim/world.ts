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
import { LinkRules } from "./link-rules.ts";
import { NodeClock } from "./node-clock.ts";
import { Schedule, type Step } from "./schedule.ts";
import { Trace } from "./trace.ts";

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
}

/** Delay of a frame between threads of one machine, in virtual milliseconds. */
const linkDelayMs = { least: 0.002, spread: 0.05 };
/** … and between machines. */
const farDelayMs = { least: 0.2, spread: 0.8 };
/** One link in so many is slow for the whole run. */
const slowLinkOneIn = 8;
const slowLinkFactor = 40;
const slowFarFactor = 10;
/** Sent for ever, whatever the program does. */
const upkeepTypes: readonly (MessageType | null)[] = ["heartbeat", "heartbeatAck", "resourceView"];

export interface WorldOptions {
  readonly seed: number;
  readonly nodeCount: number;
  readonly choices: readonly number[];
  readonly choicesOnly: boolean;
}

const { setImmediate: realSetImmediate } = globalThis;

export class World implements NetworkWorld {
  readonly random: Prng;
  readonly trace = new Trace();
  readonly clocks: readonly NodeClock[];
  readonly reached = new Set<string>();
  readonly links = new LinkRules();
  #nowMs = 0;
  /** When anything but upkeep has last happened. */
  #foregroundMs = 0;
  readonly #schedule = new Schedule();
  readonly #choices: readonly number[];
  readonly #choicesOnly: boolean;
  readonly #chooser: Prng;
  readonly #lives = new Map<string, Life>();
  readonly #pausedUntilMs: number[];
  /** By node: what was due while it stood still, in order. */
  readonly #deferred: Step[][];
  readonly #linkRandom = new Map<string, { readonly random: Prng; readonly factor: number }>();
  readonly #fates: Prng;
  #choiceCount = 0;
  #stepId = 0;
  #userCodeMayRun = false;

  constructor(options: WorldOptions) {
    this.random = new Prng(options.seed);
    this.#chooser = this.random.split("choices");
    this.#fates = this.random.split("fates");
    this.#choices = options.choices;
    this.#choicesOnly = options.choicesOnly;
    const skew = this.random.split("skew");
    this.clocks = Array.from({ length: options.nodeCount }, () => {
      return new NodeClock(Date.UTC(2026, 0, 1) + skew.below(10_000));
    });
    this.#pausedUntilMs = this.clocks.map(() => 0);
    this.#deferred = this.clocks.map(() => []);
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

  after(
    life: Life,
    delayMs: number,
    step: {
      kind: string;
      what: string;
      run: () => void;
      isLive?: () => boolean;
      isUpkeep?: boolean;
    },
  ): void {
    const { kind, what, run, isLive, isUpkeep = false } = step;
    this.#schedule.add(
      {
        kind,
        where: life.name,
        what,
        atMs: this.#nowMs + delayMs,
        causeId: this.#stepId,
        isUpkeep,
        isLive: () => life.isAlive && (isLive === undefined || isLive()),
        run,
      },
      this.#nowMs,
    );
  }

  hostClock(life: Life): HostClock {
    const clock = this.clocks[life.node] as NodeClock;
    let newestWake = 0;
    return {
      nowMs: () => clock.monotonicMs(this.#nowMs),
      soon: (run) => this.after(life, 0, { kind: "turn", what: "", run }),
      wakeAt: (atMs, run) => {
        newestWake += 1;
        const wake = newestWake;
        const isLive = (): boolean => wake === newestWake;
        const delayMs = Math.max(0, clock.worldMsAt(atMs) - this.#nowMs);
        // A raylet or the GCS: with several nodes they report and check for ever.
        const isUpkeep = !life.hasUserCode && this.clocks.length > 1;
        this.after(life, delayMs, { kind: "wake", what: "", run, isLive, isUpkeep });
      },
    };
  }

  // ------------------------------------------------------------ network

  delayMs(from: Place, to: Place, sizeBytes: number): number {
    const { random, factor } = this.#linkOf(from, to);
    const { least, spread } = from.node === to.node ? linkDelayMs : farDelayMs;
    const base = least + random.float() * spread * factor;
    return base + this.links.extraDelayMs(from, to, { sizeBytes, nowMs: this.#nowMs });
  }

  deliverAt(atMs: number, flight: Flight, run: () => void): void {
    const { from, to, text, type, causeId } = flight;
    const rare = type === null ? undefined : rareMessages[type];
    if (rare !== undefined) this.mark(rare);
    const what = `${text} from ${from.name}`;
    const kind = to.isClosed ? "lost" : "deliver";
    // A link outlives its processes: what is under way to a dead one passes and is dropped.
    const where = to.name;
    const isUpkeep = this.clocks.length > 1 && isUpkeepFrame(type, text);
    const step = { kind, where, what, atMs, causeId, isUpkeep, isLive: () => true, run };
    this.#schedule.add(step, this.#nowMs);
  }

  linkStep(place: Place, delayMs: number, step: LinkStep): void {
    const life = this.#lives.get(place.name);
    if (life === undefined) throw new TypeError(`no process is called ${place.name}`);
    this.after(life, delayMs, { kind: "link", ...step });
  }

  draw(from: Place, to: Place): number {
    return this.#linkOf(from, to).random.float();
  }

  blockedUntilMs(from: number, to: number): number {
    return this.links.blockedUntilMs(from, to, this.#nowMs);
  }

  isPaused(node: number): boolean {
    return (this.#pausedUntilMs[node] ?? 0) > this.#nowMs;
  }

  fateOf(from: Place, to: Place, type: MessageType): Fate {
    return this.links.fateOf(from, to, { type, nowMs: this.#nowMs, random: this.#fates });
  }

  cutsBehind(from: Place, to: Place, type: MessageType): boolean {
    return this.links.cutsBehind(from, to, type);
  }

  onSessionResumed(): void {
    this.mark("sessionResumed");
  }

  /** A rare state, for the guard of a run set. */
  mark(state: string): void {
    this.reached.add(state);
  }

  #linkOf(from: Place, to: Place): { readonly random: Prng; readonly factor: number } {
    const name = `${from.name}>${to.name}`;
    let link = this.#linkRandom.get(name);
    if (link === undefined) {
      const random = this.random.split(`link ${name}`);
      const slowFactor = from.node === to.node ? slowLinkFactor : slowFarFactor;
      link = { random, factor: random.below(slowLinkOneIn) === 0 ? slowFactor : 1 };
      this.#linkRandom.set(name, link);
    }
    return link;
  }

  pause(node: number, untilMs: number): void {
    this.#pausedUntilMs[node] = Math.max(this.#pausedUntilMs[node] ?? 0, untilMs);
    const [where, run] = [`node ${node}`, (): void => this.#resume(node)];
    const step = { kind: "resume", where, what: "", atMs: untilMs, causeId: this.#stepId, run };
    this.#schedule.add({ ...step, isLive: () => true }, this.#nowMs);
  }

  /** It goes on where it stood still, unless another pause holds it. */
  #resume(node: number): void {
    if (this.isPaused(node)) return;
    for (const step of this.#deferred[node]?.splice(0) ?? []) {
      this.#schedule.add({ ...step, atMs: this.#nowMs }, this.#nowMs);
    }
  }

  /** Nothing is slow, held or paused from now on. */
  heal(): void {
    this.links.clear();
    this.#pausedUntilMs.fill(0);
    for (const node of this.#deferred.keys()) this.#resume(node);
    for (const clock of this.clocks) clock.setDrift(0, this.#nowMs);
  }

  // ------------------------------------------------------------ the loop

  /**
   * Steps until `isOver` says so, nothing is left but upkeep for `settleMs`, or the limit is
   * reached.
   */
  async run(
    isOver: () => boolean,
    limitMs: number,
    settleMs: number,
  ): Promise<"over" | "idle" | "limit"> {
    this.#foregroundMs = this.#nowMs;
    while (!isOver()) {
      if (this.#schedule.dueCount() === 0) {
        const nextMs = this.#schedule.nextMs();
        if (nextMs === Infinity) return "idle";
        if (nextMs - this.#foregroundMs > settleMs && !this.#schedule.hasForeground()) {
          return "idle";
        }
        if (nextMs > limitMs) return "limit";
        this.#nowMs = Math.max(this.#nowMs, nextMs);
        this.#schedule.advance(this.#nowMs);
      }
      this.#step();
      if (this.#userCodeMayRun) await turn();
    }
    return "over";
  }

  #step(): void {
    const step = this.#schedule.take(this.#choose(this.#schedule.dueCount()));
    this.#userCodeMayRun = false;
    if (step === undefined || !step.isLive()) return;
    const life = this.#lives.get(step.where);
    if (life !== undefined && this.isPaused(life.node)) {
      this.#deferred[life.node]?.push(step);
      return;
    }
    const { kind, where, what, causeId } = step;
    if (step.isUpkeep !== true) this.#foregroundMs = this.#nowMs;
    this.#stepId = this.trace.add({ atMs: this.#nowMs, kind, where, what, causeId });
    this.#userCodeMayRun = life?.hasUserCode ?? true;
    step.run();
  }

  #choose(count: number): number {
    if (count <= 1) return 0;
    const given = this.#choices[this.#choiceCount];
    this.#choiceCount += 1;
    if (given !== undefined) return given % count;
    return this.#choicesOnly ? 0 : this.#chooser.below(count);
  }
}

/** Messages whose sending is a state that few runs reach. */
const rareMessages: Partial<Record<MessageType, string>> = {
  leaseSpilled: "leaseSpilled",
  leaseRevoked: "leaseRevoked",
  nodeDied: "nodeDied",
  takenBack: "takenBack",
  abandonActor: "actorAbandoned",
};

function isUpkeepFrame(type: MessageType | null, text: string): boolean {
  return type === null ? text.startsWith("ack ") : upkeepTypes.includes(type);
}

/** One real turn of the event loop: every microtask of user code has run when it is over. */
export function turn(): Promise<void> {
  return new Promise((resolve) => void realSetImmediate(resolve));
}
