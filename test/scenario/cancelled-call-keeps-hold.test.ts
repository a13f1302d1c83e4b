/**
 * Seed 333 of the run set: a call that names somebody else's object was cancelled
 * while it waited for the actor's hold on it. The hold came, nobody confirmed or gave it up: the
 * object was kept for ever.
 */
import { expect, test } from "vitest";
import { cancel } from "#api/cancel.ts";
import { get, put } from "#api/get.ts";
import { remote } from "#api/remote.ts";
import type { ActorHandle, ObjectRef } from "#api/types.ts";
import { simulate } from "#sim/simulate.ts";

class Keeper {
  keep({ ref }: { ref: ObjectRef<number> }): string {
    return ref.id;
  }
}
const KeeperActor = remote(Keeper);
const callAndCancel = remote(
  async (keeper: ActorHandle<Keeper>, { ref }: { ref: ObjectRef<number> }, waitMs: number) => {
    const call = keeper.keep.remote({ ref });
    if (waitMs > 0) await new Promise((resolve) => void setTimeout(resolve, waitMs));
    await cancel(call);
    return 1;
  },
);

test("a cancelled call gives up the holds that were made for it", async () => {
  for (let seed = 0; seed < 60; seed++) {
    const report = await simulate({ seed, nodes: 1 + (seed % 2) }, async () => {
      const keeper = KeeperActor.remote();
      const ref = put(7);
      const waits = [0, 0, 0.02, 0.05, 0.2];
      return get(waits.map((waitMs) => callAndCancel.remote(keeper, { ref }, waitMs)));
    });
    expect(report.check()).toEqual([1, 1, 1, 1, 1]);
  }
});
