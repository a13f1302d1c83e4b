/**
 * Found by seed 70112 of test/simulation/objects once its times were drawn: the head stood still
 * for longer than a node waits for the GCS. When it went on, its raylet took its own pause for a
 * silence of the GCS, which is in the same process, and ended the whole head.
 */
import { expect, test } from "vitest";
import { get } from "#api/get.ts";
import { remote } from "#api/remote.ts";
import { simulate } from "#sim/simulate.ts";

const square = remote((n: number) => n * n);

test("a head that stood still for very long goes on", async () => {
  const pause = { at: 50, kind: "pause", node: 0, forMs: 20_000 } as const;
  const init = { systemConfig: { gcsReconnectMs: 18_000, healthTimeoutMs: 6_000 } };
  for (let seed = 0; seed < 10; seed++) {
    const report = await simulate({ seed, faults: [pause], init }, async (sim) => {
      await sim.sleep(100);
      expect(sim.nowMs).toBeGreaterThan(20_000);
      return get([1, 2, 3].map((n) => square.remote(n)));
    });
    expect(report.check()).toEqual([1, 4, 9]);
  }
});
