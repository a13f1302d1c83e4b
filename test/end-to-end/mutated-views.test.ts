/** With `checkInvariants` on threads, who writes into a view is found out by who reads next. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { UserFolder } from "./user-folder.ts";

const program = `
import { get, init, put, remote, shutdown } from "mobula";
const corrupt = remote(function corrupt(bytes) { bytes[5] = 7; });
const look = remote(function look(bytes) { return bytes[5]; });
const copy = remote(function copy(bytes) { const own = bytes.slice(); own[5] = 7; return own; });
const tell = (name, ref) => get(ref).then(
  (value) => console.log(name, "fine", value?.[5] ?? value),
  (error) => console.log(name, error.message),
);
await init({ numCpus: 1, checkInvariants: process.argv[2] === "checked" });
const ref = put(new Uint8Array(200_000).fill(1));
await tell("first", ref);
await tell("copied", copy.remote(ref));
await tell("looked", look.remote(ref));
await get(corrupt.remote(ref));
await tell("driver", ref);
await tell("task", look.remote(ref));
await shutdown();
`;

let folder: UserFolder;
beforeAll(() => {
  folder = new UserFolder();
  folder.write("mutated.mjs", program);
});
afterAll(() => folder.remove());

async function linesOf(mode: string): Promise<string[]> {
  const { status, output } = await folder.run("mutated.mjs", { args: [mode], timeoutMs: 30_000 });
  expect(status, output).toBe(0);
  return output.trim().split("\n");
}

test("who may have written is named, on either thread", async () => {
  const [first, copied, looked, driver, task] = await linesOf("checked");
  expect([first, copied, looked]).toEqual(["first fine 1", "copied fine 7", "looked fine 1"]);
  expect(driver).toMatch(/^driver .*its bytes changed after it was sealed.*task corrupt/);
  expect(driver).toMatch(/task copy \(mutated.mjs:5\), which it was an argument of/);
  expect(task).toMatch(
    /^task .*its bytes changed after it was sealed.*task corrupt .* on this thread/,
  );
});

test("nobody looks unless asked to", async () => {
  const lines = await linesOf("unchecked");
  expect(lines.slice(3)).toEqual(["driver fine 7", "task fine 7"]);
});
