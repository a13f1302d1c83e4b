/** A world that cuts, loses, doubles, turns round, replays and separates, on its own clock. */
import { expect } from "vitest";
import { DeadlineQueue } from "#engine/common/deadline-queue.ts";
import { Prng } from "#engine/common/prng.ts";
import type {
  Fate,
  Flight,
  LinkStep,
  NetworkWorld,
  Place,
} from "#transports/simulated/network-world.ts";

/** Harm of any kind, drawn, until it heals. */
export class HarmfulWorld implements NetworkWorld {
  readonly stepId = 0;
  readonly linkTimeoutMs = 5_000;
  readonly linkWindowBytes: number;
  readonly fates = new Set<Fate>();
  resumedCount = 0;
  resentCount = 0;
  heals = false;
  /** Befalls the next frame, and no other is harmed. */
  nextFate: Fate | null = null;
  /** Of every frame; drawn when 0. */
  fixedDelayMs = 0;
  readonly #random: Prng;
  readonly #harms: readonly Fate[];
  readonly #steps = new DeadlineQueue<() => void>();
  readonly #blocked = new Map<string, number>();
  #nowMs = 0;

  constructor(seed: number, harms: readonly Fate[], linkWindowBytes = 1 << 20) {
    this.linkWindowBytes = linkWindowBytes;
    this.#random = new Prng(seed);
    this.#harms = harms;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  delayMs(): number {
    return this.fixedDelayMs || 0.1 + this.#random.float() * 3;
  }

  faultDelayMs(): number {
    return 0;
  }

  deliverAt(atMs: number, flight: Flight): void {
    expect(atMs).toBeLessThan(Infinity);
    this.#steps.add(atMs, () => flight.arrive());
  }

  linkStep({ isClosed }: Place, delayMs: number, { run }: LinkStep): void {
    if (!isClosed) this.#steps.add(this.#nowMs + delayMs, run);
  }

  draw(): number {
    return this.#random.float();
  }

  blockedUntilMs(from: number, to: number): number {
    return this.heals ? 0 : (this.#blocked.get(`${from}>${to}`) ?? 0);
  }

  isPaused(): boolean {
    return !this.heals && this.nextFate === null && this.#random.below(5) === 0;
  }

  fateOf(): Fate {
    if (this.heals) return "pass";
    if (this.nextFate !== null) return this.#take(this.nextFate);
    if (this.#random.below(4) > 0) return "pass";
    const fate = this.#harms[this.#random.below(this.#harms.length)] ?? "pass";
    this.fates.add(fate);
    return fate;
  }

  #take(fate: Fate): Fate {
    this.nextFate = "pass";
    return fate;
  }

  cutsBehind(): boolean {
    return !this.heals && this.nextFate === null && this.#random.below(10) === 0;
  }

  onSessionResumed(): void {
    this.resumedCount += 1;
  }

  onRoomTold(): void {}

  onResent(): void {
    this.resentCount += 1;
  }

  separate(from: number, to: number, forMs: number): void {
    this.#blocked.set(`${from}>${to}`, this.#nowMs + forMs);
  }

  /** Lets happen what is due within a time. */
  run(forMs: number): void {
    const untilMs = this.#nowMs + forMs;
    for (;;) {
      const nextMs = this.#steps.nextMs();
      if (nextMs > untilMs) break;
      this.#nowMs = Math.max(this.#nowMs, nextMs);
      this.#steps.takeDue(this.#nowMs)?.();
    }
    this.#nowMs = untilMs;
  }
}
