/** Oracle 3 in the simulator: who wrote into a view is found, whatever the seed. */
import { expect, test } from "vitest";
import { get, put } from "#api/get.ts";
import { remote } from "#api/remote.ts";
import { simulate } from "#sim/simulate.ts";

const corrupt = remote(function writing(bytes: Uint8Array): void {
  bytes[5] = 7;
});
const read = remote(function reading(bytes: Uint8Array): number {
  return bytes[5] ?? -1;
});
const length = 200_000;

test("a task that writes into its argument is named", async () => {
  for (let seed = 0; seed < 10; seed++) {
    const { violations } = await simulate({ seed, nodes: 1 }, async () => {
      const ref = put(new Uint8Array(length).fill(1));
      await get([read.remote(ref), corrupt.remote(ref)]);
      return get(ref).then((bytes) => bytes.length);
    });
    const [violation] = violations;
    expect(violation?.oracle).toBe("3 immutability");
    expect(violation?.message).toMatch(/its bytes changed after it was sealed.*task writing/);
  }
});

test("tasks that copy first, and values that hold themselves, are not", async () => {
  for (let seed = 0; seed < 10; seed++) {
    const { violations, result } = await simulate({ seed, nodes: 1 }, async () => {
      const ref = put(new Uint8Array(length).fill(1));
      const copy = (await get(ref)).slice();
      copy[5] = 7;
      const shared = { text: "once" };
      const value: Record<string, unknown> = { first: shared, second: shared };
      value.self = value;
      const back = put(value);
      await get(back);
      await get(back);
      return get([read.remote(ref), read.remote(ref)]);
    });
    expect(violations).toEqual([]);
    expect(result).toEqual([1, 1]);
  }
});
