/**
 * Found by a random program: a node dies with a result, and its owner still has a lease there. The
 * result was made anew on that lease, before it was ended: one death cost its task two retries.
 */
import { expect, test } from "vitest";
import { get, wait } from "#api/get.ts";
import { remote } from "#api/remote.ts";
import { simulate } from "#sim/simulate.ts";

const make = remote({ resources: { there: 1 }, maxRetries: 1 }, () =>
  new Uint8Array(100_000).fill(7),
);

test("what is made anew goes to no lease that died with it", async () => {
  const nodes = [{}, { resources: { there: 1 } }];
  const init = { systemConfig: { idleLeaseMs: 60_000 } };
  const crash = { at: 300, kind: "crash", node: 1, restartAfterMs: 100 } as const;
  for (let seed = 0; seed < 10; seed++) {
    const report = await simulate({ seed, nodes, init, faults: [crash] }, async (sim) => {
      const lost = make.remote();
      await wait([lost], { fetchLocal: false });
      await sim.sleep(400);
      return (await get(lost))[0];
    });
    expect(report.check()).toBe(7);
  }
});
