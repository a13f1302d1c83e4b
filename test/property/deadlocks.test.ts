/**
 * Cycles of tasks and calls that wait for each other end with a DeadlockError that names them, and
 * nothing else does. Whether a reported one is real is asked by the oracle of every run.
 */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DeadlockError, GetTimeoutError, TaskError } from "#api/errors.ts";
import { get, put, wait } from "#api/get.ts";
import { remote } from "#api/remote.ts";
import type { ActorHandle, ObjectRef } from "#api/types.ts";
import type { SimOptions, SimReport, Simulation } from "#sim/options.ts";
import { choices } from "#sim/fast-check.ts";
import { simulate } from "#sim/simulate.ts";

type Handle = ActorHandle<Visitor>;

/** An actor of one call at a time. */
class Visitor {
  #kept: ObjectRef<string> | null = null;

  /** Waits for the next actor of the list, which does the same. */
  async visit(next: readonly Handle[], ms = 0): Promise<string> {
    if (ms > 0) await sleep(ms);
    const [first, ...others] = next;
    return first === undefined ? "end" : get(first.visit.remote(others, ms));
  }

  /** As `visit`, for a while only. */
  async visitFor(next: readonly Handle[], timeoutMs: number): Promise<string> {
    const [first, ...others] = next;
    if (first === undefined) return "end";
    try {
      return await get(first.visit.remote(others), { timeoutMs });
    } catch (error) {
      return (error as Error).name;
    }
  }

  /** The victim goes on. */
  async visitAndCatch(next: readonly Handle[]): Promise<string> {
    try {
      return await this.visit(next);
    } catch (error) {
      return (error as Error).name;
    }
  }

  async visitAll(nexts: readonly (readonly Handle[])[]): Promise<string[]> {
    return Promise.all(nexts.map((next) => this.visit(next)));
  }

  async visitOr(next: readonly Handle[], other: { ref: ObjectRef<string> }): Promise<string> {
    return Promise.race([this.visit(next), get(other.ref)]);
  }

  async keep(box: { ref: ObjectRef<string> }): Promise<void> {
    this.#kept = box.ref;
  }

  async kept(): Promise<ObjectRef<string> | null> {
    return this.#kept;
  }
}

const Actor = remote(Visitor).options({ maxConcurrency: 1, numCpus: 0 });
const waitForKept = remote(async function waitForKept(actor: Handle): Promise<string> {
  for (;;) {
    const ref = await get(actor.kept.remote());
    if (ref !== null) return get(ref);
    await sleep(1);
  }
});
const slowly = remote(async function slowly(text: string, ms: number): Promise<string> {
  await sleep(ms);
  return text;
});
const first = remote(function first(text: string): string {
  return text;
});

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, ms));
}

async function run<R>(
  program: (sim: Simulation) => Promise<R>,
  options: Partial<SimOptions> = {},
): Promise<SimReport<R>> {
  const report = await simulate({ seed: 7, nodes: 1, ...options }, program);
  expect(report.violations).toEqual([]);
  return report;
}

/** The DeadlockError at the bottom of what the program ended with. */
async function deadlockOf(
  program: (sim: Simulation) => Promise<unknown>,
  options: Partial<SimOptions> = {},
): Promise<DeadlockError> {
  const report = await run(program, options);
  expect(report.reached).toContain("deadlockFound");
  let error = report.error;
  while (error instanceof TaskError) error = error.cause;
  expect(error).toBeInstanceOf(DeadlockError);
  return error as DeadlockError;
}

const actors = (count: number): Handle[] => Array.from({ length: count }, () => Actor.remote());

