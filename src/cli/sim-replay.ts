/** `mobula sim replay`: a saved run once more; says whether what was wrong with it still is. */
import { simulate } from "#sim/simulate.ts";
import type { SimReport } from "#sim/options.ts";
import { readRepro, type Repro, ReproFileError } from "#sim/repro-file.ts";
import {
  importPrograms,
  type LoadedProgram,
  ProgramFileError,
} from "#sim/run-set/program-module.ts";
import { failuresOf, type SeedFailure } from "#sim/run-set/seed-run.ts";
import { UsageError } from "./usage-error.ts";

export interface ReplayOptions {
  /** Of the repro file. */
  readonly path: string;
  /** The module of the program, when it is not the saved one. */
  readonly file: string | undefined;
  /** The name of the program, when it is not the saved one. */
  readonly name: string | undefined;
}

/** 1 when the run fails again, in whatever way; 0 when it passes now. */
export async function replayRepro(options: ReplayOptions): Promise<number> {
  const { path } = options;
  try {
    const repro = await readRepro(path);
    const { program } = await programOf(repro, options);
    const report = await simulate(repro.options, program);
    process.stdout.write(`${verdictOf(repro, report)}\n`);
    return failuresOf(report).length > 0 ? 1 : 0;
  } catch (error) {
    const isTheirs = error instanceof ReproFileError || error instanceof ProgramFileError;
    if (isTheirs) throw new UsageError(error.message);
    if (error instanceof TypeError || error instanceof RangeError) {
      throw new UsageError(`${path}: ${error.message}`);
    }
    throw error;
  }
}

async function programOf(repro: Repro, options: ReplayOptions): Promise<LoadedProgram> {
  const { path, file, name } = options;
  const from = file ?? repro.program?.file;
  if (from === undefined) {
    throw new UsageError(
      `${path} names no module, its program was a function in a test: ` +
        "sim replay REPRO FILE, with a module that exports it",
    );
  }
  const saved = repro.program?.name;
  const [loaded, ...others] = await importPrograms(
    from,
    file === undefined ? (name ?? saved) : name,
  );
  if (loaded === undefined) throw new UsageError(`${from} has no program`);
  // Whoever names a module with one program means that one, whatever it is called there.
  if (others.length === 0) return loaded;
  const all = [loaded, ...others];
  const same = all.find((program) => program.name === saved);
  if (same !== undefined) return same;
  const names = all.map((program) => program.name).join(", ");
  const has = saved === undefined ? names : `no program ${JSON.stringify(saved)}, but ${names}`;
  throw new UsageError(`${from} has ${has}: choose one of them with --program NAME`);
}

function verdictOf(repro: Repro, report: SimReport<unknown>): string {
  const failures = failuresOf(report);
  const before = [...repro.violations.map(({ oracle }) => oracle)];
  if (repro.error !== null) before.push("program");
  const now = failures.map(({ oracle }) => oracle);
  const isSame = before.length > 0 && before.every((oracle) => now.includes(oracle));
  const traces =
    report.traceHash === repro.traceHash
      ? "the run is the same, to the last event"
      : "it is another run than the saved one: the program or its imports have changed";
  if (failures.length === 0) return `passes now; ${traces}`;
  const head = isSame ? "fails again in the same way" : `fails in another way (was: ${before})`;
  return [`${head}; ${traces}`, ...failures.map(lineOf), "last steps:", report.trace()].join("\n");
}

function lineOf({ oracle, entity, message }: SeedFailure): string {
  return `  ${oracle} (${entity}): ${message}`;
}
