/**
 * Found by test/simulation/lineage under memory pressure: of a task's two results one found room in
 * the store and the other did not. The task failed, and the room of the first was never given back.
 */
import { describe, expect, test } from "vitest";
import { TaskError } from "#api/errors.ts";
import { get } from "#api/get.ts";
import { remote } from "#api/remote.ts";
import type { ObjectRef } from "#api/types.ts";
import { simulate } from "#sim/simulate.ts";

const large = 700_000;
const makeTwo = remote({ numReturns: 2, maxRetries: 0 }, (): [Uint8Array, Uint8Array] => {
  return [new Uint8Array(large), new Uint8Array(large)];
});
const makeBad = remote({ numReturns: 2, maxRetries: 0 }, (): [Uint8Array, unknown] => {
  return [new Uint8Array(large), Symbol("this cannot travel")];
});
const makeOne = remote(() => new Uint8Array(large));

describe.each([
  ["has no room", makeTwo],
  ["cannot be encoded", makeBad],
])("one result of two %s", (_, make) => {
  test("the other gives its room back", async () => {
    const init = { objectStoreMemory: 1 << 20, systemConfig: { overflowBytesMax: 0 } };
    const report = await simulate({ seed: 1, nodes: 1, init }, async () => {
      const refs: readonly ObjectRef<unknown>[] = make.remote();
      const error = await get(refs).catch((thrown: unknown) => thrown);
      return { error, bytes: await get(makeOne.remote()) };
    });
    const { error, bytes } = report.check();
    expect(error).toBeInstanceOf(TaskError);
    expect(bytes.length).toBe(large);
  });
});
