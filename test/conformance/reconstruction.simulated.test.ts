/**
 * Values that are lost with their node and made anew, named after Ray's tests of reconstruction.
 * Ray kills a node of a small cluster and adds another with the same resources; so do these.
 */
import { describe, expect, test } from "vitest";
import {
  GetTimeoutError,
  type ObjectReconstructionFailedError,
  OwnerDiedError,
} from "#api/errors.ts";
import { get, put, wait } from "#api/get.ts";
import { remote } from "#api/remote.ts";
import { list } from "#api/state.ts";
import type { ObjectRef } from "#api/types.ts";
import {
  areMade,
  beyond,
  bytesOf,
  drop,
  here,
  inClusters,
  reasonOf,
  replace,
  size,
  stored,
  sumOf,
  there,
} from "./lossy-clusters.ts";

const sum = remote(there, sumOf);

function nameOf(error: unknown): string {
  return (error as ObjectReconstructionFailedError).reason;
}

/** A value that a task on one node has put, and what another made of it. */
async function putAndDoubled() {
  const runs = { double: 0 };
  const putThere = remote({ ...there, maxRetries: 0 }, () => ({ ref: put(bytesOf(1)) }));
  const double = remote(beyond, (bytes: Uint8Array) => {
    runs.double += 1;
    return bytes.map((byte) => 2 * byte);
  });
  const { ref } = await get(putThere.remote());
  const doubled = double.remote(ref);
  await areMade(doubled);
  return { ref, double, doubled, runs };
}

describe("a value whose node has died", () => {
  // Ray's case 71: test_basic_reconstruction.
  test("test_basic_reconstruction: is made anew once with one retry, then no more", async () => {
    await inClusters(async (sim) => {
      let runs = 0;
      const make = remote({ ...there, maxRetries: 1 }, () => bytesOf((runs += 1)));
      const ref = make.remote();
      expect(await get(sum.remote(ref))).toBe(size);
      replace(sim, 1);
      expect(await get(sum.remote(ref))).toBe(2 * size);
      replace(sim, 1);
      expect(await reasonOf(sum.remote(ref))).toBe("MAX_ATTEMPTS_EXCEEDED");
      expect(await reasonOf(ref)).toBe("MAX_ATTEMPTS_EXCEEDED");
      expect(runs).toBe(2);
    });
  });

  // Ray's case 71: test_basic_reconstruction.
  test("test_basic_reconstruction: of a task without retries is lost for good", async () => {
    await inClusters(async (sim) => {
      let runs = 0;
      const make = remote({ ...there, maxRetries: 0 }, () => bytesOf((runs += 1)));
      const ref = make.remote();
      await areMade(ref);
      replace(sim, 1);
      expect(await reasonOf(sum.remote(ref))).toBe("RETRIES_DISABLED");
      expect(runs).toBe(1);
    });
  });

  // Ray's case 72: test_basic_reconstruction_put.
  test("test_basic_reconstruction_put: what was put goes with its owner", async () => {
    await inClusters(async (sim) => {
      const { ref, double, doubled, runs } = await putAndDoubled();
      replace(sim, 1);
      await expect(get(ref)).rejects.toBeInstanceOf(OwnerDiedError);
      // What was made of it is there, until it is lost in turn.
      expect(sumOf(await get(doubled))).toBe(2 * size);
      const again = double.remote(ref);
      await expect(get(again)).rejects.toBeInstanceOf(OwnerDiedError);
      expect(runs.double).toBe(1);
    });
  });

  // Ray's case 72: test_basic_reconstruction_put.
  test("test_basic_reconstruction_put: is made anew of what the driver has put", async () => {
    await inClusters(async (sim) => {
      let runs = 0;
      const double = remote(there, (bytes: Uint8Array) => {
        runs += 1;
        return bytes.map((byte) => 2 * byte);
      });
      const given = put(bytesOf(1));
      const doubled = double.remote(given);
      drop(given);
      await areMade(doubled);
      replace(sim, 1);
      expect(sumOf(await get(doubled))).toBe(2 * size);
      expect(runs).toBe(2);
    });
  });

  // Ray's case 72: test_basic_reconstruction_put.
  test("test_basic_reconstruction_put: is lost if the put value it was made of is", async () => {
    await inClusters(async (sim) => {
      const { doubled, runs } = await putAndDoubled();
      replace(sim, 1);
      replace(sim, 2);
      expect(await reasonOf(doubled)).toBe("DEPENDENCY_FAILED");
      expect(runs.double).toBe(1);
    });
  });

  // Ray's case 73: test_basic_reconstruction_actor_lineage_disabled.
  test("test_basic_reconstruction_actor_lineage_disabled: of an actor goes with it", async () => {
    await inClusters(async (sim) => {
      const Maker = remote(
        there,
        class {
          make(): Uint8Array {
            return bytesOf(1);
          }
        },
      );
      const ref = Maker.remote().make.remote();
      await areMade(ref);
      replace(sim, 1);
      expect(await reasonOf(ref)).toBe("RETRIES_DISABLED");
    });
  });

  // Ray's case 73: test_basic_reconstruction_actor_constructor.
  test("test_basic_reconstruction_actor_constructor: is made anew for a constructor", async () => {
    await inClusters(async (sim) => {
      let runs = 0;
      const make = remote(there, () => bytesOf((runs += 1)));
      const Reader = remote(
        class {
          readonly #sum: number;
          constructor(bytes: Uint8Array) {
            this.#sum = sumOf(bytes);
          }
          sum(): number {
            return this.#sum;
          }
        },
      );
      const ref = make.remote();
      await areMade(ref);
      replace(sim, 1);
      expect(await get(Reader.options(beyond).remote(ref).sum.remote())).toBe(2 * size);
      expect(runs).toBe(2);
    });
  });

  // Ray's case 76: test_nondeterministic_output.
  test("test_nondeterministic_output: may come back as another kind of value", async () => {
    await inClusters(async (sim) => {
      let runs = 0;
      const make = remote(there, (): Uint8Array | string => (runs++ === 0 ? bytesOf(1) : "small"));
      const lengthOf = remote(there, (value: Uint8Array | string) => value.length);
      const ref = make.remote();
      expect(await get(lengthOf.remote(ref))).toBe(size);
      replace(sim, 1);
      expect(await get(lengthOf.remote(ref))).toBe("small".length);
      expect(await get(ref)).toBe("small");
      replace(sim, 1);
      expect(await get(lengthOf.remote(ref))).toBe("small".length);
      expect(runs).toBe(2);
    });
  });

  // Ray's case 76: test_reconstruction_hangs.
  test("test_reconstruction_hangs: is waited for, however long it takes to make", async () => {
    await inClusters(async (sim) => {
      let runs = 0;
      const make = remote(there, async () => {
        runs += 1;
        await new Promise((resolve) => void setTimeout(resolve, 25_000));
        return bytesOf(runs);
      });
      const ref = make.remote();
      await areMade(ref);
      replace(sim, 1);
      // The death is found out first.
      await sim.sleep(20_000);
      const early = await get(ref, { timeoutMs: 1_000 }).catch((error: unknown) => error);
      expect(early).toBeInstanceOf(GetTimeoutError);
      expect((early as Error).message).toMatch(/runs again to make what was lost .*node died/);
      expect(sumOf(await get(ref))).toBe(2 * size);
      expect(runs).toBe(2);
    });
  });
});

