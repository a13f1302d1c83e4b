/** Timers, clocks and randomness of one simulated process, as its user code meets them. */
import type { Prng } from "#engine/common/prng.ts";
import type { NodeClock } from "./node-clock.ts";
import type { VirtualProcess } from "./virtual-globals.ts";
import type { Life, World } from "./world.ts";

export class UserTimers implements VirtualProcess {
  readonly random: Prng;
  readonly #world: World;
  readonly #life: Life;
  readonly #clock: NodeClock;
  readonly #pending = new Set<number>();
  #nextId = 1;

  constructor(world: World, life: Life) {
    this.#world = world;
    this.#life = life;
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
        callback();
      },
    });
    return id;
  }

  clearTimer(id: number): void {
    this.#pending.delete(id);
  }

  /** A timer is early by no clock: that of its machine may be slow. */
  #worldDelayMs(delayMs: number): number {
    if (delayMs === 0) return 0;
    const nowMs = this.#world.nowMs();
    return this.#clock.worldMsAt(this.#clock.monotonicMs(nowMs) + delayMs) - nowMs;
  }
}
