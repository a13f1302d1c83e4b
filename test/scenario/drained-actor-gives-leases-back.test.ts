/**
 * An actor that nobody has a handle to ends when nobody counts on its process. The threads that it
 * had leased are not doomed with it: what tasks have made there lives on.
 */
import { expect, test } from "vitest";
import { handleInternals } from "#api/actor-handle.ts";
import { get, put } from "#api/get.ts";
import { remote } from "#api/remote.ts";
import { requireClient } from "#api/runtime.ts";
import type { ObjectRef } from "#api/types.ts";
import { Prng } from "#engine/common/prng.ts";
import { SimReclaimer } from "#sim/cluster/reclaimer.ts";
import { simulate } from "#sim/simulate.ts";

type Made = { readonly ref: ObjectRef<number> };

const make = remote({ schedulingStrategy: "SPREAD" }, (): Made => {
  const ref = put(7);
  setTimeout(() => ref[Symbol.dispose](), 1);
  return { ref };
});
const Maker = remote(
  class Maker {
    async make(): Promise<Made> {
      const call = make.remote();
      const made = await get(call);
      setTimeout(() => [call, made.ref].forEach((ref) => ref[Symbol.dispose]()), 1);
      return made;
    }
  },
);

function giveUp(handle: object): void {
  const reclaimer = requireClient("get")?.client.reclaimer;
  const inside = handleInternals(handle);
  if (!(reclaimer instanceof SimReclaimer) || inside === undefined) throw new Error("no handle");
  reclaimer.drop(inside);
  reclaimer.collect("oldest", new Prng(0));
}

test("threads that a drained actor had leased live on", async () => {
  // Whoever is doomed ends at once.
  const init = { numCpus: 2, systemConfig: { forceGraceMs: 0 } };
  for (let seed = 0; seed < 20; seed++) {
    const report = await simulate({ seed, nodes: 1 + (seed % 3), init }, async (sim) => {
      await sim.sleep(100);
      const maker = Maker.remote();
      using call = maker.make.remote();
      const { ref } = await get(call);
      giveUp(maker);
      await sim.sleep(50);
      return get(ref);
    });
    expect(report.check()).toBe(7);
    expect(report.reached).toContain("actorOutOfScope");
  }
});
