/**
 * Found by test/simulation/objects under crashes with `sameId`: the workers of a machine that came
 * back under its old id have the ids of those that died with it. The oracle of references took one
 * of them for the owner of what the driver still held, and said that it had been freed.
 */
import { expect, test } from "vitest";
import { get, put } from "#api/get.ts";
import { OwnerDiedError } from "#api/errors.ts";
import { remote } from "#api/remote.ts";
import { simulate } from "#sim/simulate.ts";

const lend = remote(() => ({ ref: put(7) }));
const add = remote((a: number, b: number) => a + b);

test("what comes back under an old id is nobody's owner", async () => {
  const nodes = [{}, { resources: { there: 1 } }];
  const crash = { at: 200, kind: "crash", node: 1, restartAfterMs: 10, sameId: true } as const;
  const report = await simulate({ seed: 1, nodes, faults: [crash] }, async (sim) => {
    await sim.sleep(100);
    const { ref } = await get(lend.options({ resources: { there: 1 } }).remote());
    await sim.sleep(200);
    // Its worker is there again, and the GCS has not missed the first one yet.
    expect(await get(add.remote(1, 2))).toBe(3);
    await sim.sleep(30_000);
    return get(ref);
  });
  expect(report.violations).toEqual([]);
  expect(report.error).toBeInstanceOf(OwnerDiedError);
  expect(report.reached).toContain("oldIdRefused");
});
