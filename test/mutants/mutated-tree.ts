/** A copy of the sources in a folder of its own, in which one bug at a time is planted. */
import { spawn } from "node:child_process";
import {
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Mutant } from "./mutant.ts";

const projectRoot = fileURLToPath(new URL("../../", import.meta.url));
const simulation = "test/simulation";
const copied = [
  ...["package.json", "tsconfig.json", "src", "test/property/programs", "test/mutants"],
  simulation,
];

export interface ChildRun {
  /** Null when it was ended for its silence. */
  readonly status: number | null;
  readonly lines: readonly string[];
  readonly errors: string;
}

export class MutatedTree {
  readonly #folder = mkdtempSync(join(tmpdir(), "mobula-mutants-"));
  readonly #originals = new Map<string, string>();

  constructor() {
    for (const path of copied) {
      cpSync(join(projectRoot, path), join(this.#folder, path), { recursive: true });
    }
    this.#useSources();
    symlinkSync(join(projectRoot, "node_modules"), join(this.#folder, "node_modules"));
  }

  /** Programs of users import the built package; the bug is in the sources. */
  #useSources(): void {
    const folder = join(this.#folder, simulation);
    for (const name of readdirSync(folder)) {
      const source = readFileSync(join(folder, name), "utf8");
      writeFileSync(join(folder, name), source.replace('from "mobula";', 'from "#api/index.ts";'));
    }
  }

  /** In the place of the one before; throws for a text that is not there exactly once. */
  plant({ name, edits }: Mutant): void {
    this.clear();
    for (const { file, find, replace } of edits) {
      const path = join(this.#folder, file);
      const source = readFileSync(path, "utf8");
      if (source.split(find).length !== 2) {
        throw new Error(`${name}: its text is not in ${file} exactly once: ${find}`);
      }
      if (!this.#originals.has(path)) this.#originals.set(path, source);
      writeFileSync(
        path,
        source.replace(find, () => replace),
      );
    }
  }

  clear(): void {
    for (const [path, source] of this.#originals) writeFileSync(path, source);
    this.#originals.clear();
  }

  /** Runs a module of the copy, in a process of its own that must never be silent for so long. */
  run(module: string, args: readonly string[], silentMsMax: number): Promise<ChildRun> {
    const node = ["--conditions=mobula-source", "--import", "tsx", module, ...args];
    const child = spawn(process.execPath, node, { cwd: this.#folder });
    let output = "";
    let errors = "";
    const timer = setTimeout(() => child.kill("SIGKILL"), silentMsMax);
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      output += text;
      timer.refresh();
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => (errors += text));
    return new Promise((resolve, reject) => {
      child.on("error", reject);
      child.on("close", (status) => {
        clearTimeout(timer);
        const lines = output.split("\n").filter((line) => line !== "");
        resolve({ status, lines, errors });
      });
    });
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
