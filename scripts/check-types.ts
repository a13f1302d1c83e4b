/**
 * Compiles the programs of test/types against the built declarations, as a user's compiler would,
 * with the newest TypeScript and the oldest supported one. Builds first when dist is missing or
 * stale.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const programsFolder = join(root, "test/types/programs");
const declarations = join(root, "dist/api/index.d.ts");
const compilers = ["typescript", "typescript-5.9"];
/** Helper types that programs import; not a program. */
const shared = "T";

const userOptions = {
  module: "preserve",
  moduleResolution: "bundler",
  target: "es2023",
  lib: ["esnext", "dom"],
  types: ["node"],
  strict: true,
  noEmit: true,
  skipLibCheck: true,
  verbatimModuleSyntax: true,
  noUncheckedIndexedAccess: true,
  exactOptionalPropertyTypes: true,
};

interface Programs {
  readonly implemented: readonly string[];
  readonly notYet: Readonly<Record<string, string>>;
}

function readPrograms(): Programs {
  const text = readFileSync(join(root, "test/types/implemented.json"), "utf8");
  const programs = JSON.parse(text) as Programs;
  const listed = [...programs.implemented, ...Object.keys(programs.notYet)].sort();
  const present = readdirSync(programsFolder)
    .map((file) => file.replace(/\.ts$/, ""))
    .filter((name) => name !== shared)
    .sort();
  if (listed.join() !== present.join()) {
    throw new Error(`test/types/implemented.json lists ${listed}\nthe folder has ${present}`);
  }
  return programs;
}

function newestSourceMs(): number {
  const src = join(root, "src");
  const files = readdirSync(src, { recursive: true, encoding: "utf8" });
  return Math.max(...files.map((file) => statSync(join(src, file)).mtimeMs));
}

function buildWhenStale(): void {
  if (existsSync(declarations) && statSync(declarations).mtimeMs >= newestSourceMs()) return;
  const build = spawnSync("npm", ["run", "--silent", "build"], { cwd: root, stdio: "inherit" });
  if (build.status !== 0) throw new Error("npm run build failed");
}

/** The compiler's complaints; none means that all programs compile. */
function compile(compiler: string, programs: readonly string[]): string {
  const folder = join(root, "node_modules/.cache/mobula-types");
  mkdirSync(folder, { recursive: true });
  const project = join(folder, `tsconfig.${compiler}.json`);
  const files = programs.map((name) => join(programsFolder, `${name}.ts`));
  writeFileSync(project, JSON.stringify({ compilerOptions: userOptions, files }));
  const tsc = join(root, "node_modules", compiler, "bin/tsc");
  const run = spawnSync(process.execPath, [tsc, "-p", project, "--pretty", "false"], {
    cwd: root,
    encoding: "utf8",
  });
  if (run.error !== undefined) throw run.error;
  const output = `${run.stdout}${run.stderr}`.trim();
  return run.status === 0 ? "" : output || `${compiler} ended with ${run.status ?? run.signal}`;
}

function main(): void {
  const { implemented, notYet } = readPrograms();
  buildWhenStale();
  let failedCount = 0;
  for (const compiler of compilers) {
    const complaints = compile(compiler, implemented);
    if (complaints !== "") failedCount++;
    const count = `${implemented.length} programs`;
    console.log(`${compiler}: ${complaints === "" ? `${count} compile` : complaints}`);
  }
  for (const [name, missing] of Object.entries(notYet)) {
    console.log(`not yet: ${name} (${missing})`);
  }
  if (failedCount > 0) process.exitCode = 1;
}

main();
