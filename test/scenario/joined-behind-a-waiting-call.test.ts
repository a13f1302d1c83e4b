/**
 * Found by a random program: a call waits for the hold on a ref that it sends on, and meanwhile
 * getIfExists finds its actor a second time in the same process. The next call of the first handle
 * went the way of the second, and overtook. All calls of a process go one way, as they were made.
 */
import { expect, test } from "vitest";
import { get, put } from "#api/get.ts";
import { remote } from "#api/remote.ts";
import type { ObjectRef } from "#api/types.ts";
import { simulate } from "#sim/simulate.ts";

type Box = { readonly ref: ObjectRef<number> };

const make = remote({ resources: { there: 1 } }, (): Box => {
  const ref = put(1);
  setTimeout(() => ref[Symbol.dispose](), 1);
  return { ref };
});
const Log = remote(
  class Log {
    readonly #seen: string[] = [];
    note(text: string, _box: Box | null): void {
      this.#seen.push(text);
    }
    seen(): string[] {
      return this.#seen;
    }
  },
);

test("calls of a handle stay in order when its actor is found again", async () => {
  const nodes = [{}, { resources: { there: 1 } }];
  const slow = { kind: "slowLink", from: 0, to: 1, delayMs: 30, forMs: 1_000, at: 150 } as const;
  for (let seed = 0; seed < 5; seed++) {
    const report = await simulate({ seed, nodes, faults: [slow] }, async (sim) => {
      const named = Log.options({ name: "log", getIfExists: true, numCpus: 0 });
      await sim.sleep(100);
      const first = named.remote();
      await get(first.note.remote("made", null));
      const box = await get(make.remote());
      await sim.sleep(160 - sim.nowMs);
      const second = named.remote();
      first.note.remote("with a ref", box);
      await get(second.note.remote("by another", null));
      return get([first.note.remote("behind it", null), first.seen.remote()]);
    });
    const [, seen] = report.check();
    expect(seen).toEqual(["made", "with a ref", "by another", "behind it"]);
  }
});
