/** What a simulation is asked to do and what its report owes: nothing is ignored, nothing hangs. */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { get } from "#api/get.ts";
import { remote } from "#api/remote.ts";
import { choices, faults, simOptions } from "#sim/fast-check.ts";
import { builtKinds, type Fault, hostileKinds } from "#sim/faults/fault.ts";
import { runSet } from "#sim/run-set/run-set.ts";
import { simulate } from "#sim/simulate.ts";
import type { SimOptions, SimReport, Simulation } from "#sim/options.ts";

const nothing = (): Promise<void> => Promise.resolve();

describe("a run", () => {
  test("names the functions a program makes in it as in every other run of its seed", async () => {
    const program = (): Promise<number> => get(remote((n: number) => n + 1).remote(1));
    const [first, second] = [
      await simulate({ seed: 4 }, program),
      await simulate({ seed: 4 }, program),
    ];
    expect(first.check()).toBe(2);
    expect(second.check()).toBe(2);
    expect(second.trace()).toBe(first.trace());
    expect(second.traceHash).toBe(first.traceHash);
  });

  test("that rejects with nothing has failed", async () => {
    const report = await simulate({ seed: 1 }, () => Promise.reject());
    expect("error" in report).toBe(true);
    expect(() => report.check()).toThrow(/the program failed: undefined/);
  });

  test("tells the options it was given, whatever becomes of them meanwhile", async () => {
    const hold: Fault = { at: 1, kind: "hold", from: 0, to: 1, forMs: 5 };
    const options = { seed: 2, nodes: [{ numCpus: 1 }, {}], faults: [hold], choices: [0, 1] };
    const kept = JSON.stringify(options);
    const report = await simulate(options, async (sim) => {
      options.seed = 3;
      options.nodes[0] = { numCpus: 8 };
      options.nodes.pop();
      options.choices.push(9);
      Object.assign(hold, { at: 700, forMs: 700 });
      await sim.sleep(10);
    });
    expect(report.replay.startsWith(`simulate(${kept}, program) // `)).toBe(true);
  });

  test("of a function says that no shell has a line for it, and still runs again", async () => {
    const program = (sim: Simulation): Promise<void> => sim.sleep(1);
    const report = await simulate({ seed: 3, init: { namespace: "a\nb" } }, program);
    expect(report.replay).toMatch(/^simulate\(.*\) \/\/ no shell line: .* replay FILE MODULE$/);
    const runAgain = new Function("simulate", "program", `return ${report.replay}`) as (
      ...given: unknown[]
    ) => Promise<SimReport<void>>;
    expect((await runAgain(simulate, program)).traceHash).toBe(report.traceHash);
  });
});

describe("when the world heals no fault acts any more, also one that had begun", () => {
  const slow = { kind: "slowLink", delayMs: 100_000 } as const;
  const sides = { from: 0, to: 1 };
  const forMs = 200_000;
  const begun: readonly [string, Fault][] = [
    ["a hold", { at: 0, kind: "hold", ...sides, forMs }],
    ["a hold inside of a node", { at: 0, kind: "hold", from: 0, to: 0, forMs }],
    ["a slow link", { at: 0, ...slow, ...sides, forMs }],
    ["a narrow link", { at: 0, ...slow, ...sides, delayMs: 0, bytesPerMs: 0.001, forMs }],
    ["a pause", { at: 0, kind: "pause", node: 1, forMs }],
    ["a partition", { at: 0, kind: "partition", from: [0], to: [1], forMs: 4_000 }],
  ];
  const there = remote((n: number) => n).options({ resources: { there: 1 } });
  const here = remote((n: number) => n).options({ resources: { here: 1 } });
  const nodes = [{ resources: { here: 1 } }, { resources: { there: 1 } }];

  test.each(begun)("%s", async (_, fault) => {
    const faults = [{ ...fault, at: 100 }];
    const report = await simulate({ seed: 2, nodes, faults, healAtMs: 1_000 }, async (sim) => {
      await get(there.remote(1));
      await sim.sleep(200 - sim.nowMs);
      const value = await get([there.remote(7), here.remote(8)]);
      return { value, endedMs: sim.nowMs };
    });
    const { value, endedMs } = report.check();
    expect(value).toEqual([7, 8]);
    expect(endedMs).toBeGreaterThan(1_000);
    expect(endedMs).toBeLessThan(3_000);
  });

  test.each(begun)("%s, at the end of the program", async (_, fault) => {
    const report = await simulate({ seed: 2, nodes, faults: [fault] }, async (sim) => {
      void there.remote(7);
      await sim.sleep(100);
    });
    report.check();
    expect(report.virtualMs).toBeLessThan(20_000);
  });
});

