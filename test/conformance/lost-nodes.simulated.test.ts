/**
 * Retries, borrowed refs and waits while nodes die, named after Ray's tests: how often a task runs,
 * what a dead borrower or forwarder lets go of, what goes with a dead owner.
 */
import { describe, expect, test } from "vitest";
import { ActorDiedError, NodeDiedError, OwnerDiedError, TaskError } from "#api/errors.ts";
import { get, put, wait } from "#api/get.ts";
import { remote } from "#api/remote.ts";
import { getRuntimeContext } from "#api/runtime-context.ts";
import { list } from "#api/state.ts";
import type { ActorHandle, ObjectRef } from "#api/types.ts";
import type { Simulation } from "#sim/options.ts";
import {
  areMade,
  beyond,
  bytesOf,
  drop,
  inClusters,
  replace,
  size,
  sumOf,
  there,
} from "./lossy-clusters.ts";

type Box = { readonly ref: ObjectRef<Uint8Array> };

class KeeperActor {
  #kept: Box | null = null;

  keep(box: Box): string {
    this.#kept = box;
    return "kept";
  }
  async read(): Promise<number> {
    return this.#kept === null ? -1 : sumOf(await get(this.#kept.ref));
  }
  make(n: number): Box {
    const ref = put(bytesOf(n));
    // Once the result is encoded it names the ref itself.
    setTimeout(() => drop(ref), 1);
    return { ref };
  }
}
const Keeper = remote(KeeperActor);
const Forwarder = remote(
  class {
    async forward(box: Box, to: { keeper: ActorHandle<KeeperActor> }): Promise<void> {
      await get(to.keeper.keep.remote(box));
      await new Promise(() => {});
    }
  },
);

async function until(sim: Simulation, isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await sim.sleep(20);
}

/** Nodes take a while to be found dead. */
async function storedCountBecomes(sim: Simulation, count: number): Promise<void> {
  while ((await storedCount()) > count) await sim.sleep(500);
  expect(await storedCount()).toBe(count);
}

async function errorOf(ref: ObjectRef<unknown>): Promise<unknown> {
  return get(ref).then(
    (value) => value,
    (error: unknown) => error,
  );
}

/** Stored values that the processes of the driver's node know of. */
async function storedCount(): Promise<number> {
  const rows = await list("objects", { limit: 1000 });
  return rows.filter(({ sizeBytes }) => sizeBytes >= size).length;
}

