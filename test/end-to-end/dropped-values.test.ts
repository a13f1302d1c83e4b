/**
 * V8 does not feel what refs and views keep in the arena: the store asks for collections itself.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { UserFolder } from "./user-folder.ts";

const program = `
import { get, init, remote } from "mobula";
const fill = remote((bytes, value) => new Uint8Array(bytes).fill(value));
await init({ numCpus: 1, objectStoreMemory: 64 << 20 });
let sum = 0;
for (let i = 0; i < 400; i++) sum += (await get(fill.remote(1_000_000, 1)))[i];
console.log(sum);
`;

/** What a time-out is kept for must not keep what was got before it. */
const timed = `
import { get, init, remote } from "mobula";
const fill = remote((bytes, value) => new Uint8Array(bytes).fill(value));
const localMode = process.argv[2] === "local";
const systemConfig = { spillDiskUsedMax: 0 };
await init({ localMode, numCpus: 1, objectStoreMemory: 64 << 20, systemConfig });
let sum = 0;
for (let i = 0; i < 40; i++) {
  const ref = fill.remote(8_000_000, 1);
  sum += (await get(ref, { timeoutMs: 60_000 }))[i];
  ref[Symbol.dispose]();
}
console.log(sum);
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
