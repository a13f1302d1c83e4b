/**
 * Ray's `test_spill_objects_automatically` in small: ten times of what a store holds, random reads
 * of it, and tasks that take it in parts. The files lie where they were told to, and go with the
 * runtime. Also with a program that puts all of it without waiting for anything.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { UserFolder } from "./user-folder.ts";

const program = `
import { existsSync, readdirSync } from "node:fs";
import { get, init, remote, shutdown, wait } from "mobula";
import { list } from "mobula/state";

const words = 1 << 18;
const count = 80;
const make = remote((n, length) => new Float64Array(length).fill(n));
const sum = remote((...parts) => parts.reduce((total, part) => total + part[part.length - 1], 0));

const localMode = process.argv[2] === "local";
const spillDirectory = "./spilled";
await init({ localMode, numCpus: 2, objectStoreMemory: 16 << 20, spillDirectory });
const refs = Array.from({ length: count }, (_, n) => make.remote(n, words));
await wait(refs, { numReturns: count });
const rows = await list("objects");
const isSpilled = readdirSync(spillDirectory).length === 1 && rows.some((row) => row.spilled);
let at = 1;
let wrong = 0;
for (let i = 0; i < 200; i++) {
  at = (at * 31 + 7) % count;
  const value = await get(refs[at]);
  if (value.length !== words || value[0] !== at || value[words - 1] !== at) wrong += 1;
}
const sums = [];
for (let n = 0; n + 3 < count; n += 4) sums.push(sum.remote(...refs.slice(n, n + 4)));
const total = (await get(sums)).reduce((a, b) => a + b, 0);
const [{ objectStore }] = await list("nodes");
const { capacityBytes, usedBytes, spilledObjects, spilledBytes } = objectStore;
const { restoredObjects, restoredBytes, spillFiles } = objectStore;
const isCounted =
  usedBytes <= capacityBytes && spilledBytes >= spilledObjects * words * 8 &&
  spilledObjects >= count / 2 && restoredObjects > 0 &&
  restoredBytes >= restoredObjects * words * 8 && spillFiles > 0;
await shutdown();
const left = existsSync(spillDirectory) ? readdirSync(spillDirectory).length : 0;
console.log(JSON.stringify({ isSpilled, isCounted, wrong, total, left }));
`;

const putting = `
import { existsSync, readdirSync } from "node:fs";
import { get, init, put, remote, shutdown } from "mobula";
import { list } from "mobula/state";

const words = 1 << 17;
const count = 160;
const make = (n) => new Float64Array(words).fill(n);
const isOf = (value, n) => value.length === words && value[0] === n && value[words - 1] === n;
const putAll = (from) => Array.from({ length: count }, (_, n) => put(make(from + n)));
const last = remote((value) => value[value.length - 1]);
const readAll = async (refs, from) => {
  let wrong = 0;
  for (const [n, ref] of refs.entries()) if (!isOf(await get(ref), from + n)) wrong += 1;
  return wrong;
};
/** Its worker puts as much, one after the other. */
const putThere = remote(async () => {
  const refs = putAll(1000);
  const wrong = await readAll(refs, 1000);
  for (const ref of refs) ref[Symbol.dispose]();
  return wrong;
});

const localMode = process.argv[2] === "local";
const spillDirectory = "./put";
await init({ localMode, numCpus: 2, objectStoreMemory: 16 << 20, spillDirectory });
const refs = putAll(0);
const [directory] = readdirSync(spillDirectory);
/** Those with large numbers are of processes, the others the raylet's. */
const isOwn = (name) => Number(name.slice("file-".length)) >= 2 ** 31;
const files = readdirSync(spillDirectory + "/" + directory).filter(isOwn).length;
const [{ objectStore }] = await list("nodes");
const { fallbackObjects, fallbackBytes } = objectStore;
const isCounted = fallbackObjects === files && fallbackBytes > files * words * 8;
const isWritten = files > count / 2;
const wrong = await readAll(refs, 0);
const sum = (await get(refs.map((ref) => last.remote(ref)))).reduce((a, b) => a + b, 0);
for (const ref of refs) ref[Symbol.dispose]();
const wrongThere = await get(putThere.remote());
await shutdown();
const left = existsSync(spillDirectory) ? readdirSync(spillDirectory).length : 0;
console.log(JSON.stringify({ isWritten, isCounted, wrong, sum, wrongThere, left }));
`;

const calling = `
import { existsSync, readdirSync } from "node:fs";
import { get, init, remote, shutdown, wait } from "mobula";

