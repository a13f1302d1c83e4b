/**
 * Actors that put large values into segments of their thread's own, or into files, and are killed:
 * while they hold them, and in the midst of putting them. Looks into the driver's books: what is
 * counted, mapped and on the disk is back once nobody reads it, so put finds room for the next.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { UserFolder } from "./user-folder.ts";

const program = `
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { get, init, kill, put, remote, shutdown, wait } from "mobula";
import { MemoryWords } from "./node_modules/mobula/dist/engine/services/memory-words.js";
import { SharedArena } from "./node_modules/mobula/dist/transports/threads/shared-arena.js";

let filesMax = 0;
let words;
let arena;
const { of } = MemoryWords;
MemoryWords.of = (parts) => (words = of.call(MemoryWords, parts));
const { add } = SharedArena.prototype;
SharedArena.prototype.add = function (...args) {
  arena = this;
  return add.apply(this, args);
};

const size = 2 << 20;
const Holder = remote(class Holder {
  fill(n) {
    this.own = Array.from({ length: 12 }, () => put(new Uint8Array(size).fill(n)));
    return this.own.slice(-1);
  }
  /** Until it is killed. */
  churn(n) {
    for (;;) put(new Uint8Array(size).fill(n))[Symbol.dispose]();
  }
});

const ways = {
  async held(n) {
    const holder = Holder.remote();
    const [ref] = await get(holder.fill.remote(n));
    const view = await get(ref);
    filesMax = Math.max(filesMax, filesLeft());
    await kill(holder);
    return view.length === size && view[0] === n && view[size - 1] === n;
  },
  async putting(n) {
    const holder = Holder.remote();
    await get(holder.fill.remote(n));
    const churned = holder.churn.remote(n);
    await wait([churned], { timeoutMs: 10 + 3 * n });
    filesMax = Math.max(filesMax, filesLeft());
    await kill(holder);
    return await get(churned).then(() => false, (error) => error.name === "ActorDiedError");
  },
};

const spillDirectory = "./left";
const filesLeft = () => !existsSync(spillDirectory) ? 0 : readdirSync(spillDirectory)
  .reduce((sum, name) => sum + readdirSync(join(spillDirectory, name)).length, 0);
const left = () => ({
  ownBytes: words.ownBytes,
  segments: arena.segments().filter(([segment]) => segment >= 65_536).length,
  files: filesLeft(),
});
/** Once the thread has ended, and views on what it had are collected. */
const comesBack = async () => {
  for (let i = 0; i < 500; i++) {
    gc();
    if (Object.values(left()).every((count) => count === 0)) return true;
    await setTimeout(10);
  }
  return false;
};

const [, , way, where] = process.argv;
await init({
  numCpus: 2,
  objectStoreMemory: 96 << 20,
  spillDirectory,
  systemConfig: { fallbackBytesMax: 1 << 20 },
});
// With a view on it, it stays where it is.
const filler = where === "files" ? put(new Uint8Array(90 << 20)) : put(0);
const filling = await get(filler);
let right = 0;
for (let n = 0; n < 8; n++) {
  if (await ways[way](n)) right += 1;
  if (!(await comesBack())) break;
}
const after = left();
if (where === "files" && filling.length !== 90 << 20) throw new Error("the store was not full");
await shutdown();
console.log(JSON.stringify({ right, after, filesMax }));
`;

interface Left {
  readonly ownBytes: number;
  readonly segments: number;
  readonly files: number;
}

interface Told {
  readonly right: number;
  readonly after: Left;
  readonly filesMax: number;
}

let folder: UserFolder;
beforeAll(() => {
  folder = new UserFolder();
  folder.write("left.mjs", program);
});
afterAll(() => folder.remove());

async function run(...args: string[]): Promise<Told> {
  const options = { timeoutMs: 80_000, args, nodeArgs: ["--expose-gc"] };
  const { status, output } = await folder.run("left.mjs", options);
  expect(status, output).toBe(0);
  return JSON.parse(output.trim()) as Told;
}

const nothing: Left = { ownBytes: 0, segments: 0, files: 0 };

test.each(["held", "putting"])("segments of their own, %s", { timeout: 90_000 }, async (way) => {
  const { right, after, filesMax } = await run(way, "segments");
  expect({ right, after }).toEqual({ right: 8, after: nothing });
  // Eight times 24 MB would not fit beside what there is.
  if (way === "held") expect(filesMax).toBe(0);
});

test.each(["held", "putting"])("files, %s", { timeout: 90_000 }, async (way) => {
  const { right, after, filesMax } = await run(way, "files");
  expect({ right, after }).toEqual({ right: 8, after: nothing });
  expect(filesMax).toBeGreaterThan(0);
});
