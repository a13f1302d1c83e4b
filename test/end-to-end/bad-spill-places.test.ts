/**
 * Places where nothing can be made: `init` says so, and what finds it out later is told why the
 * disk took nothing. In some of them Node's own recursive mkdir never ends.
 */
import { existsSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { UserFolder } from "./user-folder.ts";

const refused = `
import { init, isInitialized } from "mobula";

const [mode, spillDirectory] = process.argv.slice(2);
try {
  await init({ localMode: mode === "local", numCpus: 1, spillDirectory });
} catch (error) {
  console.log(error.name + ": " + error.message, isInitialized());
}
`;

/** After \`init\` the place leads to where nothing can be made. */
const later = `
import { mkdirSync, rmSync, symlinkSync } from "node:fs";
import { init, put, remote, get, shutdown } from "mobula";

const make = remote(() => new Float64Array(1 << 15));
const [mode] = process.argv.slice(2);
const link = "./link-" + mode;
mkdirSync("./real-" + mode);
symlinkSync("real-" + mode, link);
const store = { objectStoreMemory: 1 << 20 };
const spillDirectory = link + "/deep/inside";
const systemConfig = { pullRoomTimeoutMs: 500 };
await init({ localMode: mode === "local", numCpus: 1, ...store, spillDirectory, systemConfig });
rmSync(link);
symlinkSync("/proc", link);
const refs = [];
const fill = () => {
  for (let n = 0; n < 10; n++) refs.push(put(new Float64Array(1 << 15).fill(n)));
};
const told = (error) => console.log(error.name + ": " + error.message);
try {
  fill();
} catch (error) {
  told(error);
}
const results = Array.from({ length: 10 }, () => make.remote());
await Promise.all(results.map((ref) => get(ref))).catch(told);
await shutdown();
console.log("ended");
`;

let folder: UserFolder;
beforeAll(() => {
  folder = new UserFolder();
  folder.write("refused.mjs", refused);
  folder.write("later.mjs", later);
});
afterAll(() => folder.remove());

const hasProc = existsSync("/proc/self");
const modes = ["local", "threads"];

test.runIf(hasProc).each(modes)("init refuses where nothing can be made: %s", async (mode) => {
  const options = { args: [mode, "/proc/nowhere/deep"], timeoutMs: 20_000 };
  const { status, output } = await folder.run("refused.mjs", options);
  expect(output).toMatch(/^TypeError: init: spillDirectory: \/proc\/nowhere\/deep .*ENOENT/);
  expect(output).toMatch(/ false\n$/);
  expect(status).toBe(0);
});

test.each(modes)("init makes the place that was asked for: %s", async (mode) => {
  const place = `./new-${mode}/of/several`;
  const { status, output } = await folder.run("refused.mjs", { args: [mode, place] });
  expect([status, output]).toEqual([0, ""]);
  expect(existsSync(`${folder.path}/${place}`)).toBe(true);
});

test.runIf(hasProc).each(modes)("a place that leads nowhere later on: %s", async (mode) => {
  const { status, output } = await folder.run("later.mjs", { args: [mode], timeoutMs: 60_000 });
  expect(output).toMatch(/^ObjectStoreFullError: .*ENOENT: .*mkdir/);
  expect(output).toMatch(/ended\n$/);
  expect(status).toBe(0);
});