describe("another copy", () => {
  // Ray's case 74: test_cached_object.
  test("test_cached_object: takes the place of the one that is lost", async () => {
    const reports = await inClusters(async (sim) => {
      let runs = 0;
      const make = remote(there, () => bytesOf((runs += 1)));
      const ref = make.remote();
      await get(sum.options(beyond).remote(ref));
      replace(sim, 1);
      expect(await get(sum.options(beyond).remote(ref))).toBe(size);
      expect(await get(sum.options(here).remote(ref))).toBe(size);
      expect(runs).toBe(1);
    });
    for (const { reached } of reports) {
      expect(reached).toContain("copyRepinned");
      expect(reached).not.toContain("objectRecovered");
    }
  });

  // Ray's case 74: test_reconstruction_cached_dependency.
  test("test_reconstruction_cached_dependency: of an argument is used for it", async () => {
    await inClusters(async (sim) => {
      const runs = { make: 0, double: 0 };
      const make = remote(there, () => bytesOf((runs.make += 1)));
      const double = remote(there, (bytes: Uint8Array) => {
        runs.double += 1;
        return bytes.map((byte) => 2 * byte);
      });
      const ref = make.remote();
      const doubled = double.remote(ref);
      await get(sum.options(beyond).remote(ref));
      await areMade(doubled);
      replace(sim, 1);
      expect(await get(sum.remote(doubled))).toBe(2 * size);
      expect(runs).toEqual({ make: 1, double: 2 });
    });
  });
});

