/**
 * Found by seed 55 of test/simulation/lineage once its times were drawn: a node that joined after
 * another had died was never told of that death. A task on it got a ref whose owner had died there,
 * asked about that owner, and waited for ever.
 */
import { expect, test } from "vitest";
import { OwnerDiedError } from "#api/errors.ts";
import { get, put } from "#api/get.ts";
import { remote } from "#api/remote.ts";
import type { ObjectRef } from "#api/types.ts";
import { simulate } from "#sim/simulate.ts";

interface Box {
  readonly ref: ObjectRef<number>;
}

const lend = remote((): Box => ({ ref: put(7) }));
const open = remote(async ({ ref }: Box) => {
  return get(ref).catch((error: unknown) => (error as Error).name);
});

test("a node that joins hears of those that died before it came", async () => {
  const nodes = [{}, { resources: { lender: 1 } }, { resources: { late: 1 } }];
  for (const seed of [1, 2, 3]) {
    const report = await simulate({ seed, nodes }, async (sim) => {
      await sim.sleep(100);
      const box = lend.options({ resources: { lender: 1 } }).remote();
      await get(box);
      sim.crash(1);
      sim.crash(2);
      await sim.sleep(30_000);
      sim.restart(2);
      await sim.sleep(100);
      return get(open.options({ resources: { late: 1 } }).remote(box));
    });
    expect(report.check()).toBe(OwnerDiedError.name);
  }
});