const words = 1 << 17;
const count = 100;
const make = (n) => new Float64Array(words).fill(n);
const isOf = (value, n) => value.length === words && value[0] === n && value[words - 1] === n;
const check = remote(isOf);
const made = remote(make);
/** It keeps what others own, and of one value the view. */
class Keeper {
  #refs;
  #view;
  async keep(refs) {
    this.#refs = refs;
    this.#view = await get(refs[0]);
    return this.wrong();
  }
  async wrong() {
    let wrong = isOf(this.#view, 0) ? 0 : 1;
    for (const [n, ref] of this.#refs.entries()) if (!isOf(await get(ref), n)) wrong += 1;
    return wrong;
  }
}
const RemoteKeeper = remote(Keeper);
/** Its worker calls as much. */
const callThere = remote(async () => {
  const calls = Array.from({ length: count }, (_, n) => check.remote(make(n), n));
  return (await get(calls)).filter((isWell) => !isWell).length;
});

const localMode = process.argv[2] === "local";
const spillDirectory = "./called";
await init({ localMode, numCpus: 2, objectStoreMemory: 16 << 20, spillDirectory });
const calls = Array.from({ length: count }, (_, n) => check.remote(make(n), n));
const wrong = (await get(calls)).filter((isWell) => !isWell).length;
const wrongThere = await get(callThere.remote());
const shared = Array.from({ length: 8 }, (_, n) => made.remote(n));
const keeper = RemoteKeeper.remote();
const wrongKept = [await get(keeper.keep.remote(shared))];
const more = Array.from({ length: count }, (_, n) => made.remote(n));
await wait(more, { numReturns: count });
wrongKept.push(await get(keeper.wrong.remote()));
for (const [n, ref] of more.entries()) if (!isOf(await get(ref), n)) wrongKept.push(n);
await shutdown();
const left = existsSync(spillDirectory) ? readdirSync(spillDirectory).length : 0;
console.log(JSON.stringify({ wrong, wrongThere, wrongKept, left }));
`;

let folder: UserFolder;
beforeAll(() => {
  folder = new UserFolder();
  folder.write("spilling.mjs", program);
  folder.write("putting.mjs", putting);
  folder.write("calling.mjs", calling);
});
afterAll(() => folder.remove());

test.each(["threads", "local"])(
  "a store of 16 MiB carries 160 MiB, %s",
  { timeout: 90_000 },
  async (mode) => {
    const args = [mode];
    const { status, output } = await folder.run("spilling.mjs", { timeoutMs: 80_000, args });
    expect(status, output).toBe(0);
    const expected = { isSpilled: true, isCounted: true, wrong: 0, total: 3_160, left: 0 };
    expect(JSON.parse(output.trim())).toEqual(expected);
  },
);

test.each(["threads", "local"])(
  "160 MiB are put into a store of 16 MiB in one loop, %s",
  { timeout: 90_000 },
  async (mode) => {
    const args = [mode];
    const { status, output } = await folder.run("putting.mjs", { timeoutMs: 80_000, args });
    expect(status, output).toBe(0);
    const expected = {
      isWritten: true,
      isCounted: true,
      wrong: 0,
      sum: 12_720,
      wrongThere: 0,
      left: 0,
    };
    expect(JSON.parse(output.trim())).toEqual(expected);
  },
);

test.each(["threads", "local"])(
  "calls bring 100 MiB along through a store of 16 MiB, and an actor keeps what it read, %s",
  { timeout: 90_000 },
  async (mode) => {
    const args = [mode];
    const { status, output } = await folder.run("calling.mjs", { timeoutMs: 80_000, args });
    expect(status, output).toBe(0);
    const expected = { wrong: 0, wrongThere: 0, wrongKept: [0, 0], left: 0 };
    expect(JSON.parse(output.trim())).toEqual(expected);
  },
);
