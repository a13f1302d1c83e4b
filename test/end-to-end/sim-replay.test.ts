/** `mobula sim replay` as a user calls it: which program runs again, and what is said of it. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Ended, runNode } from "../package/run-command.ts";
import { UserFolder } from "./user-folder.ts";

const main = "node_modules/mobula/dist/cli/main.js";
const programs: Readonly<Record<string, string>> = {
  "several.mjs": `
    const options = { chaos: false };
    const failing = (words) => ({ options, program: async () => { throw new Error(words); } });
    export const first = { options, program: async () => 1 };
    export const second = failing("second fails");`,
  "alone.mjs": "export default { options: { chaos: false }, program: async () => 1 };",
};

describe("mobula sim replay", () => {
  let folder: UserFolder;
  beforeAll(async () => {
    folder = new UserFolder();
    for (const [name, code] of Object.entries(programs)) folder.write(name, code);
    await sim("run", "several.mjs", "--program", "second", "--seed", "1");
    change("mobula-repros/second-1.json", "of-a-test.json", { program: null });
  });
  afterAll(() => folder.remove());

  const sim = (...args: string[]): Promise<Ended> =>
    runNode([main, "sim", ...args], { cwd: folder.path, timeoutMs: 25_000 });

  const change = (from: string, to: string, changes: object): void => {
    const saved = JSON.parse(readFileSync(join(folder.path, from), "utf8")) as object;
    writeFileSync(join(folder.path, to), JSON.stringify({ ...saved, ...changes }));
  };

  const saved = "mobula-repros/second-1.json";
  const again = "fails again in the same way; the run is the same";

  test.each([
    ["the saved program, from the module it is in", [saved], again],
    ["the saved program, from a module that is named", [saved, "several.mjs"], again],
    ["the one that is chosen", ["of-a-test.json", "several.mjs", "--program", "second"], again],
    ["another one, when asked to", [saved, "--program", "first"], "passes now"],
    ["the only one, whatever its name", [saved, "alone.mjs"], "passes now"],
    ["the only one, for a program of a test", ["of-a-test.json", "alone.mjs"], "passes now"],
  ])("%s", async (_, args, words) => {
    const { status, output } = await sim("replay", ...args);
    expect(output).toContain(words);
    expect(status, output).toBe(words === again ? 1 : 0);
  });

  test("of several programs none is taken unasked", async () => {
    change(saved, "other-name.json", { program: { file: "several.mjs", name: "third" } });
    const expected: readonly (readonly [string[], RegExp])[] = [
      [["of-a-test.json", "several.mjs"], /several\.mjs has first, second: choose .* --program/],
      [["other-name.json", "several.mjs"], /no program "third", but first, second: .* --program/],
      [["other-name.json"], /no program "third", but first, second/],
      [[saved, "several.mjs", "--program", "x"], /no program "x", but first, second/],
    ];
    for (const [args, words] of expected) {
      const { status, output } = await sim("replay", ...args);
      expect(output).toMatch(words);
      expect(status, output).toBe(2);
    }
  });
});
