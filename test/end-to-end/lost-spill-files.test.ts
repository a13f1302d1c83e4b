/** Files that somebody removes, or spoils, cost what was put its value, and results nothing. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { UserFolder } from "./user-folder.ts";

const program = `
import { readdirSync, rmSync, truncateSync } from "node:fs";
import { get, init, ObjectReconstructionFailedError, put, remote, shutdown, wait } from "mobula";

const [, , mode, how] = process.argv;
const spillDirectory = "./" + mode + how;
const fill = remote((length, value) => new Uint8Array(length).fill(value));
const systemConfig = { spillRetryMs: 1 };
const localMode = mode === "local";
await init({ localMode, numCpus: 1, objectStoreMemory: 16 << 20, spillDirectory, systemConfig });

const length = 2 << 20;
const puts = Array.from({ length: 10 }, (_, n) => put(new Uint8Array(length).fill(n)));
const results = [];
for (let n = 0; n < 10; n++) {
  results.push(fill.remote(length, n));
  await wait(results.slice(-1));
}
const [directory] = readdirSync(spillDirectory);
for (const name of readdirSync(spillDirectory + "/" + directory)) {
  const path = spillDirectory + "/" + directory + "/" + name;
  if (how === "removed") rmSync(path);
  else truncateSync(path, 1_000);
}
const outcomes = { same: 0, lost: 0, other: 0 };
const look = async (ref, n) => {
  try {
    outcomes[(await get(ref))[length - 1] === n ? "same" : "other"] += 1;
  } catch (error) {
    const isLost = error instanceof ObjectReconstructionFailedError && error.reason === "PUT";
    outcomes[isLost ? "lost" : "other"] += 1;
    if (!isLost) console.log(error);
  }
};
for (const [n, ref] of puts.entries()) await look(ref, n);
console.log(outcomes.lost > 0 ? "some are lost" : "none is lost", outcomes.other);
outcomes.lost = 0;
for (const [n, ref] of results.entries()) await look(ref, n);
console.log("of results", outcomes.lost, outcomes.other);
await shutdown();
`;

let folder: UserFolder;
beforeAll(() => {
  folder = new UserFolder();
  folder.write("lost.mjs", program);
});
afterAll(() => folder.remove());

test.each([
  ["threads", "removed"],
  ["threads", "cut"],
  ["local", "removed"],
  ["local", "cut"],
])("no value is wrong, %s, %s", { timeout: 60_000 }, async (mode, how) => {
  const args = [mode, how];
  const { status, output } = await folder.run("lost.mjs", { args, timeoutMs: 50_000 });
  expect(output).toBe("some are lost 0\nof results 0 0\n");
  expect(status).toBe(0);
});