describe.each([{ nodes: 1 }, { nodes: 3 }])("a cycle is named, on $nodes nodes", ({ nodes }) => {
  const numCpus = 4;
  const init = { numCpus };

  test("two actors that call each other and wait", async () => {
    const error = await deadlockOf(
      () => {
        const [a, b] = actors(2) as [Handle, Handle];
        return get(a.visit.remote([b, a]));
      },
      { nodes, init },
    );
    const call = String.raw`task Visitor\.visit \([0-9a-f]{52}\) on worker [0-9a-f]{40} waits for `;
    const next = String.raw`task Visitor\.visit \([0-9a-f]{56}\): it `;
    expect(error.cycle).toHaveLength(2);
    expect(error.cycle[0]).toMatch(new RegExp(`^${call}${next}runs on worker [0-9a-f]{40}$`));
    expect(error.cycle[1]).toMatch(
      new RegExp(`^${call}${next}waits for its turn on worker .*, behind task Visitor.visit$`),
    );
    expect(error.message).toMatch(/^deadlock: .*maxConcurrency/s);
  });

  test("an actor that calls itself and waits", async () => {
    const error = await deadlockOf(
      () => {
        const [a] = actors(1) as [Handle];
        return get(a.visit.remote([a]));
      },
      { nodes, init },
    );
    expect(error.cycle).toHaveLength(1);
  });

  test("three in a ring, in any order", async () => {
    const error = await deadlockOf(
      async () => {
        const [a, b, c] = actors(3) as [Handle, Handle, Handle];
        const rings = [a.visit.remote([b], 5), b.visit.remote([c], 5), c.visit.remote([a], 5)];
        return get(rings);
      },
      { nodes, init },
    );
    expect(error.cycle).toHaveLength(3);
  });

  test("one that catches the error ends well, and with it the others", async () => {
    const report = await run(
      async (sim) => {
        const [a, b] = actors(2) as [Handle, Handle];
        const result = await get(a.visitAndCatch.remote([b, a]));
        return { result, tookMs: sim.nowMs };
      },
      { nodes, init },
    );
    const { result, tookMs } = report.check();
    expect(result).toBe("DeadlockError");
    expect(tookMs).toBeLessThan(1_000);
  });

  test("tasks that wait for each other's results by refs inside values", async () => {
    const error = await deadlockOf(
      async () => {
        const [a, b] = actors(2) as [Handle, Handle];
        const one = waitForKept.remote(a);
        const two = waitForKept.remote(b);
        await get([a.keep.remote({ ref: two }), b.keep.remote({ ref: one })]);
        return get([one, two]);
      },
      { nodes, init },
    );
    expect(
      error.cycle.map((line) =>
        line.replaceAll(/ ?\(deadlocks.*?\)|(?<= )[0-9a-f]{40,}| ?\([0-9a-f]{40,}\)/g, ""),
      ),
    ).toEqual([
      "task waitForKept on worker  waits for task waitForKept: it runs on worker ",
      "task waitForKept on worker  waits for task waitForKept: it runs on worker ",
    ]);
  });

  test("a task that waits for its own result", async () => {
    const error = await deadlockOf(
      async () => {
        const [a] = actors(1) as [Handle];
        const own = waitForKept.remote(a);
        await get(a.keep.remote({ ref: own }));
        return get(own);
      },
      { nodes, init },
    );
    expect(error.cycle).toHaveLength(1);
  });

  test("an argument that comes from the waiting task", async () => {
    const error = await deadlockOf(
      async () => {
        const [a] = actors(1) as [Handle];
        const one = waitForKept.remote(a);
        const two = first.remote(one);
        const three = first.remote(two);
        await get(a.keep.remote({ ref: three }));
        return get(one);
      },
      { nodes, init },
    );
    expect(
      error.cycle.map((line) =>
        line.replaceAll(/ ?\(deadlocks.*?\)|(?<= )[0-9a-f]{40,}| ?\([0-9a-f]{40,}\)/g, ""),
      ),
    ).toEqual([
      "task waitForKept on worker  waits for task first: it waits for its arguments",
      "task first waits for task first: it waits for its arguments",
      "task first waits for task waitForKept: it runs on worker ",
    ]);
  });

  test("a call that stands in line behind one whose argument waits for it", async () => {
    const error = await deadlockOf(
      async () => {
        const [a, b] = actors(2) as [Handle, Handle];
        const one = waitForKept.remote(a);
        // Has one as an argument, so it stands still, and what comes behind it too.
        const ahead = b.keep.remote({ ref: one });
        const blocked = b.visit.remote([], first.remote(one) as never);
        const behind = b.visit.remote([]);
        await get(ahead);
        await get(a.keep.remote({ ref: behind }));
        return get([one, blocked]);
      },
      { nodes, init },
    );
    expect(error.cycle.join("\n")).toMatch(/it waits behind task Visitor.visit of the same actor/);
  });

  test("one that waits for several at once, all of which wait for it", async () => {
    const error = await deadlockOf(
      () => {
        const [a, b, c] = actors(3) as [Handle, Handle, Handle];
        return get(
          a.visitAll.remote([
            [b, a],
            [c, a],
          ]),
        );
      },
      { nodes, init },
    );
    expect(error.cycle).toHaveLength(4);
  });
});

