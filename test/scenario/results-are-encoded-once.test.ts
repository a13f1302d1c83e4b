/**
 * Found by reading: several results of a task that find no room are placed again, for which they
 * were encoded again. Their getters ran again, and what had changed meanwhile was returned.
 */
import { describe, expect, test } from "vitest";
import { get, put } from "#api/get.ts";
import { remote } from "#api/remote.ts";
import type { ObjectRef } from "#api/types.ts";
import type { Fault } from "#sim/faults/fault.ts";
import { simulate } from "#sim/simulate.ts";

const length = 100_000;
const runs = new Map<string, number>();

function counted(name: string, text: string): { readonly text: string } {
  return {
    get text() {
      runs.set(name, (runs.get(name) ?? 0) + 1);
      return text.repeat(length);
    },
  };
}

const makeTwo = remote({ numReturns: 2, maxRetries: 0 }, () => {
  return [counted("first", "a"), counted("second", "b")] as [{ text: string }, { text: string }];
});
const Changing = remote(
  class Changing {
    #texts: [string[], string[]] = [["a".repeat(length)], ["b".repeat(length)]];
    #bytes = new Uint8Array(length).fill(1);

    both(): [string[], { texts: string[]; bytes: Uint8Array }] {
      setTimeout(() => {
        for (const list of this.#texts) list[0] = "changed";
        this.#bytes.fill(2);
      }, 1);
      return [this.#texts[0], { texts: this.#texts[1], bytes: this.#bytes }];
    }
  },
);
interface Boxed {
  readonly ref: ObjectRef<number>;
  readonly pad: string;
}
/** The first may have room when the second has none: it lets go of what both name. */
const makeBoxes = remote({ numReturns: 2, maxRetries: 0 }, (pads: readonly number[]) => {
  const refs = pads.map((_, i) => put(i));
  setTimeout(() => refs.forEach((ref) => ref[Symbol.dispose]()), 1);
  return pads.map((pad, i) => ({ ref: refs[i], pad: "x".repeat(pad) })) as [Boxed, Boxed];
});

/** Another process takes all that is free, until they have waited in vain twice. */
const faults: Fault[] = [
  { at: 50, kind: "memoryPressure", node: 0, bytes: (1 << 20) - 1, forMs: 1_500 },
];
const init = { objectStoreMemory: 1 << 20, systemConfig: { pullRoomTimeoutMs: 500 } };

async function inFullStore<R>(seed: number, make: () => Promise<R>): Promise<R> {
  const report = await simulate({ seed, nodes: 1, init, faults }, async (sim) => {
    await sim.sleep(100);
    const made = await make();
    expect(sim.nowMs).toBeGreaterThan(1_500);
    return made;
  });
  return report.check();
}

describe.each([1, 2, 3])("in a store that is full, seed %d", (seed) => {
  test("getters of several results run once", async () => {
    runs.clear();
    const [first, second] = await inFullStore(seed, () => get(makeTwo.remote()));
    expect([first.text[0], second.text[0]]).toEqual(["a", "b"]);
    expect(Object.fromEntries(runs)).toEqual({ first: 1, second: 1 });
  });

  test("several results of an actor are of the moment in which it returned", async () => {
    const [texts, more] = await inFullStore(seed, async () => {
      const actor = Changing.remote();
      return get(actor.both.options({ numReturns: 2 }).remote());
    });
    expect(texts[0]?.[0]).toBe("a");
    expect(more.texts[0]?.[0]).toBe("b");
    expect(more.bytes.every((byte) => byte === 1)).toBe(true);
  });

  test.each([[[10, length]], [[length, 10]], [[3_000, length]]])(
    "what several results of %j characters name is kept until all have room",
    async (pads) => {
      const numbers = await inFullStore(seed, async () => {
        const boxes = await get(makeBoxes.remote(pads));
        return get(boxes.map(({ ref }) => ref));
      });
      expect(numbers).toEqual([0, 1]);
    },
  );
});
