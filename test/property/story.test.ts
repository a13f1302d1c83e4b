/** The story of an entity: its own steps, their causes, and the faults that hit where it was. */
import { describe, expect, test } from "vitest";
import { get, remote } from "#api/index.ts";
import type { Fault } from "#sim/faults/fault.ts";
import { simulate } from "#sim/simulate.ts";

const linesMax = 20;
const hold = remote({ maxRetries: 0 }, (ms: number) => {
  return new Promise<number>((resolve) => setTimeout(resolve, ms, ms));
});

async function runUnder(faults: readonly Fault[]) {
  const report = await simulate({ seed: 5, faults }, async () => {
    const refs = Array.from({ length: 6 }, () => hold.remote(100));
    const ended = await Promise.allSettled(refs.map((ref) => get(ref)));
    return ended.map(({ status }, i) => ({ status, id: refs[i]?.id as string }));
  });
  return { report, ended: report.check() };
}

describe("the story", () => {
  test.each<[string, Fault, RegExp]>([
    ["node", { at: 20, kind: "crash", node: 1 }, /deliver driver nodeDied/],
    ["worker", { at: 20, kind: "crashWorker", node: 1 }, /deliver driver leaseRevoked/],
  ])("of what the crash of a %s has cost tells the push, the fault and the news", async (...of) => {
    const [, fault, news] = of;
    const { report, ended } = await runUnder([fault]);
    const lost = ended.find(({ status }) => status === "rejected");
    expect(lost).toBeDefined();
    for (const id of [lost?.id ?? "", lost?.id.slice(0, 52) ?? ""]) {
      const story = report.story(id);
      expect(story).toMatch(/deliver raylet1\.worker\d pushTask/);
      expect(story).toContain(JSON.stringify(fault));
      expect(story).toMatch(news);
      expect(story.split("\n").length).toBeLessThanOrEqual(linesMax);
    }
  });

  test.each<Fault>([
    { at: 20, kind: "crash", node: 1 },
    { at: 20, kind: "memoryPressure", node: 1, bytes: 10, forMs: 10 },
  ])("of what another machine did leaves the fault out: $kind", async (fault) => {
    const { report, ended } = await runUnder([fault]);
    const stories = ended.map(({ id }) => report.story(id));
    const elsewhere = stories.filter((story) => !story.includes("raylet1"));
    expect(elsewhere.length).toBeGreaterThan(0);
    for (const story of elsewhere) expect(story).not.toContain(fault.kind);
    expect(report.story("nobody")).toBe("nothing in the trace names nobody");
  });
});
