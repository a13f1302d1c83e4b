/** Every planted bug can still be planted: its text is in its file, once. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { projectRoot } from "../tidy/source-files.ts";
import { mutants } from "./engine-mutants.ts";

test.each(mutants.map((mutant) => [mutant.name, mutant] as const))("%s", (_, { edits }) => {
  for (const { file, find, replace } of edits) {
    const source = readFileSync(join(projectRoot, file), "utf8");
    expect(source.split(find).length - 1, `${file} has it so many times: ${find}`).toBe(1);
    expect(replace).not.toBe(find);
  }
});

test("no two have one name", () => {
  expect(new Set(mutants.map(({ name }) => name)).size).toBe(mutants.length);
});
