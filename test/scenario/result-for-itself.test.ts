/**
 * Seed 14599 of the random programs: a worker ran a task that it had called itself, whose reply to
 * it waited for a hold on an argument. When that came, the object that the result named was let go
 * of before the worker had taken its own reply.
 */
import { expect, test } from "vitest";
import { get, put } from "#api/get.ts";
import { remote } from "#api/remote.ts";
import type { ObjectRef } from "#api/types.ts";
import { simulate } from "#sim/simulate.ts";

interface Box {
  readonly ref: ObjectRef<number>;
}

const make = remote((_given: Box): Box => {
  const ref = put(7);
  // Once the result is encoded it names the object itself.
  setTimeout(() => ref[Symbol.dispose](), 0.5);
  return { ref };
});
const read = remote(({ ref }: Box) => get(ref));
const slow = remote(async (ms: number) => {
  await new Promise((resolve) => void setTimeout(resolve, ms));
  return ms;
});
// While it waits its own worker is leased to what it calls.
const outer = remote(async ({ ref }: Box) => {
  const made = make.remote({ ref });
  const reading = read.remote(made);
  await get(ref);
  return get(reading);
});

test("what a result names stays until its own process has taken it", async () => {
  for (let seed = 0; seed < 60; seed++) {
    const init = { numCpus: 1 };
    const report = await simulate({ seed, nodes: 1, init }, () =>
      get(outer.remote({ ref: slow.remote(3) })),
    );
    expect(report.check()).toBe(7);
  }
});
