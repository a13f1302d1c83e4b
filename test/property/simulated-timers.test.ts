/** Timers of user code: when they fire, how long a world waits for them, and whose they are. */
import { describe, expect, test } from "vitest";
import { get } from "#api/get.ts";
import { remote } from "#api/remote.ts";
import type { SimOptions, SimReport, Simulation } from "#sim/options.ts";
import { simulate } from "#sim/simulate.ts";

const thisFile = "simulated-timers.test.ts";
const hourMs = 3_600_000;
/** By then idle workers have ended as well; a world that is waited for takes longer. */
const restMs = 100_000;

function run<R>(
  program: (sim: Simulation) => Promise<R>,
  options: Partial<SimOptions> = {},
): Promise<SimReport<R>> {
  return simulate({ seed: 3, nodes: 1, ...options }, program);
}

class Beat {
  count = 0;

  constructor(everyMs: number) {
    setInterval(() => (this.count += 1), everyMs);
  }

  beats(): number {
    return this.count;
  }
}
const BeatActor = remote(Beat);

describe("what is left behind is not waited for", () => {
  test("by the program", async () => {
    const report = await run(async () => {
      setInterval(() => {}, 100);
      setTimeout(() => {}, hourMs);
      void new Promise((resolve) => setTimeout(resolve, hourMs));
      return 1;
    });
    expect(report.check()).toBe(1);
    expect(report.virtualMs).toBeLessThan(restMs);
  });

  test("by a task that has ended", async () => {
    const leaving = remote(function leaving() {
      setInterval(() => {}, 10);
      return setTimeout(() => {}, hourMs).hasRef();
    });
    const report = await run(() => get(leaving.remote()));
    expect(report.check()).toBe(true);
    expect(report.virtualMs).toBeLessThan(restMs);
  });

  test("by an actor, whose interval ticks while it lives", async () => {
    const report = await run(async (sim) => {
      const actor = BeatActor.remote(100);
      await get(actor.beats.remote());
      await sim.sleep(1_000);
      return get(actor.beats.remote());
    });
    expect(report.check()).toBe(10);
    expect(report.virtualMs).toBeLessThan(restMs);
  });

  test("nor when it keeps the cluster busy", async () => {
    const report = await run(async () => {
      const actor = BeatActor.remote(hourMs);
      setInterval(() => void actor.beats.remote(), 500);
      return get(actor.beats.remote());
    });
    expect(report.check()).toBe(0);
  });

  test("but a call that goes on gets what it waits for", async () => {
    let isOpen = false;
    const Gate = remote(
      class Gate {
        readonly opened = new Promise((resolve) => void setTimeout(resolve, 20_000));

        async pass(): Promise<void> {
          await this.opened;
          isOpen = true;
        }
      },
    );
    const report = await run(async () => void Gate.remote().pass.remote());
    report.check();
    expect(isOpen).toBe(true);
  });
});

describe("a timer fires when the clock of its machine says so", () => {
  /** Own and world time that a timer took. */
  const timed = (ms: number) => async (sim: Simulation) => {
    const [ownMs, worldMs] = [performance.now(), sim.nowMs];
    await new Promise((resolve) => void setTimeout(resolve, ms));
    return { own: performance.now() - ownMs, world: sim.nowMs - worldMs };
  };

  const drifts: readonly [string, number, number, Partial<SimOptions>][] = [
    ["once its drift has ended: fast", 900, 100, { faults: [drift(0, 1e6, 100)] }],
    ["once its drift has ended: slow", 1_050, 100, { faults: [drift(0, -5e5, 100)] }],
    ["when its drift begins", 900, 100, { faults: [drift(50, 1e6, 100)] }],
    ["once the world has healed", 900, 100, { faults: [drift(0, 1e6, hourMs)], healAtMs: 100 }],
  ];
  test.each(drifts)("%s", async (_, worldMs, __, options) => {
    const { own, world } = (await run(timed(1_000), options)).check();
    expect(own).toBeCloseTo(1_000, 6);
    expect(world).toBeCloseTo(worldMs, 1);
  });

  function drift(at: number, ppm: number, forMs: number) {
    return { at, kind: "clockDrift", node: 0, ppm, forMs } as const;
  }
});

describe("what a timer throws is the user's", () => {
  async function thrown(program: (sim: Simulation) => Promise<unknown>) {
    const { violations, result } = await run(program);
    expect(result).toBe("goes on");
    return violations.map(({ oracle, entity, message }) => ({ oracle, entity, message }));
  }
  const stack = String.raw`\n +at .*${thisFile}:\d+:\d+`;

  test("of the program, once however often it fires", async () => {
    const told = await thrown(async (sim) => {
      setInterval(() => {
        throw new RangeError("of the program");
      }, 10);
      await sim.sleep(100);
      return "goes on";
    });
    const message = `^unhandled exception in a timer of the program: RangeError: of the program`;
    expect(told).toEqual([
      { oracle: "17 hygiene", entity: "driver", message: expect.stringMatching(message + stack) },
    ]);
  });

  test("of a task, of an actor's method and of its constructor", async () => {
    const throwSoon = (text: string): void => {
      setTimeout(() => {
        throw new Error(text);
      }, 10);
    };
    const task = remote(async function task() {
      throwSoon("of a task");
    });
    class Careless {
      constructor() {
        throwSoon("of a constructor");
      }

      call(): void {
        throwSoon("of a method");
      }
    }
    const CarelessActor = remote(Careless);
    const told = await thrown(async (sim) => {
      await get(task.remote());
      await sim.sleep(100);
      await get(CarelessActor.remote().call.remote());
      await sim.sleep(100);
      return "goes on";
    });
    const texts = told.map(({ message }) => message.split("\n")[0]?.split("a timer of ")[1]);
    expect(texts.sort()).toEqual([
      "task Careless.call: Error: of a method",
      expect.stringMatching(/^task task .*: Error: of a task$/),
      expect.stringMatching(/^the constructor of Careless .*: Error: of a constructor$/),
    ]);
    const kinds = told.map(({ entity }) => /^[0-9a-f]+$/.test(entity));
    expect(kinds).toEqual([true, true, true]);
    for (const { message } of told) expect(message).toMatch(new RegExp(stack));
  });
});
