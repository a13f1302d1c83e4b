/**
 * Every `ts` block of the README that imports the package is a program: it runs, alone in its file,
 * to its end. A `text` block right after it is what it prints.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { projectRoot } from "../tidy/source-files.ts";
import { runNode, tsx } from "./run-command.ts";

const readme = readFileSync(join(projectRoot, "README.md"), "utf8");
const blocks = /^```ts\n([\s\S]*?)^```\n(?:\s*```text\n([\s\S]*?)^```)?/gm;
const programs = [...readme.matchAll(blocks)]
  .map(([, code = "", prints]) => ({ code, prints, title: code.split("\n")[0] }))
  .filter(({ code }) => code.includes('from "mobula'));

describe("README", () => {
  const folder = mkdtempSync(join(tmpdir(), "mobula-readme-"));

  beforeAll(() => {
    mkdirSync(join(folder, "node_modules"));
    symlinkSync(projectRoot, join(folder, "node_modules/mobula"));
    writeFileSync(join(folder, "package.json"), `{ "type": "module" }\n`);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test("has programs", () => {
    expect(programs.length).toBeGreaterThan(0);
  });

  test.each(programs)("$title", { timeout: 90_000 }, async ({ code, prints }) => {
    const file = join(folder, `program-${programs.findIndex((one) => one.code === code)}.ts`);
    writeFileSync(file, code);
    const { status, output } = await runNode([tsx, file], { cwd: folder });
    expect(status, output).toBe(0);
    if (prints !== undefined) expect(output).toBe(prints);
  });
});
