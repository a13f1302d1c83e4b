/** A module on disk → the programs it offers to a run set. */
import { stat } from "node:fs/promises";
import { basename, extname, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { loaderArguments, needsTypeScriptLoader } from "#api/identity/code-transform.ts";
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
  const programs = programsIn(await importFile(path, file), file);
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

function programsIn(exports: Record<string, unknown>, file: string): LoadedProgram[] {
  const fileName = basename(file, extname(file));
  const { default: main, ...named } = exports;
  const candidates =
    main === undefined
      ? Object.entries(named)
      : (Array.isArray(main) ? main : [main]).map((item, i, { length }) => {
          return [length > 1 ? `${fileName}-${i + 1}` : fileName, item] as const;
        });
  return candidates.flatMap(([name, value]) => {
    const program = asProgram(value);
    return program === null ? [] : [load(program, program.name ?? name, file)];
  });
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

function load({ program, options = {} }: SimProgram, name: string, file: string): LoadedProgram {
  return {
    file,
    name,
    program,
    optionsOf: (seed) => {
      const own = typeof options === "function" ? options(seed) : options;
      return { chaos: true, ...own, seed };
    },
  };
}
