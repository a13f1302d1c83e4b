/** What user code throws where nobody calls it is told in its name, and ends nothing. */
import { EventEmitter } from "node:events";
import { describe, expect, test } from "vitest";
import { get } from "#api/get.ts";
import { remote } from "#api/remote.ts";
import { simulate } from "#sim/simulate.ts";

describe("what is thrown where nobody calls", () => {
  const ways: readonly [string, (fails: () => void) => void][] = [
    ["queueMicrotask", (fails) => queueMicrotask(fails)],
    ["process.nextTick", (fails) => process.nextTick(fails)],
    ["an event", (fails) => void queueMicrotask(() => new EventEmitter().on("x", fails).emit("x"))],
  ];
  const fails = (): void => {
    throw new Error("nobody catches it");
  };
  const told = /^unhandled exception in a callback of the program: Error: nobody catches it\n/;

  test.each(ways)("in %s, is told of the program and ends nothing", async (_, begin) => {
    const report = await simulate({ seed: 1, nodes: 1 }, async (sim) => {
      begin(fails);
      await sim.sleep(5);
      return "went on";
    });
    expect(report.result).toBe("went on");
    expect(report.violations).toMatchObject([{ oracle: "17 hygiene", entity: "driver" }]);
    expect(report.violations[0]?.message).toMatch(told);
  });

  test.each(ways)("in %s, is told of the task that it was thrown in", async (_, begin) => {
    const failing = remote(function failing() {
      begin(fails);
      return 1;
    });
    const report = await simulate({ seed: 1, nodes: 1 }, () => get(failing.remote()));
    expect(report.result).toBe(1);
    expect(report.violations).toHaveLength(1);
    expect(report.violations[0]?.message).toContain("in a callback of task failing");
  });

  test("the end of its process there is that, and nothing else", async () => {
    const report = await simulate({ seed: 1, nodes: 1 }, async (sim) => {
      queueMicrotask(() => process.exit(4));
      await sim.sleep(5);
    });
    expect(String(report.error)).toContain("process.exit(4)");
    expect(report.violations).toEqual([]);
  });
});
