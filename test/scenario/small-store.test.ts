/**
 * Found by the random programs: in a store of 16 MB the chunks that each process keeps filled it,
 * and a result of a hundred bytes was an ObjectStoreFullError.
 */
import { expect, test } from "vitest";
import { get } from "#api/get.ts";
import { remote } from "#api/remote.ts";
import { simulate } from "#sim/simulate.ts";

const makeBytes = remote(async (n: number) => {
  await new Promise((resolve) => void setTimeout(resolve, 5));
  return new Uint8Array(100).fill(n);
});

test.each([1, 16])("small results of many workers fit a store of %d MB", async (megabytes) => {
  const numCpus = 16;
  const init = {
    numCpus,
    objectStoreMemory: megabytes << 20,
    systemConfig: { inlineBytesMax: 64 },
  };
  const report = await simulate({ seed: 12, nodes: 1, init }, () =>
    get(Array.from({ length: numCpus }, (_, n) => makeBytes.remote(n))),
  );
  expect(report.check().map((bytes) => bytes.reduce((a, b) => a + b))).toEqual(
    Array.from({ length: numCpus }, (_, n) => 100 * n),
  );
});
