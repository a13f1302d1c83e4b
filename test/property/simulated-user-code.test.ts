/** What user code meets in a run: clocks, timers and chance of its machine, and nothing real. */
import cryptoModule, { randomBytes, randomInt, randomUUID } from "node:crypto";
import { setTimeout as moduleTimeout } from "node:timers";
import { setInterval as ticks, setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { get } from "#api/get.ts";
import { remote } from "#api/remote.ts";
import { simulate } from "#sim/simulate.ts";
import { inWorld } from "./in-world.ts";

const worldStartMs = Date.UTC(2026, 0, 1);
const realDate = Date;
const realTimeout = setTimeout;

describe("Date", () => {
  test("now, new, call, subclass and the static functions", async () => {
    const seen = await inWorld(async () => {
      class Day extends Date {
        day(): string {
          return this.toISOString().slice(0, 10);
        }
      }
      return {
        now: Date.now(),
        made: new Date().getTime(),
        day: new Day().day(),
        given: [new Date(0).getTime(), new Date(2020, 1, 3, 4).getFullYear(), Date.UTC(2021, 5)],
        text: Date(),
        parsed: Date.parse("2022-01-01T00:00:00Z"),
        isDate: new Date() instanceof Date && new Day() instanceof Date,
        isReal: new Date() instanceof realDate,
        hasOneNow: Date.now === Date.now,
        name: Date.name,
        length: Date.length,
      };
    });
    expect(seen.now).toBeGreaterThanOrEqual(worldStartMs);
    expect(seen.now).toBeLessThan(worldStartMs + 60_000);
    expect(seen.made).toBe(seen.now);
    expect(seen.day).toBe("2026-01-01");
    expect(seen.given).toEqual([0, 2020, Date.UTC(2021, 5)]);
    expect(seen.text).toBe(new Date(seen.now).toString());
    expect(seen.parsed).toBe(Date.UTC(2022, 0));
    expect(seen).toMatchObject({ isDate: true, isReal: true, hasOneNow: true });
    expect(seen).toMatchObject({ name: "Date", length: 7 });
    expect(Date).toBe(realDate);
  });
});

test("a date's own constructor is the Date that its reader knows", async () => {
  const outside = new Date(0);
  const seen = await inWorld(async () => {
    class Day extends Date {}
    const own = new Date();
    const again = new (own.constructor as DateConstructor)();
    function Old(this: object): void {}
    Old.prototype = Object.create(Date.prototype);
    Old.prototype.constructor = Old;
    return {
      isDate: own.constructor === Date && outside.constructor === Date,
      passedMs: again.getTime() - own.getTime(),
      now: (own.constructor as DateConstructor).now() === Date.now(),
      ofClass: new Day().constructor === Day,
      ofOld: Old.prototype.constructor === Old && own.constructor === Date,
    };
  });
  expect(seen).toEqual({ isDate: true, passedMs: 0, now: true, ofClass: true, ofOld: true });
  expect(outside.constructor).toBe(realDate);
});

describe("timers", () => {
  test("fire in virtual time, with arguments, in the context of their caller", async () => {
    const seen = await inWorld(async () => {
      const fired: unknown[] = [];
      const startMs = performance.now();
      const passed = (): number => Math.round(performance.now() - startMs);
      setTimeout((...args: number[]) => fired.push(["late", passed(), ...args]), 30_000, 1, 2);
      setTimeout(() => fired.push(["soon", passed()]), 5);
      setImmediate((word) => fired.push([word, passed()]), "at once");
      moduleTimeout(() => fired.push(["module", passed()]), 7);
      const ticking = setInterval(() => {
        fired.push(["tick", passed()]);
        if (fired.length === 6) clearInterval(ticking);
      }, 10);
      await promisify(setTimeout)(30_001);
      return fired;
    });
    expect(seen).toEqual([
      ["at once", 0],
      ["soon", 5],
      ["module", 7],
      ["tick", 10],
      ["tick", 20],
      ["tick", 30],
      ["late", 30_000, 1, 2],
    ]);
  });

  test("their objects are as Node's", async () => {
    const seen = await inWorld(async () => {
      const fired: string[] = [];
      const timer = setTimeout(() => fired.push("refreshed"), 10);
      const byNumber = setTimeout(() => fired.push("cleared by number"), 10);
      const numbered = Number(byNumber);
      clearTimeout(numbered);
      const asText = setTimeout(() => fired.push("cleared by text"), 10);
      clearTimeout(String(+asText));
      const disposed = setTimeout(() => fired.push("disposed"), 10);
      disposed[Symbol.dispose]();
      const closed = setTimeout(() => fired.push("closed"), 10);
      closed.close();
      clearTimeout(undefined);
      const refs = [timer.hasRef(), timer.unref().hasRef(), timer.ref().hasRef()];
      await sleep(8);
      timer.refresh();
      await sleep(8);
      const before = [...fired];
      await sleep(8);
      return { fired, before, refs, isNumber: Number.isInteger(numbered) };
    });
    expect(seen).toEqual({
      fired: ["refreshed"],
      before: [],
      refs: [true, false, true],
      isNumber: true,
    });
  });

  test("a world is at rest when only timers without a reference are left", async () => {
    const report = await simulate({ seed: 1, nodes: 1 }, async () => {
      setInterval(() => {}, 100).unref();
      return 1;
    });
    expect(report.check()).toBe(1);
    expect(report.virtualMs).toBeLessThan(120_000);
  });

  test("a callback that is none is refused in Node's words", async () => {
    const report = await simulate({ seed: 1, nodes: 1 }, async () => {
      setTimeout("text" as never, 1);
    });
    expect(report.error).toMatchObject({ code: "ERR_INVALID_ARG_TYPE" });
  });

  test("node:timers/promises: values, signals, intervals", async () => {
    const seen = await inWorld(async () => {
      const startMs = performance.now();
      const value = await sleep(50, "value");
      const aborted = await sleep(1_000, 0, { signal: AbortSignal.timeout(30) }).catch(
        (error: { name: string; code: string; cause: { name: string } }) => {
          return [error.name, error.code, error.cause.name];
        },
      );
      let count = 0;
      for await (const tick of ticks(10, "tick")) {
        count += tick === "tick" ? 1 : 0;
        if (count === 3) break;
      }
      return { value, aborted, count, passed: Math.round(performance.now() - startMs) };
    });
    expect(seen.value).toBe("value");
    expect(seen.aborted).toEqual(["AbortError", "ABORT_ERR", "TimeoutError"]);
    expect(seen.count).toBe(3);
    expect(seen.passed).toBe(110);
  });

  test("no timer is early by the clock of its machine, whose clock is slow", async () => {
    const faults = [{ at: 0, kind: "clockDrift", node: 0, ppm: -400_000, forMs: 60_000 }] as const;
    const late = await inWorld(
      async () => {
        await sleep(10);
        const startMs = performance.now();
        await sleep(1_000);
        return performance.now() - startMs - 1_000;
      },
      { faults },
    );
    expect(late).toBeGreaterThanOrEqual(0);
    expect(late).toBeLessThan(1);
  });
});

describe("clocks", () => {
  test("performance and process.hrtime tell the time of the machine", async () => {
    const seen = await inWorld(async () => {
      const before = process.hrtime.bigint();
      const pair = process.hrtime();
      const upSeconds = process.uptime();
      const mark = performance.mark("begin");
      await sleep(1_500);
      const measure = performance.measure("whole", "begin");
      performance.clearMarks("begin");
      performance.clearMeasures("whole");
      return {
        nanos: Number(process.hrtime.bigint() - before),
        pair: process.hrtime(pair),
        upSeconds: process.uptime() - upSeconds,
        marked: mark.startTime <= performance.now(),
        measured: measure.duration,
        isOneTime: Math.abs(performance.timeOrigin + performance.now() - Date.now()) < 1,
      };
    });
    expect(seen.nanos).toBe(1_500_000_000);
    expect(seen.pair).toEqual([1, 500_000_000]);
    expect(seen.upSeconds).toBeCloseTo(1.5, 6);
    expect(seen.measured).toBeCloseTo(1_500, 6);
    expect(seen).toMatchObject({ marked: true, isOneTime: true });
  });
});

describe("chance", () => {
  const aliases = cryptoModule as unknown as Record<string, (size: number) => Buffer>;
  const draw = async () => ({
    number: Math.random(),
    uuid: crypto.randomUUID(),
    values: [...crypto.getRandomValues(new Uint16Array(4))],
    uuids: [randomUUID(), cryptoModule.randomUUID()],
    bytes: randomBytes(8).toString("hex"),
    later: (await promisify(randomBytes)(8)).toString("hex"),
    int: randomInt(10, 20),
    aliases: ["rng", "prng"].map((name) => aliases[name]?.(8).toString("hex")),
    filled: [...cryptoModule.randomFillSync(new Uint8Array(6), 2, 2)],
  });

  test("comes from the seed alone, and is another one in each process", async () => {
    const drawInTask = remote(draw);
    const seen = await inWorld(async () => [await draw(), await get(drawInTask.remote())]);
    const [driver, worker] = seen as [(typeof seen)[0], (typeof seen)[0]];
    expect(driver.uuid).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-/);
    expect(new Set([driver.uuid, ...driver.uuids, worker.uuid, ...worker.uuids]).size).toBe(6);
    expect(driver.bytes).not.toBe(driver.later);
    expect(driver.int).toBeGreaterThanOrEqual(10);
    expect(driver.int).toBeLessThan(20);
    expect(driver.filled.filter((_, i) => i < 2 || i > 3)).toEqual([0, 0, 0, 0]);
    expect((await inWorld(draw, { seed: 8 })).uuid).not.toBe(driver.uuid);
  });

  test("what Node refuses is refused", async () => {
    const report = await simulate({ seed: 1, nodes: 1 }, async () => {
      crypto.getRandomValues(new Float64Array(1) as never);
    });
    expect(report.error).toMatchObject({ name: "TypeMismatchError" });
    const range = await simulate({ seed: 1, nodes: 1 }, async () => randomInt(5, 5));
    expect(range.error).toMatchObject({ code: "ERR_OUT_OF_RANGE" });
  });
});