describe("bad input is told", () => {
  const refused: readonly [string, Partial<Record<keyof SimOptions, unknown>>, RegExp][] = [
    ["a choice that is no integer", { choices: [0, 1.5] }, /choices\[1\] must be an integer/],
    ["choices that are no list", { choices: 3 }, /choices must be a list/],
    ["choicesOnly that is no boolean", { choicesOnly: 1 }, /choicesOnly must be a boolean/],
    ["a world that never heals", { healAtMs: Infinity }, /healAtMs must be a finite number/],
    ["a run without end", { maxVirtualMs: Infinity }, /maxVirtualMs must be a finite number/],
    [
      "a link without end in a plan",
      {
        faults: [
          { at: 0, kind: "slowLink", from: 0, to: 1, delayMs: 0, bytesPerMs: Infinity, forMs: 1 },
        ],
      },
      /faults\[0\]\.bytesPerMs must be a finite number/,
    ],
    ["a node that is nothing", { nodes: [{}, null] }, /nodes\[1\] must be an object, got null/],
    ["a node that is a number", { nodes: [2] }, /nodes\[0\] must be an object, got/],
    ["no nodes", { nodes: [] }, /nodes must be/],
    ["a misspelt field of chaos", { chaos: { kind: ["pause"] } }, /chaos has no field kind/],
    ["kinds that are no list", { chaos: { kinds: "pause" } }, /chaos\.kinds must be a list/],
    [
      "a kind that every object has",
      { faults: [{ at: 0, kind: "toString" }] },
      /unknown kind "toString"/,
    ],
    [
      "a fault without end",
      { faults: [{ at: 0, kind: "pause", node: 0, forMs: Infinity }] },
      /faults\[0\]\.forMs must be a finite number/,
    ],
    [
      "a clock that leaps",
      { faults: [{ at: 0, kind: "clockDrift", node: 0, ppm: 1e9, forMs: 1 }] },
      /faults\[0\]\.ppm must be above -1000000, at most 1000000/,
    ],
    [
      "a partition of a node from itself",
      { faults: [{ at: 0, kind: "partition", from: [0, 2], to: [1, 2], forMs: 1 }] },
      /faults\[0\]: a partition is between nodes, and node 2 is on both sides/,
    ],
    [
      "a lossy link of a node to itself",
      { faults: [{ at: 0, kind: "drop", from: 1, to: 1, probability: 1, forMs: 1 }] },
      /faults\[0\]: drop acts between two nodes, and from and to are the same/,
    ],
    [
      "a cut link where there is none",
      {
        nodes: 1,
        faults: [{ at: 0, kind: "rpc", method: "pushTask", instant: "replyLost", count: 1 }],
      },
      /faults\[0\]: rpc cuts links between nodes, and the world has one node/,
    ],
  ];
  const alsoRefused: typeof refused = [
    ["a seed that is no safe integer", { seed: 2 ** 60 }, /seed must be a safe integer/],
    ["a misspelt field of a node", { nodes: [{}, { cpus: 1 }] }, /nodes\[1\] has no option "cpus"/],
  ];
  test.each([...refused, ...alsoRefused])("%s", async (_, options, message) => {
    await expect(simulate({ seed: 1, ...options } as SimOptions, nothing)).rejects.toThrow(message);
  });

  test("no program", async () => {
    const run = simulate({ seed: 1 }, undefined as unknown as () => Promise<void>);
    await expect(run).rejects.toThrow(
      /simulate takes a program: it must be an async function, got undefined/,
    );
  });

  test("a second world inside of the first", async () => {
    const report = await simulate({ seed: 1 }, async () => {
      const inside = simulate({ seed: 2 }, nothing);
      await expect(inside).rejects.toThrow(/another simulation is running in this thread: /);
    });
    report.check();
  });

  test("a second world in one thread, beside one that does not end", async () => {
    let isOver = false;
    const first = simulate({ seed: 1, maxVirtualMs: 1e9 }, async (sim) => {
      while (!isOver) await sim.sleep(1);
    });
    await expect(simulate({ seed: 3 }, nothing)).rejects.toThrow(
      /has not ended within 2 s: await its report first.*interruptAfterTimeLimit.*maxVirtualMs/,
    );
    isOver = true;
    (await first).check();
    (await simulate({ seed: 3 }, nothing)).check();
  });

  test("faults by hand of what is not there, by the name of the call", async () => {
    const report = await simulate({ seed: 1 }, async (sim) => {
      expect(() => sim.crash(9)).toThrow(/^sim\.crash\.node must be a node, 0 to 2, got 9/);
      expect(() => sim.crash(0)).toThrow(/^sim\.crash: node 0 hosts the GCS/);
      expect(() => sim.partition([0], [7])).toThrow(/^sim\.partition\.to\[0\] must be a node/);
      expect(() => sim.partition([0], [0])).toThrow(
        /^sim\.partition: a partition is between nodes, and node 0 is on both/,
      );
    });
    report.check();
  });

  test("arbitraries of what is not there, in words of their own", () => {
    const unknown = { maxFault: 1, max: 1, hostile: true } as object;
    expect(() => faults(unknown)).toThrow(/faults has no option "maxFault"; it has: nodes/);
    expect(() => choices(unknown)).toThrow(/choices has no option "maxFault"; it has: maxLength/);
    expect(() => simOptions(unknown)).toThrow(/simOptions has no option "maxFault"; it has: nodes/);
    for (const nodes of [0, 1.5, [{}] as unknown as number]) {
      expect(() => faults({ nodes })).toThrow(/faults: nodes must be an integer/);
      expect(() => simOptions({ nodes })).toThrow(/simOptions: nodes must be an integer/);
    }
    expect(() => faults({ maxFaults: -1 })).toThrow(/faults: maxFaults must be an integer/);
    expect(() => faults({ withinMs: Number.NaN })).toThrow(/faults: withinMs must be/);
    expect(() => faults({ withinMs: -1 })).toThrow(RangeError);
    expect(() => faults({ kinds: ["crashGcs"] })).toThrow(
      /crashGcs is specified but not built yet/,
    );
    expect(() => faults({ kinds: "pause" as unknown as [] })).toThrow(/kinds must be a list/);
  });

  test("sleeps without end, and faults after the world has healed", async () => {
    const report = await simulate({ seed: 1 }, async (sim) => {
      expect(() => sim.sleep(Number.NaN)).toThrow(/sim\.sleep takes finite virtual ms/);
      expect(() => sim.sleep(-1)).toThrow(RangeError);
      await sim.sleep(1);
      sim.heal();
      expect(() => sim.crash(1)).toThrow(/crash after the world has healed/);
      expect(() => sim.partition([0], [1])).toThrow(/partition after the world has healed/);
    });
    report.check();
  });

  test.each([{ seedCount: 0 }, { seedCount: 1.5 }, { seedCount: 1, workers: 0 }])(
    "a run set of %j",
    async (counts) => {
      const set = runSet({ files: ["absent.ts"], firstSeed: 0, ...counts });
      await expect(set).rejects.toThrow(/must be a whole number of at least 1/);
    },
  );

  test("lengths of lists of choices", () => {
    expect(() => choices({ maxLength: Number.NaN })).toThrow(RangeError);
    expect(() => choices({ maxLength: -1 })).toThrow(RangeError);
  });
});

