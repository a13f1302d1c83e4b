/** Timers, clocks, randomness and exit of one simulated process, as its user code meets them. */
import type { Prng } from "#engine/common/prng.ts";
import { currentContext } from "#api/task-context.ts";
import type { Aftermath } from "./aftermath.ts";
import type { NodeClock } from "#sim/cluster/node-clock.ts";
import type { UserContext } from "./user-context.ts";
import { ProcessExited } from "#sim/virtual/exit.ts";
import type { VirtualProcess } from "#sim/virtual/virtual-globals.ts";
import type { Life, World } from "#sim/world/world.ts";

export interface UserTimersRun {
  readonly world: World;
  readonly aftermath: Aftermath;
  /** A callback threw: nobody is left to catch it. */
  onThrown(error: unknown, context: UserContext): void;
}

export class UserTimers implements VirtualProcess {
  readonly random: Prng;
  exitCode: number | string | null | undefined = undefined;
  readonly #run: UserTimersRun;
  readonly #life: Life;
  readonly #clock: NodeClock;
  readonly #pending = new Set<number>();
  readonly #exit: (code: number) => void;
  #nextId = 1;

  constructor(run: UserTimersRun, life: Life, exit: (code: number) => void) {
    const { world } = run;
    this.#run = run;
    this.#life = life;
    this.#exit = exit;
    this.#clock = world.clocks[life.node] as NodeClock;
    this.random = world.random.split(`user ${life.name}`);
  }

  wallMs(): number {
    return this.#clock.wallMs(this.#run.world.nowMs());
  }

  monotonicMs(): number {
    return this.#clock.monotonicMs(this.#run.world.nowMs());
  }

  /** It is early by no clock: that of its machine may be slow. */
  setTimer(delayMs: number, callback: () => void, hasRef: () => boolean = alwaysRef): number {
    const id = this.#nextId;
    this.#nextId += 1;
    this.#pending.add(id);
    const { world, aftermath } = this.#run;
    const context = currentContext();
    const step = {
      kind: "timer",
      what: `${delayMs} ms`,
      isLive: () => this.#pending.has(id) && !aftermath.isDropped(context),
      isUpkeep: () => !hasRef() || !aftermath.waitsForTimers(),
      run: () => {
        this.#pending.delete(id);
        try {
          callback();
        } catch (error) {
          if (!(error instanceof ProcessExited)) this.#run.onThrown(error, context);
        }
      },
    };
    if (delayMs === 0) world.after(this.#life, 0, step);
    else world.atOwnTime(this.#life, this.monotonicMs() + delayMs, step);
    return id;
  }

  clearTimer(id: number): void {
    this.#pending.delete(id);
  }

  exit(code: number): void {
    this.#exit(code);
  }
}

const alwaysRef = (): boolean => true;
