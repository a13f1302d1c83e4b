/**
 * How the code must look, beyond what the linter sees: each rule takes files and names what breaks
 * it.
 */
import { codeOf, importsOf, under, type SourceFile } from "./source-files.ts";

type Rule = (files: readonly SourceFile[]) => string[];

const columnsMax = 100;
const linesMax = 500;
const headerLabels = ["State:", "In/out:", "Bounds:", "Errors:", "Source:"];
const machineFolders = [
  "common",
  "protocol",
  "scheduling",
  "core-worker",
  "raylet",
  "gcs",
  "object-store",
].map((folder) => `src/engine/${folder}/`);

export const hasHeader: Rule = (files) =>
  under(files, "src/")
    .filter((file) => !/^(#!.*\n)?(\/\/\/ <reference .*\/>\n)*\/\*\*/.test(file.text))
    .map((file) => `${file.path}: begins without a header comment`);

/** Roots are the files given and whatever says `implements Machine<`. */
export function machinesSayTheirLife(
  files: readonly SourceFile[],
  roots: readonly string[],
): string[] {
  const problems = roots
    .filter((root) => !files.some((file) => file.path === root))
    .map((root) => `${root}: a machine that does not exist`);
  for (const { path, text } of under(files, "src/")) {
    if (!roots.includes(path) && !codeOf(text).includes("implements Machine<")) continue;
    const header = /\/\*\*[\s\S]*?\*\//.exec(text)?.[0] ?? "";
    const missing = headerLabels.filter((label) => !header.includes(` * ${label}`));
    if (missing.length > 0) problems.push(`${path}: header without ${missing.join(" ")}`);
  }
  return problems;
}

export const linesAreShort: Rule = (files) =>
  files.flatMap(({ path, text }) =>
    text
      .split("\n")
      .map((line, index) => ({ place: `${path}:${index + 1}`, columns: [...line].length }))
      .filter(({ columns }) => columns > columnsMax)
      .map(({ place, columns }) => `${place}: ${columns} columns`),
  );

export const filesAreShort: Rule = (files) =>
  files
    .map(({ path, text }) => ({ path, lines: text.replace(/\n$/, "").split("\n").length }))
    .filter(({ lines }) => lines > linesMax)
    .map(({ path, lines }) => `${path}: ${lines} lines`);

export const nothingLeftOpen: Rule = (files) =>
  files
    .filter(({ path }) => !path.startsWith("test/tidy"))
    .flatMap(({ path, text }) =>
      [...text.matchAll(/\b(TODO|FIXME|XXX|HACK)\b/g)].map((word) => `${path}: ${word[0]}`),
    );

export const sourcesDoNotPrint: Rule = (files) =>
  under(files, "src/")
    .filter(({ text }) => /\bconsole\./.test(codeOf(text)))
    .map(({ path }) => `${path}: console`);

/**
 * V8 makes a function that is written right behind `x.name =` in its old space, whatever else is
 * young: what it closes over, up to a whole process, stays until the next full collection.
 */
export const functionsAreYoung: Rule = (files) =>
  under(files, "src/").flatMap(({ path, text }) => {
    const parameters = String.raw`\((?:[^()]|\([^()]*\))*\)[^=;]*=>`;
    const literal = String.raw`(?:async )?(?:function\b|\w+ =>|${parameters})`;
    // Not the end of a type: `const f: typeof x.f = …`.
    const assigned = new RegExp(String.raw`(?<!typeof [\w.]*)\.#?\w+ = ${literal}`, "g");
    return [...codeOf(text).matchAll(assigned)].map(([start]) => `${path}: ${start}`);
  });

export const namesSaySomething: Rule = (files) =>
  files
    .filter(({ path }) => /(^|[-.])(utils?|helpers?|misc)[-.]/.test(path.split("/").at(-1) ?? ""))
    .map(({ path }) => `${path}: a name that says nothing`);

/** What the linter cannot see: `async` names no Promise, `import()` is no import declaration. */
export const machinesDoNotWait: Rule = (files) =>
  under(files, ...machineFolders).flatMap(({ path, text }) =>
    [...codeOf(text).matchAll(/\basync\b|\bawait\b|\bimport\s*\(/g)].map(
      ([word]) => `${path}: ${word} in a machine`,
    ),
  );

/**
 * `packages`: what an example may read its input with; of this project it sees what a user sees.
 */
export function examplesImportThePackage(
  files: readonly SourceFile[],
  packages: readonly string[],
): string[] {
  return under(files, "examples/").flatMap(({ path, text }) =>
    importsOf(text)
      .map(({ specifier }) => specifier)
      .filter((name) => !/^(mobula(\/[a-z-]+)*|node:[a-z_/]+|\.\/.+)$/.test(name))
      .filter((name) => !packages.includes(name))
      .map((name) => `${path}: imports ${name}`),
  );
}

/** A worker starts without effect: nothing it loads at run time, however far down, imports it. */
export function workersLoadNoEffect(files: readonly SourceFile[], entry: string): string[] {
  const byPath = new Map(files.map((file) => [file.path, file]));
  if (!byPath.has(entry)) return [`${entry}: does not exist`];
  const problems: string[] = [];
  const reached = new Set([entry]);
  for (const path of reached) {
    for (const { specifier, typeOnly } of importsOf(byPath.get(path)?.text ?? "")) {
      if (typeOnly) continue;
      if (/^(effect|@effect\/.*?)(\/|$)/.test(specifier)) problems.push(`${path}: ${specifier}`);
      const target = targetOf(path, specifier);
      if (target !== null && byPath.has(target)) reached.add(target);
    }
  }
  return problems;
}

/** What a program, or a worker, loads with our package whether it needs it or not. */
export function nothingLoadsTheSimulator(
  files: readonly SourceFile[],
  entries: readonly string[],
): string[] {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const problems = entries.filter((path) => !byPath.has(path)).map((p) => `${p}: does not exist`);
  const reached = new Set(entries);
  for (const path of reached) {
    for (const { specifier, typeOnly, later } of importsOf(byPath.get(path)?.text ?? "")) {
      const target = typeOnly || later ? null : targetOf(path, specifier);
      if (target === null || !byPath.has(target)) continue;
      if (target.startsWith("src/sim/")) problems.push(`${path}: ${specifier}`);
      else reached.add(target);
    }
  }
  return problems;
}

function targetOf(from: string, specifier: string): string | null {
  if (specifier.startsWith("#")) return `src/${specifier.slice(1)}`;
  if (!specifier.startsWith(".")) return null;
  return new URL(specifier, `file:///${from}`).pathname.slice(1);
}