describe("a run that nobody awaits any more", () => {
  const sleepy = async (sim: Simulation): Promise<void> => {
    for (let i = 0; i < 200; i++) await sim.sleep(1);
  };

  test("is waited for by those that come next, one after another", async () => {
    const ended: number[] = [];
    const first = simulate({ seed: 1 }, sleepy).then(() => ended.push(1));
    const others = [2, 3].map(async (seed) => {
      (await simulate({ seed }, sleepy)).check();
      ended.push(seed);
    });
    await Promise.all([first, ...others]);
    expect(ended).toEqual([1, 2, 3]);
  });

  test("as fast-check leaves one when its time is up", async () => {
    let isReleased = false;
    let endedCount = 0;
    const property = fc.asyncProperty(fc.nat(), async (seed) => {
      const options = { seed, maxVirtualMs: 1e9 };
      await simulate(options, async (sim) => {
        while (!isReleased) await sim.sleep(1);
      });
      endedCount += 1;
    });
    await fc.check(property, { interruptAfterTimeLimit: 200 });
    expect(endedCount).toBe(0);
    const next = simulate({ seed: 1 }, nothing);
    isReleased = true;
    (await next).check();
    expect(endedCount).toBe(1);
  });
});

test("faults and options given by hand shrink as drawn ones do", () => {
  const shrinks = <T>(arbitrary: fc.Arbitrary<T>, value: T): T[] => {
    expect(arbitrary.canShrinkWithoutContext(value)).toBe(true);
    return [...arbitrary.shrink(value, undefined)].map(({ value: smaller }) => smaller);
  };
  const kinds = [...builtKinds, ...hostileKinds];
  for (const kind of kinds) {
    const plans = faults({ kinds: [kind] });
    for (const plan of fc.sample(plans, { numRuns: 50, seed: 1 })) {
      if (plan.length > 0) expect(shrinks(plans, plan)).toContainEqual([]);
    }
  }
  const partition: Fault = { at: 1.5, kind: "partition", from: [1], to: [0, 2], forMs: 400 };
  const drop: Fault = { at: 0, kind: "drop", from: 2, to: 1, probability: 0.25, forMs: 1 };
  const plans = faults();
  expect(shrinks(plans, [partition])).toContainEqual([{ ...partition, at: 0 }]);
  expect(shrinks(plans, [drop])).toContainEqual([{ ...drop, probability: 0 }]);
  const options = { seed: 1, nodes: 3, faults: [partition, drop], choices: [0, 2] };
  expect(shrinks(simOptions(), options)).toContainEqual({ ...options, faults: [drop] });
  const others: Fault[] = [
    { ...partition, to: [0] },
    { ...drop, to: 2 },
    { ...drop, probability: 1 / 3 },
  ];
  for (const other of others) expect(plans.canShrinkWithoutContext([other])).toBe(false);
});

test("options with a hostile kind are those of a hostile world", () => {
  for (const options of fc.sample(simOptions({ kinds: ["pause", "duplicate"] }), 5)) {
    expect(options.hostile).toBe(true);
  }
  for (const options of fc.sample(simOptions({ kinds: ["pause"] }), 5)) {
    expect(options.hostile).toBeUndefined();
  }
});
