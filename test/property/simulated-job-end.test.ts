/** What a program leaves running is its own business: it ends with its job, without violations. */
import { describe, expect, test } from "vitest";
import { get, wait } from "#api/get.ts";
import { remote } from "#api/remote.ts";
import { type DriverRuntime, realmState } from "#api/runtime.ts";
import type { SimReport } from "#sim/options.ts";
import { simulate } from "#sim/simulate.ts";

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const never = (): Promise<never> => new Promise(() => {});
const slow = remote(async function slow(ms: number) {
  await sleep(ms);
  return ms;
});
const endless = remote(async function endless() {
  await never();
});
const busy = remote(async function busy() {
  for (;;) {
    await sleep(1_000);
    await get(slow.remote(1));
  }
});
/** Ends, and leaves a task of its own. */
const parent = remote(async function parent() {
  await wait([endless.remote()], { timeoutMs: 10 });
  return 2;
});
const Sleeper = remote(
  class Sleeper {
    async sleep(): Promise<void> {
      await never();
    }
  },
);
const Lasting = Sleeper.options({ name: "lasting", lifetime: "detached" });
const many = <T>(make: () => T): T[] => Array.from({ length: 30 }, make);

describe("a program that returns leaves behind", () => {
  const run = async (program: () => Promise<unknown>): Promise<SimReport<unknown>> => {
    const report = await simulate({ seed: 1 }, async () => {
      await program();
      return 1;
    });
    expect(report.violations).toEqual([]);
    expect(report.check()).toBe(1);
    return report;
  };

  test.each([
    ["a task of ten minutes", () => wait([slow.remote(600_000)], { timeoutMs: 10 })],
    ["a task that never ends", () => get(endless.remote(), { timeoutMs: 100 }).catch(() => {})],
    ["a task that calls others for ever", () => wait([busy.remote()], { timeoutMs: 100 })],
    ["a task of a task", () => get(parent.remote())],
    [
      "tasks behind tasks",
      () =>
        wait(
          many(() => endless.remote()),
          { timeoutMs: 10 },
        ),
    ],
    ["a call of an actor", () => wait([Sleeper.remote().sleep.remote()], { timeoutMs: 100 })],
    [
      "a call of a detached actor",
      () => wait([Lasting.remote().sleep.remote()], { timeoutMs: 100 }),
    ],
  ])("%s", async (_, program) => {
    const report = await run(program);
    expect(report.trace()).toMatch(/exit job the job ends: it has left running: /);
  });

  test("a task that the engine has lost, beside one that runs", async () => {
    const report = await simulate({ seed: 1 }, async () => {
      const lost = slow.remote(1);
      void endless.remote();
      const { submitter } = (realmState().driver as DriverRuntime).client.core;
      submitter.onTaskReply = () => {};
      await wait([lost], { timeoutMs: 100 });
    });
    const found = report.violations.map(({ oracle, message }) => `${oracle}: ${message}`);
    expect(found).toEqual([expect.stringMatching(/^1 tasks: task slow .* and nobody runs it$/)]);
  });

  test("nothing that runs: its driver is still there to be asked", async () => {
    const report = await run(() => get(slow.remote(50)));
    expect(report.trace()).not.toContain("the job ends");
  });
});
