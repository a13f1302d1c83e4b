/** A hundred thousand tasks queued at once: all end, each with its own result. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { UserFolder } from "./user-folder.ts";

const program = `
import { asCompleted, get, init, remote } from "mobula";
const square = remote((x) => x * x);
const pass = remote((x) => x);
await init({ localMode: process.argv.includes("--local"), numCpus: 2 });
const count = 100_000;
const refs = Array.from({ length: count }, (_, i) => (i % 10 === 0 ? pass : square).remote(i));
let wrong = 0;
for (const [i, value] of (await get(refs)).entries()) {
  if (value !== (i % 10 === 0 ? i : i * i)) wrong += 1;
}
let completed = 0;
for await (const _ of asCompleted(refs)) completed += 1;
console.log(JSON.stringify({ wrong, completed }));
`;

let folder: UserFolder;
beforeAll(() => {
  folder = new UserFolder();
  folder.write("many.mjs", program);
});
afterAll(() => folder.remove());

test.each([
  ["on two workers", []],
  ["in local mode", ["--local"]],
])("%s", { timeout: 90_000 }, async (_, args) => {
  const { status, output } = await folder.run("many.mjs", { args, timeoutMs: 80_000 });
  expect(status, output).toBe(0);
  expect(JSON.parse(output)).toEqual({ wrong: 0, completed: 100_000 });
});
