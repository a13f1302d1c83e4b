/**
 * Found by the random programs: a task's result names a ref and waits for room in the arena. The
 * task's code disposed of the ref meanwhile, and the object was freed under the result.
 */
import { expect, test } from "vitest";
import { get, put } from "#api/get.ts";
import { remote } from "#api/remote.ts";
import type { ObjectRef } from "#api/types.ts";
import { simulate } from "#sim/simulate.ts";

interface Boxed {
  readonly ref: ObjectRef<number>;
  readonly pad: Uint8Array;
}

const makeBox = remote((): Boxed => {
  const ref = put(7);
  setTimeout(() => ref[Symbol.dispose](), 0);
  return { ref, pad: new Uint8Array(3_000) };
});

test("a result keeps what it names while it waits for room", async () => {
  const init = { systemConfig: { inlineBytesMax: 1_024 } };
  for (let seed = 0; seed < 10; seed++) {
    const report = await simulate({ seed, nodes: 1, init }, async () => {
      const { ref } = await get(makeBox.remote());
      return get(ref);
    });
    expect(report.check()).toBe(7);
  }
});
