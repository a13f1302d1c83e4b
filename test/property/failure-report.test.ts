/** What a person is shown of a run that failed: what led to it, and no more than fits a screen. */
import { describe, expect, test } from "vitest";
import { get, remote, wait } from "#api/index.ts";
import { failuresOf } from "#sim/run-set/seed-run.ts";
import { simulate } from "#sim/simulate.ts";

const storyMax = 20;
const stepsMax = 40;

const slow = remote({ maxRetries: 0 }, async (item: number) => {
  await new Promise((resolve) => setTimeout(resolve, 5));
  return item;
});
const refuse = remote(function refuse(): never {
  throw new RangeError("planted in a task");
});

function messageOf(report: { check(): unknown }): string {
  try {
    report.check();
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error("the check has passed");
}

/** The lines below `title`, up to an empty one. */
function partOf(message: string, title: string): string[] {
  const lines = message.split("\n");
  const from = lines.findIndex((line) => line.trimEnd() === title);
  const to = lines.findIndex((line, i) => i > from && line === "");
  return from < 0 ? [] : lines.slice(from + 1, to < 0 ? undefined : to);
}

describe("a failed check", () => {
  const crash = { at: 3, kind: "crashWorker", node: 0 } as const;

  test("tells the story of the task that failed, with the fault", async () => {
    const report = await simulate({ seed: 24, faults: [crash] }, () =>
      get(Array.from({ length: 6 }, (_, item) => slow.remote(item))),
    );
    const story = partOf(messageOf(report), "story:");
    expect(story.length).toBeLessThanOrEqual(storyMax);
    expect(story.join("\n")).toContain(JSON.stringify(crash));
    expect(story.join("\n")).toMatch(/deliver worker\d pushTask/);
  });

  test("of what the program itself has thrown tells what led there", async () => {
    const report = await simulate({ seed: 3 }, async (sim) => {
      const [ready] = await wait([slow.remote(1)]);
      await sim.sleep(20);
      throw new RangeError(`planted after ${ready.length}`);
    });
    const story = partOf(messageOf(report), "story:");
    expect(story.at(-1)).toMatch(/ ms timer driver/);
    expect(story.length).toBeLessThanOrEqual(storyMax);
  });

  test("has the last steps before it failed, without upkeep", async () => {
    const report = await simulate({ seed: 24, faults: [crash] }, () =>
      get(Array.from({ length: 6 }, (_, item) => slow.remote(item))),
    );
    const message = messageOf(report);
    const steps = partOf(message, "last steps:");
    expect(steps.length).toBeLessThanOrEqual(stepsMax + 1);
    expect(steps.join("\n")).not.toMatch(/heartbeat| wake head|ack is due/);
    expect(steps.join("\n")).toContain(JSON.stringify(crash));
    expect(steps.join("\n")).toMatch(/leaseRevoked/);
    // The trace has them all.
    expect(report.trace()).toContain("heartbeat");
  });
});

test("a program that is stuck: the story ends where it was found", async () => {
  const never = remote(function never() {
    return new Promise(() => {});
  });
  const elsewhere = { at: 1, kind: "memoryPressure", node: 2, bytes: 10, forMs: 5 } as const;
  const faults = [elsewhere];
  const report = await simulate({ seed: 1, faults }, () => get(never.remote()));
  const message = messageOf(report);
  const story = partOf(message, "story:").join("\n");
  expect(story).toMatch(/pushTask/);
  expect(story).not.toMatch(/memoryPressure|the job ends/);
  expect(message).not.toContain("the job ends");
  expect(report.trace()).toContain("the job ends");
  expect(report.trace()).toContain("end of memoryPressure");
});

describe("what a run set tells of a failure", () => {
  test("has the place in the task that threw", async () => {
    const report = await simulate({ seed: 1 }, () => get(refuse.remote()));
    const [failure] = failuresOf(report);
    expect(failure?.message).toMatch(/caused by: RangeError: planted in a task\n +at .*refuse/);
  });

  test("of a program that is stuck has the chain, and no stack of the simulator", async () => {
    const report = await simulate({ seed: 1 }, () => new Promise(() => {}));
    const [failure] = failuresOf(report);
    expect(failure?.message).toMatch(/^Error: leak: the program waits for something outside/);
    expect(failure?.message).not.toContain("    at ");
  });
});
