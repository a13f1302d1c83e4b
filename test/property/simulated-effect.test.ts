/** Effect in a world: fibers are steps, sleep takes virtual time, chance comes from the seed. */
import * as Clock from "effect/Clock";
import * as Effect from "effect/Effect";
import * as Fiber from "effect/Fiber";
import * as Random from "effect/Random";
import * as Schedule from "effect/Schedule";
import { describe, expect, test } from "vitest";
import { type Life, World } from "#sim/world/world.ts";
import { WorldEffect } from "#sim/cluster/world-effect.ts";

function makeWorld(seed: number) {
  const world = new World({ seed, nodeCount: 1, choices: [], choicesOnly: false });
  const life: Life = { name: "head", node: 0, hasUserCode: false, isAlive: true };
  world.addLife(life);
  const effect = new WorldEffect(world, life);
  effect.onBuilt();
  return { world, life, effect };
}

/** A service of two loops that draw and write down. */
function service(log: (line: string) => void): Effect.Effect<void> {
  const loop = (name: string): Effect.Effect<unknown> =>
    Effect.gen(function* () {
      const atMs = yield* Clock.currentTimeMillis;
      const draw = yield* Random.nextIntBetween(0, 1_000);
      log(`${name} ${atMs} ${draw}`);
    }).pipe(Effect.repeat(Schedule.spaced(1_000)), Effect.forkChild);
  return Effect.gen(function* () {
    yield* loop("a");
    yield* loop("b");
    yield* Effect.sleep(3_600_500);
    log("end");
  });
}

async function lines(seed: number): Promise<string[]> {
  const { world, effect } = makeWorld(seed);
  const log: string[] = [];
  const fiber = Effect.runForkWith(effect.context)(service((line) => void log.push(line)));
  const isOver = (): boolean => fiber.pollUnsafe() !== undefined;
  expect(await world.run(isOver, Infinity, Infinity)).toBe("over");
  expect(world.nowMs()).toBe(3_600_500);
  return log;
}

describe("services", () => {
  test("an hour of sleep is an hour of the world only, and the seed gives one order", async () => {
    const first = await lines(1);
    expect(first.at(-1)).toBe("end");
    expect(first.length).toBe(2 * 3_601 + 1);
    expect(await lines(1)).toEqual(first);
    expect(await lines(2)).not.toEqual(first);
  });

  test("a fiber of a process that has ended goes no further, and runs no finalizer", async () => {
    const { world, life, effect } = makeWorld(3);
    const seen: string[] = [];
    const dying = Effect.sleep(10).pipe(
      Effect.andThen(Effect.sync(() => void seen.push("woke"))),
      Effect.ensuring(Effect.sync(() => void seen.push("finalizer"))),
    );
    Effect.runForkWith(effect.context)(dying);
    life.isAlive = false;
    expect(await world.run(() => false, Infinity, Infinity)).toBe("idle");
    expect(seen).toEqual([]);
  });

  test("a released process ends its fibers without the world", async () => {
    const { effect } = makeWorld(4);
    const seen: string[] = [];
    const lasting = Effect.never.pipe(Effect.ensuring(Effect.sync(() => void seen.push("ended"))));
    const fiber = Effect.runForkWith(effect.context)(lasting);
    effect.release();
    await Effect.runPromiseWith(effect.context)(Fiber.interrupt(fiber));
    expect(seen).toEqual(["ended"]);
  });
});
