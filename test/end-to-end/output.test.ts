/** What tasks print: all of it is there when the process has ended, however that came. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { UserFolder } from "./user-folder.ts";

const tasks = 4;
const linesOfEach = 200;
const head = `
import { get, init, remote, shutdown } from "mobula";
const print = remote((n) => {
  for (let i = 0; i < ${linesOfEach}; i++) console.log(n + "." + i);
});
const factor = remote((x) => x * Number(process.argv[2]));
await init({ numCpus: 2 });
const printAll = () => Array.from({ length: ${tasks} }, (_, n) => print.remote(n));
`;

let folder: UserFolder;
beforeAll(() => {
  folder = new UserFolder();
});
afterAll(() => folder.remove());

describe("what tasks print is all there", () => {
  test.each([
    ["after-get", "await get(printAll());"],
    ["after-shutdown", "await get(printAll()); await shutdown();"],
    ["nobody-waits", "printAll();"],
  ])("%s", async (name, code) => {
    folder.write(`${name}.mjs`, head + code);
    const { status, output } = await folder.run(`${name}.mjs`);
    expect(status).toBe(0);
    const lines = output.trim().split("\n");
    const wanted = Array.from({ length: tasks }, (_, n) =>
      Array.from({ length: linesOfEach }, (_line, i) => `${n}.${i}`),
    );
    expect(lines.sort()).toEqual(wanted.flat().sort());
  });

  test("a worker sees the arguments that the program was started with", async () => {
    folder.write("arguments.mjs", `${head}console.log(await get(factor.remote(2)));`);
    const { output } = await folder.run("arguments.mjs", { args: ["21"] });
    expect(output).toBe("42\n");
  });
});
