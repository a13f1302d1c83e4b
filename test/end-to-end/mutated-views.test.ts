/** With `checkInvariants` on threads, who writes into a view is found out by who reads next. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { UserFolder } from "./user-folder.ts";

const program = `
import { get, init, put, remote, shutdown } from "mobula";
const corrupt = remote(function corrupt(bytes) { bytes[5] = 7; });
const look = remote(function look(bytes) { return bytes[5]; });
const copy = remote(function copy(bytes) { const own = bytes.slice(); own[5] = 7; return own; });
const corruptInside = remote(async function inside([ref]) { (await get(ref))[5] = 7; });
const Keeper = remote(class Keeper {
  constructor(bytes) { this.bytes = bytes; }
  corrupt() { this.bytes[5] = 7; }
});
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
const kept = put(new Uint8Array(200_000).fill(1));
await get(Keeper.remote(kept).corrupt.remote());
await tell("kept", kept);
const nested = put(new Uint8Array(200_000).fill(1));
await get(corruptInside.remote([nested]));
await tell("nested", nested);
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
  const [first, copied, looked, driver, task, kept, nested] = await linesOf("checked");
  expect([first, copied, looked]).toEqual(["first fine 1", "copied fine 7", "looked fine 1"]);
  expect(driver).toMatch(/^driver .*its bytes changed after it was sealed.*task corrupt/);
  expect(driver).toMatch(/task copy \(mutated.mjs:5\), which it was an argument of/);
  expect(task).toMatch(
    /^task .*its bytes changed after it was sealed.*task corrupt .* on this thread/,
  );
  expect(kept).toMatch(/^kept .*: the constructor of Keeper, which it was an argument of\. /);
  expect(nested).toMatch(/^nested .*: task inside .*, which was given a ref to it\. /);
});

test("nobody looks unless asked to", async () => {
  const lines = await linesOf("unchecked");
  const read = ["driver", "task", "kept", "nested"].map((name) => `${name} fine 7`);
  expect(lines.slice(3)).toEqual(read);
});
