/**
 * Our documents keep their word. Every `ts` block is a program: it compiles, and runs, alone in its
 * file, to its end; a `text` block right after it is what it prints. The first one of the README
 * runs in every way a user may run it. Files that are named exist.
 */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { buildSync } from "esbuild";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { projectRoot } from "../tidy/source-files.ts";
import { runNode, tsx } from "./run-command.ts";

interface Program {
  readonly title: string;
  readonly code: string;
  /** Undefined when the document does not say. */
  readonly prints: string | undefined;
  readonly file: string;
}

const documents = [
  "README.md",
  "ARCHITECTURE.md",
  "CONTRIBUTING.md",
  "CHANGELOG.md",
  ...namesIn("docs/internals").map((name) => `docs/internals/${name}`),
  ...namesIn("examples").map((name) => `examples/${name}/README.md`),
].filter((path) => existsSync(join(projectRoot, path)));
const programs = documents.flatMap(programsOf);
const ofUsers = programs.filter(({ code }) => !code.includes('from "#'));
const ofTheEngine = programs.filter(({ code }) => code.includes('from "#'));
const compiler = join(projectRoot, "node_modules/typescript/bin/tsc");

const userOptions = {
  target: "es2023",
  lib: ["esnext", "dom"],
  module: "nodenext",
  types: ["node"],
  typeRoots: [join(projectRoot, "node_modules/@types")],
  strict: true,
  noUncheckedIndexedAccess: true,
  exactOptionalPropertyTypes: true,
  verbatimModuleSyntax: true,
  skipLibCheck: true,
  rootDir: ".",
  outDir: "compiled",
};

function namesIn(folder: string): string[] {
  return readdirSync(join(projectRoot, folder)).sort();
}

function read(path: string): string {
  return readFileSync(join(projectRoot, path), "utf8");
}

function programsOf(path: string): Program[] {
  const blocks = /^```ts\n([\s\S]*?)^```\n(?:\s*```text\n([\s\S]*?)^```)?/gm;
  const name = path.replace(/\W+/g, "-").toLowerCase();
  return [...read(path).matchAll(blocks)].map(([, code = "", prints], index) => {
    const title = `${path}, program ${index + 1}`;
    return { title, code, prints, file: `${name}-${index + 1}.ts` };
  });
}

function writePrograms(folder: string, chosen: readonly Program[], project: object): void {
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(project));
  for (const { file, code } of chosen) writeFileSync(join(folder, file), code);
}

async function expectRun(args: readonly string[], cwd: string, prints?: string): Promise<void> {
  const { status, output } = await runNode(args, { cwd });
  expect(status, output).toBe(0);
  if (prints !== undefined) expect(output).toBe(prints);
}

describe("programs of users", () => {
  const folder = mkdtempSync(join(tmpdir(), "mobula-documents-"));
  const installed = join(folder, "node_modules/mobula");

  beforeAll(() => {
    mkdirSync(dirname(installed));
    symlinkSync(projectRoot, installed);
    writeFileSync(join(folder, "package.json"), `{ "type": "module" }\n`);
    writePrograms(folder, ofUsers, { compilerOptions: userOptions });
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test("compile", { timeout: 60_000 }, () => expectRun([compiler, "-p", folder], folder, ""));

  test.each(ofUsers)("$title", { timeout: 90_000 }, async ({ file, prints }) => {
    await expectRun([tsx, file], folder, prints);
  });

  test("the first as compiled JavaScript", { timeout: 60_000 }, async () => {
    const [first] = ofUsers as [Program];
    const script = join("compiled", first.file.replace(/\.ts$/, ".js"));
    await expectRun([script], folder, first.prints);
  });

  test("the first as a single bundle, without the package", { timeout: 60_000 }, async () => {
    const [first] = ofUsers as [Program];
    buildSync({
      entryPoints: [join(folder, first.file)],
      outfile: join(folder, "alone/bundle.mjs"),
      bundle: true,
      minify: true,
      platform: "node",
      format: "esm",
      logLevel: "silent",
    });
    rmSync(installed);
    try {
      await expectRun(["bundle.mjs"], join(folder, "alone"), first.prints);
    } finally {
      symlinkSync(projectRoot, installed);
    }
  });
});

describe("programs against the sources", () => {
  // Only a file inside the package may say #engine.
  const folder = mkdtempSync(join(projectRoot, "test/package/.programs-"));

  beforeAll(() => {
    writePrograms(folder, ofTheEngine, { extends: "../../../tsconfig.json", include: ["*.ts"] });
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test("compile", { timeout: 60_000 }, () => expectRun([compiler, "-p", folder], folder, ""));

  test.each(ofTheEngine)("$title", { timeout: 60_000 }, async ({ file, prints }) => {
    await expectRun([tsx, "--conditions=mobula-source", file], folder, prints);
  });
});

describe("names of files", () => {
  test.each(documents)("%s", (path) => {
    const text = read(path);
    const links = [...text.matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)].map(([, target = ""]) =>
      join(dirname(path), target),
    );
    const paths = [...text.matchAll(/`((?:src|test|scripts|bench|examples)\/[\w./-]+)`/g)].map(
      ([, target = ""]) => target,
    );
    const missing = [...links, ...paths].filter((name) => !existsSync(join(projectRoot, name)));
    expect(missing).toEqual([]);
  });
});