describe("what a lost value was made of", () => {
  // Ray's case 75: test_multiple_downstream_tasks.
  test("test_multiple_downstream_tasks: is made anew once for all of them", async () => {
    await inClusters(async (sim) => {
      const runs = { make: 0, add: 0 };
      const make = remote(there, () => {
        runs.make += 1;
        return bytesOf(1);
      });
      const add = remote(there, (bytes: Uint8Array, n: number) => {
        runs.add += 1;
        return bytes.map((byte) => byte + n);
      });
      const ref = make.remote();
      const added = [1, 2, 3, 4].map((n) => add.remote(ref, n));
      await areMade(...added);
      replace(sim, 1);
      const sums = await get(added.map((one) => sum.remote(one)));
      expect(sums).toEqual([2, 3, 4, 5].map((n) => n * size));
      expect(runs).toEqual({ make: 2, add: 8 });
    });
  });

  // Ray's case 75: test_reconstruct_freed_object.
  test("test_reconstruct_freed_object: is made anew though nobody has a ref to it", async () => {
    await inClusters(async (sim) => {
      const runs = [0, 0, 0];
      const make = remote(there, () => {
        runs[0]! += 1;
        return bytesOf(1);
      });
      const next = remote(there, (bytes: Uint8Array, depth: number) => {
        runs[depth]! += 1;
        return bytes.map((byte) => byte + 1);
      });
      const first = make.remote();
      const second = next.remote(first, 1);
      const third = next.remote(second, 2);
      await areMade(third);
      drop(first, second);
      replace(sim, 1);
      expect(await get(sum.remote(third))).toBe(3 * size);
      expect(runs).toEqual([2, 2, 2]);
    });
  });

  // Ray's case 75: test_multiple_returns.
  test("test_multiple_returns: only the return that is lost is replaced", async () => {
    await inClusters(async (sim) => {
      let runs = 0;
      const makeTwo = remote({ ...there, numReturns: 2 }, (): [Uint8Array, Uint8Array] => {
        runs += 1;
        return [bytesOf(runs), bytesOf(10 * runs)];
      });
      const [first, second] = makeTwo.remote();
      await areMade(first, second);
      // Has another copy, and stays what it was.
      expect(await get(sum.options(beyond).remote(first))).toBe(size);
      replace(sim, 1);
      expect(await get(sum.remote(second))).toBe(20 * size);
      expect(await get(sum.remote(first))).toBe(size);
      expect(runs).toBe(2);
    });
  });

  // Ray's case 75: test_nested.
  test("test_nested: refs inside of it, and what they name, are made anew with it", async () => {
    await inClusters(async (sim) => {
      const runs = { inner: 0, outer: 0 };
      const makeInner = remote(there, () => bytesOf((runs.inner += 1)));
      const makeOuter = remote(there, ({ inner }: { inner: ObjectRef<Uint8Array> }) => {
        return { inner, bytes: bytesOf(10 * (runs.outer += 1)) };
      });
      const inner = makeInner.remote();
      const outer = makeOuter.remote({ inner });
      await areMade(inner, outer);
      drop(inner);
      replace(sim, 1);
      const value = await get(outer);
      expect(sumOf(value.bytes)).toBe(20 * size);
      expect(sumOf(await get(value.inner))).toBe(2 * size);
      expect(runs).toEqual({ inner: 2, outer: 2 });
    });
  });
});

describe("lineage", () => {
  // Ray's case 77: test_lineage_evicted.
  test("test_lineage_evicted: beyond its bound the oldest cannot be made anew", async () => {
    const init = { systemConfig: { ...stored.systemConfig, maxLineageBytes: 10_000 } };
    const program = async (sim: Parameters<Parameters<typeof inClusters>[0]>[0]): Promise<void> => {
      let runs = 0;
      const make = remote(there, (n: number) => {
        runs += 1;
        return bytesOf(n);
      });
      const refs = Array.from({ length: 60 }, (_, n) => make.remote(n));
      await areMade(...refs);
      replace(sim, 1);
      const outcomes = await Promise.all(
        refs.map((ref, n) => get(ref).then((bytes) => sumOf(bytes) === n * size, nameOf)),
      );
      const madeAnew = outcomes.filter((outcome) => outcome === true).length;
      const evicted = outcomes.filter((outcome) => outcome === "LINEAGE_EVICTED").length;
      expect(Math.min(madeAnew, evicted)).toBeGreaterThan(0);
      expect([madeAnew + evicted, runs]).toEqual([60, 60 + madeAnew]);
    };
    await inClusters(program, { init });
  });

  // Ray's case 77: test_memory_util.
  test("test_memory_util: the state tells of the attempt that makes a value anew", async () => {
    await inClusters(async (sim) => {
      let open = (): void => {};
      const opened = new Promise<void>((resolve) => (open = resolve));
      const make = remote(there, async function make() {
        if (runs++ > 0) await opened;
        return bytesOf(1);
      });
      const double = remote(there, function double(bytes: Uint8Array) {
        return bytes.map((byte) => 2 * byte);
      });
      let runs = 0;
      const states = async (): Promise<string[]> => {
        const rows = await list("tasks");
        const texts = rows.map(({ name, attemptNumber, state }) => {
          return `${name.split(" ")[0]} ${attemptNumber} ${state}`;
        });
        return texts.sort();
      };
      const ref = make.remote();
      const doubled = double.remote(ref);
      await areMade(doubled);
      const before = ["double 0 FINISHED", "make 0 FINISHED"];
      expect(await states()).toEqual(before);
      replace(sim, 1);
      await wait([doubled], { timeoutMs: 20_000 });
      const [doubledFirst, madeFirst] = before;
      expect(await states()).toEqual([
        doubledFirst,
        "double 1 PENDING_ARGS_AVAIL",
        madeFirst,
        "make 1 SUBMITTED_TO_WORKER",
      ]);
      open();
      expect(sumOf(await get(doubled))).toBe(2 * size);
      const after = ["double 1 FINISHED", "make 1 FINISHED"];
      expect(await states()).toEqual([...before, ...after].sort());
    });
  });
});
