/**
 * What a user's programs see of the engine, the same in every world: each file of fixtures/programs runs as
 * a process of its own, compiled as a user's own build would, with the built package.
 */
import { transform } from "esbuild";
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Report, World } from "../fixtures/programs/program.ts";
import { runNode } from "../package/run-command.ts";
import { projectRoot } from "../tidy/source-files.ts";

const sources = join(projectRoot, "test/fixtures/programs");
const files = readdirSync(sources).map((name) => name.replace(/\.ts$/, ""));
const timeoutMs = 60_000;

export function describePrograms(world: World): void {
  let folder = "";
  beforeAll(async () => {
    folder = await compilePrograms();
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  for (const file of files) {
    const names = programsOf(file);
    if (names.length > 0) {
      describe(file, () => describeFile({ names, run: () => runFile(folder, file, world) }));
    }
  }
}

function describeFile({ names, run }: { names: string[]; run: () => Promise<Run> }): void {
  let ended: Run | undefined;
  beforeAll(async () => {
    ended = await run();
  }, timeoutMs + 5_000);

  test.each(names)("%s", (name) => {
    const report = ended?.reports.get(name);
    expect(report, `the program did not report; its process said: ${ended?.output}`).toBeDefined();
    expect(report?.error, report?.error).toBeUndefined();
  });
  test("the process ends by itself, and well", () => {
    expect(ended?.status, ended?.output).toBe(0);
  });
}

interface Run {
  readonly reports: ReadonlyMap<string, Report>;
  /** Null when it had to be killed. */
  readonly status: number | null;
  readonly output: string;
}

async function runFile(folder: string, file: string, world: World): Promise<Run> {
  const args = [join(folder, `${file}.js`), ...(world === "local" ? ["--local"] : [])];
  const { status, output } = await runNode(args, { cwd: folder, timeoutMs });
  const lines = output.split("\n").filter((line) => line.startsWith('{"name":'));
  const reports = lines.map((line) => JSON.parse(line) as Report);
  return { reports: new Map(reports.map((report) => [report.name, report])), status, output };
}

/** Read, not imported: a program that is not run must be missed. */
function programsOf(file: string): string[] {
  const source = readFileSync(join(sources, `${file}.ts`), "utf8");
  return [...source.matchAll(/^program\(\s*"(.+)",/gm)].map(([, name]) => name as string);
}

async function compilePrograms(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "mobula-programs-"));
  await mkdir(join(folder, "node_modules"));
  await symlink(projectRoot, join(folder, "node_modules/mobula"), "junction");
  await writeFile(join(folder, "package.json"), `{ "type": "module" }\n`);
  await Promise.all(files.map((file) => compileProgram(folder, file)));
  return folder;
}

async function compileProgram(folder: string, file: string): Promise<void> {
  const source = await readFile(join(sources, `${file}.ts`), "utf8");
  const target = "node20";
  const { code } = await transform(source, { loader: "ts", format: "esm", target });
  const imports = code.replaceAll(/from "(\.\/[a-z-]+)\.ts"/g, 'from "$1.js"');
  await writeFile(join(folder, `${file}.js`), imports);
}
