/**
 * What Effect runs on in a simulated process: its fibers are steps of the world, its clock is the
 * one of the machine, its chance comes from the seed.
 *
 * Life: made with a process → fibers of its services go on in steps of the world, while the
 *       process lives and its machine does not stand still → released once no step will come any
 *       more: what is left then ends by itself.
 */
import * as Clock from "effect/Clock";
import * as Context from "effect/Context";
import * as Duration from "effect/Duration";
import * as Effect from "effect/Effect";
import * as Random from "effect/Random";
import * as Scheduler from "effect/Scheduler";
import type { Prng } from "#engine/common/prng.ts";
import type { NodeClock } from "./node-clock.ts";
import type { Life, World } from "#sim/world/world.ts";

/** One operation of a fiber in so many gives way to others: at any of them a fault may come. */
const yieldOneIn = 16;
const nanosPerMs = 1e6;

// All its steps are upkeep: loops of services never end, and what they do for others is messages.

export class WorldEffect {
  /** For `Effect.run*With`: Scheduler, Clock and Random. */
  readonly context: Context.Context<never>;
  readonly #scheduler: WorldScheduler;

  constructor(world: World, life: Life) {
    const random = world.random.split(`effect ${life.name}`);
    this.#scheduler = new WorldScheduler(world, life, random.split("yield"));
    this.context = Context.empty().pipe(
      Context.add(Scheduler.Scheduler, this.#scheduler),
      Context.add(Clock.Clock, new WorldClock(world, life)),
      Context.add(Random.Random, {
        nextIntUnsafe: () => Math.floor((random.float() - 0.5) * 2 * Number.MAX_SAFE_INTEGER),
        nextDoubleUnsafe: () => random.float(),
      }),
    ) as Context.Context<never>;
  }

  /** Its services are there: from now on their fibers give way to others. */
  onBuilt(): void {
    this.#scheduler.isPreemptive = true;
  }

  /** The world takes no more steps: what fibers have left to do, they do at once. */
  release(): void {
    this.#scheduler.release();
  }
}

class WorldScheduler implements Scheduler.Scheduler {
  readonly executionMode = "async";
  readonly #world: World;
  readonly #life: Life;
  readonly #random: Prng;
  readonly #waiting = new Set<() => void>();
  /** Not while services are built: a node is there within one step. */
  isPreemptive = false;
  #isReleased = false;

  constructor(world: World, life: Life, random: Prng) {
    this.#world = world;
    this.#life = life;
    this.#random = random;
  }

  shouldYield(): boolean {
    return this.isPreemptive && this.#random.below(yieldOneIn) === 0;
  }

  makeDispatcher(): Scheduler.SchedulerDispatcher {
    return { scheduleTask: (task) => this.#schedule(task), flush: () => {} };
  }

  release(): void {
    this.#isReleased = true;
    this.isPreemptive = false;
    for (const task of this.#waiting) queueMicrotask(task);
    this.#waiting.clear();
  }

  #schedule(task: () => void): void {
    if (this.#isReleased) {
      queueMicrotask(task);
      return;
    }
    this.#waiting.add(task);
    const run = (): void => {
      if (this.#waiting.delete(task)) task();
    };
    this.#world.after(this.#life, 0, { kind: "fiber", what: "", isUpkeep: true, run });
  }
}

class WorldClock implements Clock.Clock {
  readonly #world: World;
  readonly #life: Life;
  readonly #clock: NodeClock;
  readonly currentTimeMillis = Effect.sync(() => this.currentTimeMillisUnsafe());
  readonly currentTimeNanos = Effect.sync(() => this.currentTimeNanosUnsafe());
  readonly monotonicTimeNanos = Effect.sync(() => this.monotonicTimeNanosUnsafe());

  constructor(world: World, life: Life) {
    this.#world = world;
    this.#life = life;
    this.#clock = world.clocks[life.node] as NodeClock;
  }

  currentTimeMillisUnsafe(): number {
    return this.#clock.wallMs(this.#world.nowMs());
  }

  currentTimeNanosUnsafe(): bigint {
    return BigInt(this.currentTimeMillisUnsafe() * nanosPerMs);
  }

  monotonicTimeNanosUnsafe(): bigint {
    return BigInt(Math.round(this.#ownMs() * nanosPerMs));
  }

  sleep(duration: Duration.Duration): Effect.Effect<void> {
    const ms = Duration.toMillis(duration);
    if (ms <= 0) return Effect.yieldNow;
    if (ms === Infinity) return Effect.never;
    return Effect.callback<void>((resume) => {
      let isWanted = true;
      this.#world.atOwnTime(this.#life, this.#ownMs() + ms, {
        kind: "sleep",
        what: `${ms} ms`,
        isLive: () => isWanted,
        isUpkeep: true,
        run: () => resume(Effect.void),
      });
      return Effect.sync(() => {
        isWanted = false;
      });
    });
  }

  #ownMs(): number {
    return this.#clock.monotonicMs(this.#world.nowMs());
  }
}
