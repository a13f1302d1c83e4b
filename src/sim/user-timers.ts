/** Timers, clocks, randomness and exit of one simulated process, as its user code meets them. */
import type { Prng } from "#engine/common/prng.ts";
import type { NodeClock } from "./node-clock.ts";
import { ProcessExited } from "./virtual/exit.ts";
import type { VirtualProcess } from "./virtual-globals.ts";
import type { Life, World } from "./world.ts";

export class UserTimers implements VirtualProcess {
  readonly random: Prng;
  readonly #world: World;
  readonly #life: Life;
  readonly #clock: NodeClock;
  readonly #pending = new Set<number>();
  readonly #exit: (code: number) => void;
  #nextId = 1;

  constructor(world: World, life: Life, exit: (code: number) => void) {
    this.#world = world;
    this.#life = life;
    this.#exit = exit;
    this.#clock = world.clocks[life.node] as NodeClock;
    this.random = world.random.split(`user ${life.name}`);
  }

  wallMs(): number {
    return this.#clock.wallMs(this.#world.nowMs());
  }

  monotonicMs(): number {
    return this.#clock.monotonicMs(this.#world.nowMs());
  }

  setTimer(delayMs: number, callback: () => void, hasRef?: () => boolean): number {
    const id = this.#nextId;
    this.#nextId += 1;
    this.#pending.add(id);
    this.#world.after(this.#life, this.#worldDelayMs(delayMs), {
      kind: "timer",
      what: `${delayMs} ms`,
      isLive: () => this.#pending.has(id),
      isUpkeep: hasRef === undefined ? false : () => !hasRef(),
      run: () => {
        this.#pending.delete(id);
        try {
          callback();
        } catch (error) {
          if (!(error instanceof ProcessExited)) throw error;
        }
      },
    });
    return id;
  }

  clearTimer(id: number): void {
    this.#pending.delete(id);
  }

  exit(code: number): void {
    this.#exit(code);
  }

  /** A timer is early by no clock: that of its machine may be slow. */
  #worldDelayMs(delayMs: number): number {
    if (delayMs === 0) return 0;
    const nowMs = this.#world.nowMs();
    return this.#clock.worldMsAt(this.#clock.monotonicMs(nowMs) + delayMs) - nowMs;
  }
}
