/**
 * Ray's tests of reference counting that need a crash: whoever has a ref gets the value, or hears
 * that its owner has died; whoever else dies on the way takes nothing with it.
 */
import { describe, expect, test } from "vitest";
import { kill } from "#api/actors.ts";
import { OwnerDiedError, TaskError } from "#api/errors.ts";
import { get, put } from "#api/get.ts";
import { remote } from "#api/remote.ts";
import type { ActorHandle, ObjectRef } from "#api/types.ts";
import { simulate } from "#sim/simulate.ts";

interface Box {
  readonly ref: ObjectRef<number>;
}

class KeeperActor {
  #box: Box | null = null;

  keep(box: Box): void {
    this.#box = box;
  }
  async read(): Promise<number> {
    return this.#box === null ? -1 : get(this.#box.ref);
  }
  make(n: number): Box {
    const ref = put(n);
    // Once the result is encoded it names the ref itself.
    setTimeout(() => ref[Symbol.dispose](), 1);
    return { ref };
  }
  nest(box: Box): { readonly outer: ObjectRef<Box> } {
    return { outer: put(box) };
  }
  /** Does not wait: it may end while the ref is on its way. */
  forward(box: Box, to: { readonly keeper: ActorHandle<KeeperActor> }): void {
    to.keeper.keep.remote(box);
  }
}
const Keeper = remote(KeeperActor);
const seeds = Array.from({ length: 60 }, (_, seed) => seed);
const nodes = ["driver", "owner", "keeper"].map((name) => ({ numCpus: 1, labels: { name } }));
const onNode = (name: string) => ({ numCpus: 1, labelSelector: { name } });

/** Module state, which outlives the task that it was given to. */
let kept: Box | null = null;
const keepForLater = remote((box: Box) => {
  kept = box;
});
const readKept = remote(async () => (kept === null ? -1 : get(kept.ref)));

/** The name of what went wrong at the bottom. */
function reasonOf(error: unknown): string {
  let cause = error;
  while (cause instanceof TaskError && cause.cause !== undefined) cause = cause.cause;
  return (cause as Error).name;
}

describe("with crashes", () => {
  // Ray's case 68: test_borrowed_id_failure.
  test("test_borrowed_id_failure: the forwarder dies at any time", async () => {
    const [results, reached] = [new Set<number>(), new Set<string>()];
    for (const seed of seeds) {
      const report = await simulate({ seed, nodes: 1 + (seed % 3) }, async (sim) => {
        const [maker, forwarder, keeper] = [Keeper.remote(), Keeper.remote(), Keeper.remote()];
        const made = maker.make.remote(4);
        const box = await get(made);
        await get(forwarder.forward.remote(box, { keeper }));
        for (const ref of [box.ref, made]) ref[Symbol.dispose]();
        await sim.sleep((seed / seeds.length) * 2);
        await kill(forwarder);
        await sim.sleep(50);
        return get(keeper.read.remote());
      });
      results.add(report.check());
      for (const state of report.reached) reached.add(state);
    }
    // The call that it had begun may have died with it; a ref that arrived has its value.
    expect([...results].sort()).toEqual([-1, 4]);
    expect(reached).toContain("holdMakerDied");
  });

  test("a task's own hold is slower than its reply would be", async () => {
    const slow = { kind: "slowLink", from: 2, to: 1, delayMs: 80 } as const;
    const faults = [{ ...slow, at: 60, forMs: 5_000 }];
    const report = await simulate({ seed: 6, nodes, faults }, async (sim) => {
      kept = null;
      await get(readKept.options(onNode("keeper")).remote());
      const maker = Keeper.options(onNode("owner")).remote();
      const made = maker.make.remote(8);
      const box = await get(made);
      await sim.sleep(100);
      await get(keepForLater.options(onNode("keeper")).remote(box));
      for (const ref of [box.ref, made]) ref[Symbol.dispose]();
      await sim.sleep(500);
      return get(readKept.options(onNode("keeper")).remote());
    });
    expect(report.check()).toBe(8);
  });

  // Ray's case 64: test_actor_holding_serialized_reference.
  test("test_actor_holding_serialized_reference: the owner of the ref dies", async () => {
    const report = await simulate({ seed: 3 }, async () => {
      const [maker, keeper] = [Keeper.remote(), Keeper.remote()];
      const box = await get(maker.make.remote(4));
      await get(keeper.keep.remote(box));
      await kill(maker);
      return get(keeper.read.remote()).catch(reasonOf);
    });
    expect(report.check()).toBe(OwnerDiedError.name);
  });

  test("test_recursively_nest_ids: the owner of what is inside dies", async () => {
    const report = await simulate({ seed: 4 }, async () => {
      const [outer, inner] = [Keeper.remote(), Keeper.remote()];
      const box = await get(inner.make.remote(5));
      const nested = await get(outer.nest.remote(box));
      await kill(inner);
      const { ref } = await get(nested.outer);
      return get(ref).catch(reasonOf);
    });
    expect(report.check()).toBe(OwnerDiedError.name);
  });

  test("test_return_object_ref: the ref lives as long as its owner", async () => {
    const report = await simulate({ seed: 5 }, async (sim) => {
      const maker = Keeper.remote();
      const outer = maker.make.remote(6);
      const { ref } = await get(outer);
      outer[Symbol.dispose]();
      await sim.sleep(20);
      const [again] = await get([ref]);
      await kill(maker);
      const other = await get(Keeper.remote().make.remote(7));
      return [again, await get(other.ref)];
    });
    expect(report.check()).toEqual([6, 7]);
  });
});
