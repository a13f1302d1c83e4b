/**
 * Found by random programs: a task and one that it called ran in the same process, and the answer
 * waited for a hold. What it named was let go when that came, before the caller had taken the
 * answer: the ref inside the value led to nothing, and its use was dropped twice.
 */
import { expect, test } from "vitest";
import { get, put } from "#api/get.ts";
import { remote } from "#api/remote.ts";
import type { ActorHandle, ObjectRef } from "#api/types.ts";
import { simulate } from "#sim/simulate.ts";

class Idle {
  nothing(): number {
    return 0;
  }
}
const IdleActor = remote(Idle);
interface Given {
  readonly actor: ActorHandle<Idle>;
}

/** Disposes of its ref while the answer waits for the handle, which it goes on using. */
const makeRef = remote((_given: Given): { ref: ObjectRef<number> } => {
  const ref = put(7);
  queueMicrotask(() => ref[Symbol.dispose]());
  return { ref };
});
const useRef = remote(async (given: Given): Promise<number> => {
  const { ref } = await get(makeRef.remote(given));
  return get(ref);
});

test("an answer to the process itself keeps what it names until it is taken", async () => {
  for (let seed = 0; seed < 20; seed++) {
    const options = { seed, nodes: 1, init: { numCpus: 1 } };
    const report = await simulate(options, async () => {
      const actor = IdleActor.options({ numCpus: 0 }).remote();
      return get(useRef.remote({ actor }));
    });
    expect(report.check()).toBe(7);
  }
});
