/** A module on disk → the programs it offers to a run set. */
import { stat } from "node:fs/promises";
import { basename, extname, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { loaderArguments, needsTypeScriptLoader } from "#api/identity/code-transform.ts";
import { checkOptions, kindError } from "#api/option-checks.ts";
import type { SimOptions, Simulation } from "#sim/options.ts";

type SeedOptions = Partial<Omit<SimOptions, "seed">>;
type ProgramBody = (sim: Simulation) => Promise<unknown>;

/**
 * What a module exports: the function alone, or with what its runs are like. Default exports come
 * alone; without one every named export that is a program counts.
 */
export interface SimProgram {
  /** By default the name of the export; of a default export the file's. */
  name?: string;
  program: ProgramBody;
  /** By default `{ chaos: true }`; what is given is added to that, and may depend on the seed. */
  options?: SeedOptions | ((seed: number) => SeedOptions);
}

export interface LoadedProgram {
  /** Absolute. */
  readonly file: string;
  readonly name: string;
  readonly program: ProgramBody;
  optionsOf(seed: number): SimOptions;
}

/** A file that is missing, cannot be imported, or has no program: the message says which. */
export class ProgramFileError extends Error {
  override readonly name = "ProgramFileError";
}

/** Imports TypeScript where the runtime or tsx can; `only` chooses one program by its name. */
export async function importPrograms(path: string, only?: string): Promise<LoadedProgram[]> {
  const file = resolve(path);
  const isFile = await stat(file).then(
    (found) => found.isFile(),
    () => false,
  );
  if (!isFile) throw new ProgramFileError(`there is no file ${path}`);
  const programs = programsIn(await importFile(path, file), file, path);
  if (programs.length === 0) {
    throw new ProgramFileError(
      `${path} has no program: export default async (sim) => { … }, ` +
        "or { program, options }, or several of them by name",
    );
  }
  if (only === undefined) return programs;
  const chosen = programs.filter(({ name }) => name === only);
  if (chosen.length > 0) return chosen;
  const names = programs.map(({ name }) => name).join(", ");
  throw new ProgramFileError(`${path} has no program ${JSON.stringify(only)}, but ${names}`);
}

async function importFile(path: string, file: string): Promise<Record<string, unknown>> {
  const { href } = pathToFileURL(file);
  const loaderArgs = loaderArguments();
  try {
    if (needsTypeScriptLoader(href, loaderArgs)) {
      const { registerTypeScript } = await import("#api/identity/typescript-loader.ts");
      await registerTypeScript(href, loaderArgs);
    }
    return (await import(href)) as Record<string, unknown>;
  } catch (error) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    throw new ProgramFileError(`${path} cannot be imported: ${text}`, { cause: error });
  }
}

function programsIn(exports: Record<string, unknown>, file: string, path: string): LoadedProgram[] {
  const fileName = basename(file, extname(file));
  const { default: main, ...named } = exports;
  const candidates =
    main === undefined
      ? Object.entries(named)
      : (Array.isArray(main) ? main : [main]).map((item, i, { length }) => {
          return [length > 1 ? `${fileName}-${i + 1}` : fileName, item] as const;
        });
  const programs = candidates.flatMap(([name, value]) => {
    const program = asProgram(value);
    if (program === null) return [];
    try {
      return [load(program, name, file)];
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      throw new ProgramFileError(`${path}: ${error.message}`, { cause: error });
    }
  });
  const names = new Set<string>();
  for (const { name } of programs) {
    if (!names.has(name)) names.add(name);
    else throw new ProgramFileError(`${path} has two programs of the name ${JSON.stringify(name)}`);
  }
  return programs;
}

function asProgram(value: unknown): SimProgram | null {
  if (typeof value === "function") {
    // A remote function or class, and a class of the program's own, are no programs.
    const isOther = "remote" in value || String(value).startsWith("class");
    return isOther ? null : { program: value as ProgramBody };
  }
  if (typeof value !== "object" || value === null || !("program" in value)) return null;
  return typeof value.program === "function" ? (value as SimProgram) : null;
}

function load(given: SimProgram, exportName: string, file: string): LoadedProgram {
  const { program, options = {}, name = exportName } = given;
  // It stands in a shell line.
  if (typeof name !== "string" || !/^[^\p{Cc}]+$/u.test(name)) {
    throw kindError("the name of a program", "one line of text", name);
  }
  const of = `the program ${JSON.stringify(name)}`;
  checkOptions(of, given, ["name", "program", "options"]);
  if (typeof options !== "function") checkSeedOptions(of, options);
  return {
    file,
    name,
    program,
    optionsOf: (seed) => {
      const own = typeof options === "function" ? options(seed) : options;
      checkSeedOptions(of, own);
      return { chaos: true, ...own, seed };
    },
  };
}

/** What the options say is for `simulate` to check. */
function checkSeedOptions(of: string, options: SeedOptions): void {
  const prototype: unknown =
    typeof options === "object" && options !== null ? Object.getPrototypeOf(options) : undefined;
  // A promise has no fields, and would say nothing of what it comes to.
  if (prototype !== Object.prototype && prototype !== null) {
    throw kindError(`options of ${of}`, "an object", options);
  }
  if ("seed" in options) throw new TypeError(`${of} has no option "seed": each run has its own`);
}