describe("no cycle, no error", () => {
  test("a chain that is slow", async () => {
    const report = await run(() => {
      const [a, b, c] = actors(3) as [Handle, Handle, Handle];
      return get(a.visit.remote([b, c], 3_000));
    });
    expect(report.check()).toBe("end");
    expect(report.reached).not.toContain("deadlockFound");
  });

  test("a cycle that a limit of time opens", async () => {
    const report = await run(() => {
      const [a, b] = actors(2) as [Handle, Handle];
      return get(a.visitFor.remote([b, a], 5_000));
    });
    expect(report.check()).toBe("GetTimeoutError");
    expect(report.reached).not.toContain("deadlockFound");
  });

  test("one of several calls at once comes back from outside of the cycle", async () => {
    const report = await run(async () => {
      const [a, b] = actors(2) as [Handle, Handle];
      return get(a.visitOr.remote([b, a], { ref: slowly.remote("slow", 4_000) }));
    });
    expect(report.check()).toBe("slow");
    expect(report.reached).not.toContain("deadlockFound");
  });

  test("wait for one of two, of which one waits for the task", async () => {
    const eitherOf = remote(async function eitherOf(actor: Handle): Promise<string> {
      const [ref] = [await keptOf(actor)];
      const timer = slowly.remote("slow", 4_000);
      const [ready] = await wait([ref, timer], { numReturns: 1 });
      return get(ready[0] as ObjectRef<string>);
    });
    const report = await run(async () => {
      const [a] = actors(1) as [Handle];
      const one = eitherOf.remote(a);
      await get(a.keep.remote({ ref: first.remote(one) }));
      return get(one);
    });
    expect(report.check()).toBe("slow");
    expect(report.reached).not.toContain("deadlockFound");
  });

  test("a wait for all of them is as good as get", async () => {
    const all = remote(async function all(actor: Handle): Promise<string> {
      const refs = [await keptOf(actor), put("there")];
      await wait(refs, { numReturns: 2 });
      return "all";
    });
    await deadlockOf(async () => {
      const [a] = actors(1) as [Handle];
      const one = all.remote(a);
      await get(a.keep.remote({ ref: one }));
      return get(one);
    });
  });

  test("resources that cannot come are a reason, not a deadlock", async () => {
    const huge = remote(() => 1).options({ name: "huge", numCpus: 64 });
    const outer = remote(function outer(): Promise<number> {
      return get(huge.remote());
    });
    const user = remote((n: number) => n).options({ name: "user" });
    const report = await simulate({ seed: 7, nodes: 1 }, () =>
      get(user.remote(outer.remote()), { timeoutMs: 20_000 }),
    );
    expect(report.error).toBeInstanceOf(GetTimeoutError);
    expect(report.reached).not.toContain("deadlockFound");
  });
});

async function keptOf(actor: Handle): Promise<ObjectRef<string>> {
  for (;;) {
    const ref = await get(actor.kept.remote());
    if (ref !== null) return ref;
    await sleep(1);
  }
}

describe("random walks over actors that wait for the next", () => {
  interface Walk {
    readonly steps: readonly number[];
    readonly ms: number;
    readonly afterMs: number;
  }
  const walk = fc.record({
    steps: fc.array(fc.nat(4), { minLength: 1, maxLength: 5 }),
    ms: fc.constantFrom(0, 2, 150),
    afterMs: fc.constantFrom(0, 1, 300),
  });
  const worlds = fc.record({
    seed: fc.noShrink(fc.nat()),
    nodes: fc.constantFrom(1, 2, 3),
    order: choices(),
    systemConfig: fc.record({
      deadlockProbeMs: fc.constantFrom(200, 20),
      pipelineDepthMax: fc.constantFrom(1024, 1),
      inlineBytesMax: fc.constantFrom(65_536, 64),
    }),
  });

  /** The calls of all walks, one after the other, and a cycle found for each. */
  const boundMs = 300 + 25 * 150 + 25 * 2_500;

  async function walks(list: readonly Walk[]): Promise<(string | Error)[]> {
    const all = actors(5);
    return Promise.all(
      list.map(async ({ steps, ms, afterMs }) => {
        if (afterMs > 0) await sleep(afterMs);
        const [first, ...others] = steps.map((step) => all[step] as Handle);
        if (first === undefined) return "end";
        return get(first.visit.remote(others, ms)).catch((error: Error) => error);
      }),
    );
  }

  test("a walk that meets itself is told, one in rising order never is, all end", async () => {
    let found = 0;
    const property = fc.asyncProperty(
      worlds,
      fc.array(walk, { minLength: 1, maxLength: 5 }),
      fc.boolean(),
      async ({ seed, nodes, order, systemConfig }, drawn, inOrder) => {
        const rising = (steps: readonly number[]): number[] =>
          [...new Set(steps)].sort((a, b) => a - b);
        const list = inOrder ? drawn.map((one) => ({ ...one, steps: rising(one.steps) })) : drawn;
        const options = { choices: order, choicesOnly: true, init: { numCpus: 8, systemConfig } };
        const timed = async (sim: Simulation) => ({ ends: await walks(list), atMs: sim.nowMs });
        const report = await run(timed, { seed, nodes, ...options });
        const { ends, atMs } = report.check();
        const wasFound = report.reached.includes("deadlockFound");
        const meetsItself = list.some(({ steps }) => new Set(steps).size < steps.length);
        if (meetsItself) expect(wasFound).toBe(true);
        if (inOrder) expect(wasFound).toBe(false);
        expect(ends.some((end) => end !== "end")).toBe(wasFound);
        expect(atMs).toBeLessThan(boundMs);
        if (wasFound) found += 1;
      },
    );
    await fc.assert(property, { numRuns: 150 });
    expect(found).toBeGreaterThan(10);
  });
});
