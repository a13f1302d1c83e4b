/**
 * V8 does not feel what refs and views keep in the arena: the store asks for collections itself.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { UserFolder } from "./user-folder.ts";

const program = `
import { get, init, remote } from "mobula";
const fill = remote((bytes, value) => new Uint8Array(bytes).fill(value));
const systemConfig = { overflowBytesMax: 0, spillDiskUsedMax: 0 };
await init({ numCpus: 1, objectStoreMemory: 64 << 20, systemConfig });
let sum = 0;
for (let i = 0; i < 400; i++) sum += (await get(fill.remote(1_000_000, 1)))[i];
console.log(sum);
`;

/** What a time-out is kept for must not keep what was got before it. */
const timed = `
import { get, init, remote } from "mobula";
const fill = remote((bytes, value) => new Uint8Array(bytes).fill(value));
const localMode = process.argv[2] === "local";
const systemConfig = { overflowBytesMax: 0, spillDiskUsedMax: 0 };
await init({ localMode, numCpus: 1, objectStoreMemory: 64 << 20, systemConfig });
let sum = 0;
for (let i = 0; i < 40; i++) {
  const ref = fill.remote(8_000_000, 1);
  sum += (await get(ref, { timeoutMs: 60_000 }))[i];
  ref[Symbol.dispose]();
}
console.log(sum);
`;

/** Each time the store grows by three times of what it has; all threads must let go of that. */
const growing = `
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { get, init, remote, shutdown } from "mobula";
import { list } from "mobula/state";
setFlagsFromString("--expose-gc");
const gc = runInNewContext("gc");
const words = 1 << 17;
const make = remote((n) => new Float64Array(words).fill(n));
const localMode = process.argv[2] === "local";
await init({ localMode, numCpus: 2, objectStoreMemory: 16 << 20 });
const refs = Array.from({ length: 64 }, (_, n) => make.remote(n));
const areWell = async () =>
  (await get(refs)).every((value, n) => value.length === words && value[words - 1] === n);
const usedBytes = () => process.memoryUsage().arrayBuffers;
/** Read no more by this thread; the others collect when much has come together. */
const isSmallSoon = async () => {
  for (let i = 0; i < 500; i++) {
    gc();
    await new Promise((resolve) => setTimeout(resolve, 20));
    const [{ objectStore }] = await list("nodes");
    if (objectStore.overflowBytes < 16 << 20 && usedBytes() < 130 << 20) return true;
  }
  return false;
};
const rounds = [];
for (let i = 0; i < 6; i++) rounds.push(await areWell(), await isSmallSoon());
await shutdown();
console.log(JSON.stringify(rounds.every(Boolean) ? "well" : [rounds, usedBytes()]));
`;

/** All in one turn of the event loop. */
const disposing = `
import { init, put } from "mobula";
await init({ numCpus: 1, objectStoreMemory: 64 << 20 });
const value = new Uint8Array(20_000_000);
for (let i = 0; i < 10; i++) put(value)[Symbol.dispose]();
console.log("room for all");
`;

let folder: UserFolder;
beforeAll(() => {
  folder = new UserFolder();
  folder.write("disposing.mjs", disposing);
  folder.write("dropped.mjs", program);
  folder.write("timed.mjs", timed);
  folder.write("growing.mjs", growing);
});
afterAll(() => folder.remove());

test(
  "a store of 64 MiB carries 400 MB of values got and dropped",
  { timeout: 90_000 },
  async () => {
    const { status, output } = await folder.run("dropped.mjs", { timeoutMs: 80_000 });
    expect(status, output).toBe(0);
    expect(output.trim()).toBe("400");
  },
);

test.each(["threads", "local"])(
  "what was got with a time-out goes before that, %s",
  { timeout: 60_000 },
  async (mode) => {
    const { status, output } = await folder.run("timed.mjs", { args: [mode], timeoutMs: 50_000 });
    expect(status, output).toBe(0);
    expect(output.trim()).toBe("40");
  },
);

test("what was disposed makes room at once", async () => {
  const { status, output } = await folder.run("disposing.mjs");
  expect(status, output).toBe(0);
  expect(output.trim()).toBe("room for all");
});

test.each(["threads", "local"])(
  "what lay beyond the store is memory again when nobody reads it, %s",
  { timeout: 90_000 },
  async (mode) => {
    const { status, output } = await folder.run("growing.mjs", { args: [mode], timeoutMs: 80_000 });
    expect(status, output).toBe(0);
    expect(output.trim()).toBe('"well"');
  },
);
