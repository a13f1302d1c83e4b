/**
 * A process that is killed leaves what it had spilled. Whoever starts in the same place removes it,
 * and nothing of a process that lives, or of another machine.
 */
import { existsSync, mkdirSync, readdirSync, utimesSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { beginIn, endIn, spillDirectoryIn } from "#api/left-directories.ts";
import { UserFolder } from "./user-folder.ts";

/** With "kill" it ends without a word; else it looks beside itself, starts another, and ends. */
const program = `
import { readdirSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { init, put, shutdown } from "mobula";

const [, self, how, mode] = process.argv;
const spillDirectory = "./" + mode;
await init({ localMode: mode === "local", numCpus: 1, objectStoreMemory: 1 << 20, spillDirectory });
globalThis.refs = Array.from({ length: 20 }, (_, n) => put(new Uint8Array(200_000).fill(n)));
const isOf = (pid) => (name) => name.includes("-" + pid + "-");
const spilledBy = (pid) => readdirSync(spillDirectory).filter(isOf(pid));
if (how === "kill") process.kill(process.pid, "SIGKILL");
else {
  if (how === "first") spawnSync(process.execPath, [self, "second", mode], { stdio: "inherit" });
  console.log(how, spilledBy(process.pid).length);
  await shutdown();
}
`;

/** Its directory cannot be removed any more, and need not be. */
const unremovable = `
import { rmdirSync, writeFileSync } from "node:fs";
import { get, init, put, shutdown } from "mobula";

const [, , how, mode] = process.argv;
await init({ localMode: mode === "local", numCpus: 1, spillDirectory: "./gone-" + mode + how });
rmdirSync("./gone-" + mode + how);
writeFileSync("./gone-" + mode + how, "a file now");
console.log(await get(put(how)));
if (how === "shutdown") await shutdown();
`;

let folder: UserFolder;
beforeAll(() => {
  folder = new UserFolder();
  folder.write("spills.mjs", program);
  folder.write("unremovable.mjs", unremovable);
});
afterAll(() => folder.remove());

test.each(["threads", "local"])(
  "of a process that was killed, %s",
  { timeout: 60_000 },
  async (mode) => {
    const place = join(folder.path, mode);
    const killed = await folder.run("spills.mjs", { args: ["kill", mode] });
    expect(killed.status).not.toBe(0);
    const left = readdirSync(place);
    expect(left).toHaveLength(1);
    expect(readdirSync(join(place, left[0] as string)).length).toBeGreaterThan(0);
    // As another machine, and as somebody else names it.
    const others = ["mobula-spill-ffffffff-1-" + "0".repeat(32), "mobula-spill-backup"];
    for (const name of others) mkdirSync(join(place, name));
    const { status, output } = await folder.run("spills.mjs", { args: ["first", mode] });
    expect(status, output).toBe(0);
    expect(output).toBe("second 1\nfirst 1\n");
    expect(readdirSync(place).sort()).toEqual(others.sort());
  },
);

test("of a former process with the same id, and none of this one", async () => {
  const place = join(folder.path, "same id");
  const [old, young, living, next] = ["1", "2", "3", "4"].map((digit) => {
    return spillDirectoryIn(place, digit.repeat(32));
  }) as [string, string, string, string];
  for (const path of [old, young, living]) mkdirSync(path, { recursive: true });
  expect(dirname(old)).toBe(place);
  await beginIn(living);
  for (const path of [old, living]) utimesSync(path, 1, 1);
  await beginIn(next);
  expect([old, young, living].map((path) => existsSync(path))).toEqual([false, true, true]);
  for (const path of [living, next]) endIn(path);
});

test.each([
  ["threads", "exit"],
  ["threads", "shutdown"],
  ["local", "exit"],
  ["local", "shutdown"],
])("what cannot be removed harms nobody, %s, %s", async (mode, how) => {
  const { status, output } = await folder.run("unremovable.mjs", { args: [how, mode] });
  expect(output).toBe(`${how}\n`);
  expect(status).toBe(0);
});
