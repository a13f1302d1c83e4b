/**
 * Processes that end with large values in their node's store, again and again: killed actors, those
 * that nobody has a handle to any more, and workers that crash. The node goes on, and is not larger
 * for it.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { UserFolder } from "./user-folder.ts";

const program = `
import { setTimeout } from "node:timers/promises";
import { get, init, kill, put, remote, shutdown, wait } from "mobula";
import { list } from "mobula/state";

const rounds = 40;
const make = remote((n, size) => new Uint8Array(size).fill(n));
const fill = async (n) => {
  // In a segment of its own, in chunks, and written by another thread.
  const own = [put(new Uint8Array(10 << 20).fill(n))];
  for (let i = 0; i < 5; i++) own.push(put(new Uint8Array(500_000).fill(n)));
  own.push(make.remote(n, 4 << 20));
  await wait(own, { numReturns: own.length });
  return own;
};
const Holder = remote(class Holder {
  async fill(n) {
    this.own = await fill(n);
    return this.own.slice(0, 1);
  }
});
const crash = remote({ maxRetries: 0 }, async (n) => process.exit((await fill(n)).length));
const living = async () => (await list("actors")).filter(({ state }) => state !== "DEAD").length;
const failure = (ref) => get(ref).then(() => "none", (error) => error.name);

const ways = {
  async kill(n) {
    const holder = Holder.remote();
    const [ref] = await get(holder.fill.remote(n));
    const view = await get(ref);
    await kill(holder);
    const sum = await get(make.remote(n + 1, 4 << 20)).then((bytes) => bytes[0]);
    return view[0] === n && view.at(-1) === n && sum === n + 1;
  },
  async drain(n) {
    await get(Holder.remote().fill.remote(n));
    while (await living() > 0) await setTimeout(20);
    return true;
  },
  async crash(n) {
    return (await failure(crash.remote(n))) === "WorkerCrashedError";
  },
};

const way = ways[process.argv[2]];
await init({ numCpus: 3, objectStoreMemory: 100 << 20, systemConfig: { handleCollectMs: 10 } });
const rss = () => process.memoryUsage().rss / 2 ** 20;
let right = 0;
let before = 0;
for (let n = 0; n < rounds; n++) {
  if (await way(n)) right += 1;
  if (n === 4) before = rss();
}
const grownMb = Math.round(rss() - before);
await shutdown();
console.log(JSON.stringify({ right, grownMb }));
`;

let folder: UserFolder;
beforeAll(() => {
  folder = new UserFolder();
  folder.write("reclaimed.mjs", program);
});
afterAll(() => folder.remove());

test.each(["kill", "drain", "crash"])(
  "40 times 16 MB in a store of 100 MB, %s",
  { timeout: 90_000 },
  async (way) => {
    const args = [way];
    const { status, output } = await folder.run("reclaimed.mjs", { timeoutMs: 80_000, args });
    expect(status, output).toBe(0);
    const { right, grownMb } = JSON.parse(output.trim()) as { right: number; grownMb: number };
    expect(right).toBe(40);
    expect(grownMb).toBeLessThan(100);
  },
);