describe("outside of the run", () => {
  test("everything is real again, and was so for others meanwhile", async () => {
    const uuids = new Set<string>();
    for (let i = 0; i < 3; i++) {
      await simulate({ seed: 3, nodes: 1 }, async () => {
        await sleep(10);
      });
      uuids.add(randomUUID());
    }
    expect(uuids.size).toBe(3);
    expect(setTimeout).toBe(realTimeout);
    expect(Math.abs(performance.timeOrigin + performance.now() - Date.now())).toBeLessThan(60_000);
  });
});

describe("process.exit", () => {
  const exit = async (ms: number): Promise<void> => {
    if (ms > 0) await sleep(ms);
    process.exit(7);
  };
  test("ends the worker of a task, which runs no further, and tells the code", async () => {
    const seen = await inWorld(async () => {
      const went: string[] = [];
      const leave = remote({ maxRetries: 1 }, async (ms: number) => {
        went.push("begins");
        await exit(ms);
        went.push("goes on");
      });
      const fail = async (ms: number) => get(leave.remote(ms)).catch((error: Error) => error);
      const errors = [await fail(0), await fail(5)];
      const texts = errors.map((error) => (error as Error).message.replace(/.*: worker/, ""));
      return { went, texts, alive: await get(remote(() => "the pool goes on").remote()) };
    });
    expect(seen.went).toEqual(["begins", "begins", "begins", "begins"]);
    for (const text of seen.texts) expect(text).toMatch(/process\.exit\(7\) \(attempt 2 of 2/);
    expect(seen.alive).toBe("the pool goes on");
  });

  test("ends that of an actor, also out of a timer", async () => {
    const Leaver = remote(
      class {
        leaveLater(): string {
          setTimeout(() => process.exit(8), 5);
          return "not yet";
        }
        wait(): Promise<never> {
          return new Promise(() => {});
        }
      },
    );
    const seen = await inWorld(async () => {
      const leaver = Leaver.remote();
      const first = await get(leaver.leaveLater.remote());
      const error = await get(leaver.wait.remote()).catch((thrown: Error) => thrown);
      return [first, (error as Error).name, /exit\(8\)/.test((error as Error).message)];
    });
    expect(seen).toEqual(["not yet", "ActorDiedError", true]);
  });

  test("of the program is the end of its run", async () => {
    const report = await simulate({ seed: 1, nodes: 1 }, () => exit(5));
    expect(String(report.error)).toContain("process.exit(7)");
    expect(report.violations).toEqual([]);
    expect(report.reached).toContain("driverCrashed");
  });

  const ways: readonly [string, () => unknown][] = [
    ["in a timer", () => setTimeout(() => process.exit(4), 5)],
    ["in a call that nobody awaits", () => void sleep(5).then(() => process.exit(4))],
  ];
  test.each(ways)("of the program is told so, %s", async (_, leave) => {
    const report = await simulate({ seed: 1, nodes: 1 }, async (sim) => {
      leave();
      await sim.sleep(100);
    });
    expect(String(report.error)).toBe("ProcessExited: process.exit(4) ended this process");
    expect(report.violations).toEqual([]);
  });

  test("exitCode is the code of it, and not that of the host", async () => {
    const before = process.exitCode;
    try {
      process.exitCode = 9;
      const report = await simulate({ seed: 1, nodes: 1 }, async () => {
        process.exitCode = 3;
        process.exit();
      });
      expect(String(report.error)).toContain("process.exit(3)");
      expect(process.exitCode).toBe(9);
    } finally {
      process.exitCode = before;
    }
  });

  test("each process has an exitCode; one that is set outside stays the host's", async () => {
    const before = process.exitCode;
    let isSet = false;
    realTimeout(() => {
      process.exitCode = 7;
      isSet = true;
    }, 0);
    try {
      const leave = remote({ maxRetries: 0 }, () => {
        const found = process.exitCode;
        process.exitCode = 4;
        if (found === undefined) process.exit();
        return found;
      });
      const report = await simulate({ seed: 1, nodes: 1 }, async (sim) => {
        process.exitCode = 3;
        while (!isSet) await sim.sleep(1);
        const error = await get(leave.remote()).catch(String);
        return [error, process.exitCode];
      });
      const [error, ofDriver] = report.check();
      expect(error).toContain("process.exit(4)");
      expect(ofDriver).toBe(3);
      expect(process.exitCode).toBe(7);
    } finally {
      process.exitCode = before;
    }
  });

  test("cannot be caught: the program ends with it", async () => {
    const report = await simulate({ seed: 1, nodes: 1 }, async () => {
      try {
        process.exit(4);
      } catch {
        return "went on";
      }
    });
    expect(report.result).toBeUndefined();
    expect(String(report.error)).toContain("process.exit(4)");
  });
});

describe("a driver that has crashed", () => {
  const fate = "the driver was crashed by a fault before it had ended";
  test.each([
    ["returns", (): number => 5],
    [
      "throws",
      (): never => {
        throw new Error("dead speaks");
      },
    ],
  ])("is not heard when it %s", async (_, speak) => {
    const report = await simulate({ seed: 3, nodes: 1 }, async (sim) => {
      sim.crashDriver();
      for (let i = 0; i < 100; i++) await Promise.resolve();
      return speak();
    });
    expect(report.result).toBeUndefined();
    expect((report.error as Error).message).toBe(fate);
  });
});

describe("a rejection that nobody handles", () => {
  const lose = async (): Promise<string> => {
    void Promise.reject(new RangeError("lost"));
    await sleep(1);
    return "went on";
  };

  test("is told with its stack, in the name of the program", async () => {
    const report = await simulate({ seed: 1, nodes: 1 }, lose);
    expect(report.result).toBe("went on");
    const message = /^unhandled rejection in the program: RangeError: lost\n\s+at lose \(/;
    expect(report.violations).toMatchObject([
      { oracle: "17 hygiene", entity: "driver", message: expect.stringMatching(message) },
    ]);
  });

  test("… of a task and a constructor", async () => {
    const loseInTask = remote({ name: "loseInTask" }, lose);
    const Loser = remote(
      class Loser {
        constructor() {
          void lose();
        }
        ping(): string {
          return "pong";
        }
      },
    );
    const { violations } = await simulate({ seed: 1, nodes: 1 }, async (sim) => {
      await get(loseInTask.remote());
      await get(Loser.remote().ping.remote());
      await sim.sleep(5);
    });
    expect(violations).toMatchObject([
      {
        entity: expect.stringMatching(/^[0-9a-f]{52}$/),
        message: expect.stringMatching(
          /^unhandled rejection in task loseInTask.*: RangeError: lost/,
        ),
      },
      {
        message: expect.stringMatching(
          /^unhandled rejection in the constructor of Loser .*: Range/,
        ),
      },
    ]);
  });

  test("in a process that has ended is nobody's", async () => {
    const { violations } = await simulate({ seed: 1, nodes: 1 }, async (sim) => {
      sim.crashDriver();
      void lose();
    });
    expect(violations).toEqual([]);
  });

  test("of code outside is not the run's: whoever listens hears it", async () => {
    const heard: unknown[] = [];
    const listeners = process.rawListeners("unhandledRejection") as (() => void)[];
    process.removeAllListeners("unhandledRejection");
    process.on("unhandledRejection", (reason) => heard.push(reason));
    try {
      let reject: () => void = () => {};
      const outside = new Promise<void>((resolve) => (reject = resolve)).then(() => {
        throw new Error("outside");
      });
      const report = await simulate({ seed: 1, nodes: 1 }, async (sim) => {
        void Promise.reject(new Error("inside"));
        reject();
        await sim.sleep(1);
      });
      expect(report.violations).toMatchObject([{ message: expect.stringContaining("inside") }]);
      expect(heard).toMatchObject([{ message: "outside" }]);
      await expect(outside).rejects.toThrow("outside");
    } finally {
      process.removeAllListeners("unhandledRejection");
      for (const listener of listeners) process.on("unhandledRejection", listener);
    }
  });
});
