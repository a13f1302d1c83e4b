/**
 * A worker that puts for long never runs out of segments of its own: nothing goes to files. When
 * the system has no memory for one, the value does.
 */
import { readdirSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { UserFolder } from "./user-folder.ts";

const program = `
import { setImmediate } from "node:timers/promises";
import { get, init, put, remote, shutdown } from "mobula";
import { readdirSync } from "node:fs";

/** Larger than a chunk of the arena. */
const size = 66_000;
const churn = remote(async (count) => {
  for (let n = 0; n < count; n++) {
    put(new Uint8Array(size))[Symbol.dispose]();
    // So that what was dropped is given back.
    if (n % 50 === 0) await setImmediate();
  }
  return [put(new Uint8Array(size).fill(7))];
});

const { SharedArrayBuffer } = globalThis;
const putWithout = remote(() => {
  globalThis.SharedArrayBuffer = class {
    constructor() {
      throw new RangeError("Array buffer allocation failed");
    }
  };
  try {
    return [put(new Uint8Array(size).fill(9))];
  } finally {
    globalThis.SharedArrayBuffer = SharedArrayBuffer;
  }
});

const spillDirectory = "./spilled";
const systemConfig = { arenaChunkBytes: 65_536 };
await init({ numCpus: 1, objectStoreMemory: 256 << 20, spillDirectory, systemConfig });
const [ref] = await get(churn.remote(17_000));
const value = await get(ref);
console.log(value.length === size && value[size - 1] === 7, readdirSync(spillDirectory));
const [inFile] = await get(putWithout.remote());
const read = await get(inFile);
console.log(read.length === size && read[size - 1] === 9, readdirSync(spillDirectory).length);
await shutdown();
`;

let folder: UserFolder;
beforeAll(() => {
  folder = new UserFolder();
  folder.write("churn.mjs", program);
});
afterAll(() => folder.remove());

test("17,000 values of a worker, one after the other", async () => {
  const { status, output } = await folder.run("churn.mjs");
  expect(output).toBe("true []\ntrue 1\n");
  expect(status).toBe(0);
  expect(readdirSync(`${folder.path}/spilled`)).toEqual([]);
});
