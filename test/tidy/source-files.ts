/** The project's own text files as data, so that a rule can be tried on files that do not exist. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export interface SourceFile {
  /** From the project's root, with slashes. */
  readonly path: string;
  readonly text: string;
}

export const projectRoot = fileURLToPath(new URL("../..", import.meta.url));

const folders = ["src", "test", "scripts", "bench", "examples"];
/** The contract's own files, as they came. */
const foreign = "test/types/programs/";

export function readProject(): SourceFile[] {
  return folders.flatMap((folder) => readFolder(folder));
}

function readFolder(folder: string): SourceFile[] {
  if (!existsSync(join(projectRoot, folder))) return [];
  return readdirSync(join(projectRoot, folder), { recursive: true, encoding: "utf8" })
    .map((name) => `${folder}/${name.replaceAll("\\", "/")}`)
    .filter((path) => /\.(ts|mts|mjs|js)$/.test(path))
    .filter((path) => !path.includes("node_modules/") && !path.startsWith(foreign))
    .sort()
    .map((path) => ({ path, text: readFileSync(join(projectRoot, path), "utf8") }));
}

export function under(files: readonly SourceFile[], ...prefixes: string[]): SourceFile[] {
  return files.filter((file) => prefixes.some((prefix) => file.path.startsWith(prefix)));
}

/** The text with comments and the insides of strings blanked; lines keep their places. */
export function codeOf(text: string): string {
  const skipped =
    /\/\/.*|\/\*[\s\S]*?\*\/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`/g;
  return text.replace(skipped, (part) => part.replace(/[^\n]/g, " "));
}

export interface Import {
  readonly specifier: string;
  /** Erased by the compiler. */
  readonly typeOnly: boolean;
  /** Loaded when it is asked for. */
  readonly later: boolean;
}

const declared = /^\s*(?:import|export)\s+(type\s+)?(?:[^"';]*?\sfrom\s+)?["']([^"']+)["']/;
const dynamic = /\bimport\(\s*["']([^"']+)["']/;
const importPattern = new RegExp(`${declared.source}|${dynamic.source}`, "gm");

export function importsOf(text: string): Import[] {
  return [...text.matchAll(importPattern)].map((match) => ({
    specifier: match[2] ?? match[3] ?? "",
    typeOnly: match[1] !== undefined,
    later: match[3] !== undefined,
  }));
}
