/**
 * What a user's programs see of the engine, the same in every world: each file of fixtures/programs
 * runs as a process of its own, compiled as a user's build would do it, with the built package.
 */
import { transform } from "esbuild";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Report, World } from "../fixtures/programs/program.ts";
import { UserFolder } from "../end-to-end/user-folder.ts";
import { projectRoot } from "../tidy/source-files.ts";

const sources = join(projectRoot, "test/fixtures/programs");
const modules = readdirSync(sources).map((name) => name.replace(/\.ts$/, ""));
/** Where a worker is a thread of its own, and only there, it can end alone. */
export const threadsOnly = ["crashes", "lost-workers", "cancel-force"];
/** Where the oracles watch. */
export const localOnly = ["immutability"];
/** A simulated program has its runtime already, and is driver and worker in one module. */
const ownsItsRuntime = ["closures", "context", "full-rings", "lifecycle"];
/** In a simulated process nothing is collected by itself. */
const awaitsCollection = ["actor-lifetime", "collected"];
const notSimulated = [...ownsItsRuntime, ...awaitsCollection];
export const everywhere = modules.filter(
  (name) => programsOf(name).length > 0 && ![...threadsOnly, ...localOnly].includes(name),
);
export const simulated = [
  ...everywhere.filter((name) => !notSimulated.includes(name)),
  // There a worker can end alone, too.
  "lost-workers",
];
/** One of one node, one of three, one far from its driver. More are for who looks for something. */
const clustersSimulated = 3;
const timeoutMs = 60_000;
const allTimeoutMs = 180_000;
/** Some of a process's time is waiting. */
const runsAtOnce = 2;

const argsOf: Readonly<Record<World, readonly string[]>> = {
  local: ["--local"],
  threads: [],
  simulated: ["--simulated", String(clustersSimulated)],
};

interface Run {
  readonly reports: ReadonlyMap<string, Report>;
  /** Null when it had to be killed. */
  readonly status: number | null;
  readonly output: string;
}

export function describePrograms(world: World, files: readonly string[] = everywhere): void {
  const runs = new Map<string, Promise<Run>>();
  let folder: UserFolder;
  beforeAll(async () => {
    folder = new UserFolder();
    await Promise.all(modules.map((name) => compileProgram(folder, name)));
    for (const [i, file] of files.entries()) {
      const before = runs.get(files[i - runsAtOnce] ?? "") ?? Promise.resolve();
      runs.set(
        file,
        before.then(() => runFile(folder, file, world)),
      );
    }
  });
  afterAll(() => folder.remove());

  for (const file of files) describe(file, () => describeFile(file, () => runs.get(file)));
}

function describeFile(file: string, runOf: () => Promise<Run> | undefined): void {
  let run: Run | undefined;
  beforeAll(async () => {
    run = await runOf();
  }, allTimeoutMs);

  test.each(programsOf(file))("%s", (name) => {
    const report = run?.reports.get(name);
    expect(report, `the program did not report; its process said: ${run?.output}`).toBeDefined();
    expect(report?.error, report?.error).toBeUndefined();
  });
  test("the process ends by itself, and well", () => {
    expect(run?.status, run?.output).toBe(0);
  });
}

async function runFile(folder: UserFolder, file: string, world: World): Promise<Run> {
  const args = argsOf[world];
  const { status, output } = await folder.run(`${file}.js`, { args, timeoutMs });
  const lines = output.split("\n").filter((line) => line.startsWith('{"name":'));
  const reports = lines.map((line) => JSON.parse(line) as Report);
  return { reports: new Map(reports.map((report) => [report.name, report])), status, output };
}

/** Read, not imported: a program that is not run must be missed. */
function programsOf(file: string): string[] {
  const source = readFileSync(join(sources, `${file}.ts`), "utf8");
  return [...source.matchAll(/^program\(\s*"(.+)",/gm)].map(([, name]) => name as string);
}

async function compileProgram(folder: UserFolder, file: string): Promise<void> {
  const source = readFileSync(join(sources, `${file}.ts`), "utf8");
  const { code } = await transform(source, { loader: "ts", format: "esm", target: "node20" });
  folder.write(`${file}.js`, code.replaceAll(/from "(\.\/[a-z-]+)\.ts"/g, 'from "$1.js"'));
}