describe("a task whose node dies while it runs", () => {
  // Ray's case 6: test_override_max_retries.
  test.each([
    ["by default", {}, 4],
    ["with one retry", { maxRetries: 1 }, 2],
    ["without retries", { maxRetries: 0 }, 1],
  ])("test_override_max_retries: %s", async (_, options, most) => {
    await inClusters(async (sim) => {
      let runs = 0;
      const hang = remote({ ...there, ...options }, async () => {
        runs += 1;
        await new Promise(() => {});
      });
      const ref = hang.remote();
      for (let killed = 1; killed <= most; killed++) {
        await until(sim, () => runs === killed);
        replace(sim, 1);
      }
      const error = await errorOf(ref);
      expect(error).toBeInstanceOf(NodeDiedError);
      const attempts = `(attempt ${most} of ${most}; maxRetries ${most - 1})`;
      expect((error as Error).message).toContain(attempts);
      expect(runs).toBe(most);
    });
  });

  // Ray's case 9: test_worker_killer.
  test("test_worker_killer: three attempts that are killed, one that finishes", async () => {
    await inClusters(async (sim) => {
      const began: number[] = [];
      const count = remote(there, async () => {
        const { attemptNumber } = getRuntimeContext();
        began.push(attemptNumber);
        if (attemptNumber < 3) await new Promise(() => {});
        return attemptNumber;
      });
      const ref = count.remote();
      for (let killed = 1; killed <= 3; killed++) {
        await until(sim, () => began.length === killed);
        const [row] = await list("tasks");
        expect(row?.attemptNumber).toBe(killed - 1);
        replace(sim, 1);
      }
      expect(await get(ref)).toBe(3);
      expect(began).toEqual([0, 1, 2, 3]);
      const attempts = await list("tasks");
      const states = attempts.map(({ state, attemptNumber }) => `${state} ${attemptNumber}`);
      expect(states).toEqual(["FINISHED 3", "FAILED 2", "FAILED 1", "FAILED 0"]);
      const whys = attempts.map(({ errorMessage = "" }) => /node .* died|^$/.test(errorMessage));
      expect(whys).toEqual([true, true, true, true]);
    });
  });

  // Ray's case 8: test_no_resource_oversubscription_during_shutdown.
  test("test_no_resource_oversubscription_during_shutdown: none beside another", async () => {
    await inClusters(async (sim) => {
      const inside = new Map<string, number>();
      let runs = 0;
      const all = remote({ ...there, numCpus: 2 }, async (n: number) => {
        const { nodeId } = getRuntimeContext();
        const count = (inside.get(nodeId) ?? 0) + 1;
        expect(count).toBe(1);
        inside.set(nodeId, count);
        runs += 1;
        await new Promise((resolve) => void setTimeout(resolve, 20));
        inside.set(nodeId, count - 1);
        return n;
      });
      const refs = Array.from({ length: 8 }, (_, n) => all.remote(n));
      await until(sim, () => runs === 3);
      replace(sim, 1);
      expect(await get(refs)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
      expect(runs).toBe(9);
    });
  });

  // Ray's case 62: test_pending_task_dependency_pinning.
  test("test_pending_task_dependency_pinning: its retry has its arguments", async () => {
    await inClusters(async (sim) => {
      let runs = 0;
      const sumLater = remote(there, async (bytes: Uint8Array) => {
        if (runs++ === 0) await new Promise(() => {});
        return sumOf(bytes);
      });
      const given = put(bytesOf(3));
      const ref = sumLater.remote(given);
      drop(given);
      await until(sim, () => runs === 1);
      replace(sim, 1);
      expect(await get(ref)).toBe(3 * size);
    });
  });
});

describe("a ref that is known on several nodes", () => {
  // Ray's case 66: test_return_object_ref.
  test("test_return_object_ref: outlives the node of the task that passed it on", async () => {
    await inClusters(async (sim) => {
      const pass = remote(there, async (box: Box) => box);
      const ref = put(bytesOf(2));
      const passed = pass.remote({ ref });
      const box = await get(passed);
      drop(ref, passed);
      replace(sim, 1);
      expect(sumOf(await get(box.ref))).toBe(2 * size);
      drop(box.ref);
    });
  });

  // Ray's case 66: test_return_object_ref.
  test("test_return_object_ref: goes with its owner's node", async () => {
    await inClusters(async (sim) => {
      const maker = Keeper.options(there).remote();
      const { ref } = await get(maker.make.remote(2));
      const beganMs = sim.nowMs;
      sim.crash(1);
      expect(await errorOf(ref)).toBeInstanceOf(OwnerDiedError);
      expect(sim.nowMs - beganMs).toBeLessThan(30_000);
    });
  });

  // Ray's case 65: test_recursively_nest_ids.
  test("test_recursively_nest_ids: five deep, one of whose owners dies", async () => {
    await inClusters(async (sim) => {
      type Nested = { readonly inner: ObjectRef<Nested> | null };
      const nest = remote(async (inner: { ref: ObjectRef<Nested> }): Promise<Nested> => ({
        inner: put<Nested>({ inner: inner.ref }),
      }));
      const unnest = remote(beyond, async (value: Nested): Promise<number> => {
        let depth = 0;
        for (let { inner } = value; inner !== null; depth++) ({ inner } = await get(inner));
        return depth;
      });
      let ref = put<Nested>({ inner: null });
      for (const place of [beyond, beyond]) ref = nest.options(place).remote({ ref });
      expect(await get(unnest.remote(ref))).toBe(4);
      ref = nest.options(there).remote({ ref });
      await areMade(ref);
      sim.crash(1);
      const error = await errorOf(unnest.remote(ref));
      expect(error).toBeInstanceOf(TaskError);
      expect((error as TaskError).cause).toBeInstanceOf(OwnerDiedError);
    });
  });

  // Ray's case 68: test_borrowed_id_failure.
  test("test_borrowed_id_failure: the death of who passed it on frees nothing", async () => {
    const reached = new Set<string>();
    for (const afterMs of [0, 2, 4, 6, 8, 12, 20, 1_000]) {
      const reports = await inClusters(async (sim) => {
        const keeper = Keeper.options(beyond).remote();
        const forwarder = Forwarder.options(there).remote();
        const maker = Keeper.remote();
        expect(await get(keeper.read.remote())).toBe(-1);
        const box = await get(maker.make.remote(5));
        const forwarding = forwarder.forward.remote(box, { keeper });
        drop(box.ref);
        await sim.sleep(afterMs);
        sim.crash(1);
        // Either it never came, or it is whole: never freed under who has it, never waited for.
        expect(await errorOf(forwarding)).toBeInstanceOf(ActorDiedError);
        const kept = await get(keeper.read.remote());
        expect([-1, 5 * size]).toContain(kept);
        if (afterMs === 1_000) expect(kept).toBe(5 * size);
      });
      for (const report of reports) for (const state of report.reached) reached.add(state);
    }
    // It died between being asked for the hold and its being confirmed, somewhere.
    expect(reached).toContain("holdMakerDied");
  });

  // Ray's case 69: test_object_unpin.
  test("test_object_unpin: is freed when the last who has it dies, exactly then", async () => {
    await inClusters(async (sim) => {
      const keepers = [there, beyond].map((place) => Keeper.options(place).remote());
      const refs = [1, 2, 3].map((n) => put(bytesOf(n)));
      const [first, second, both] = refs as [Box["ref"], Box["ref"], Box["ref"]];
      const more = Keeper.options(beyond).remote();
      const keeping = [
        keepers[0]!.keep.remote({ ref: first }),
        keepers[1]!.keep.remote({ ref: second }),
        more.keep.remote({ ref: both }),
      ];
      expect(await get(keeping)).toEqual(["kept", "kept", "kept"]);
      drop(...refs, ...keeping);
      expect(await storedCount()).toBe(3);
      sim.crash(1);
      await storedCountBecomes(sim, 2);
      expect(await get(keepers[1]!.read.remote())).toBe(2 * size);
      sim.crash(2);
      await storedCountBecomes(sim, 0);
    });
  });
});

// Ray's case 13: test_wait_always_fetch_local.
describe("test_wait_always_fetch_local", () => {
  test.each([
    ["false moves no bytes", false],
    ["true brings what is ready here", true],
  ])("%s", async (_, fetchLocal) => {
    const make = remote(there, () => bytesOf(1));
    const reports = await inClusters(async (sim) => {
      const refs = [make.remote(), make.remote()];
      const [ready] = await wait(refs, { numReturns: 2, fetchLocal });
      expect(ready).toEqual(refs);
      await sim.sleep(1_000);
      drop(...refs);
    });
    for (const { reached } of reports) expect(reached.includes("pulled")).toBe(fetchLocal);
  });
});
