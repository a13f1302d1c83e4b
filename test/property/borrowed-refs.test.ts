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
    return { ref: put(n) };
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
const seeds = Array.from({ length: 40 }, (_, seed) => seed);

/** The name of what went wrong at the bottom. */
function reasonOf(error: unknown): string {
  let cause = error;
  while (cause instanceof TaskError && cause.cause !== undefined) cause = cause.cause;
  return (cause as Error).name;
}

describe("with crashes", () => {
  test.each(seeds)("test_borrowed_id_failure, seed %d", async (seed) => {
    const report = await simulate({ seed, nodes: 1 + (seed % 3) }, async (sim) => {
      const [maker, forwarder, keeper] = [Keeper.remote(), Keeper.remote(), Keeper.remote()];
      const made = maker.make.remote(4);
      const box = await get(made);
      await get(forwarder.forward.remote(box, { keeper }));
      box.ref[Symbol.dispose]();
      made[Symbol.dispose]();
      await sim.sleep((seed % 8) / 2);
      await kill(forwarder);
      await sim.sleep(50);
      return get(keeper.read.remote());
    });
    // The call that it had begun may have died with it; a ref that arrived has its value.
    expect([-1, 4]).toContain(report.check());
  });

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
