/** `mobula sim replay`: a saved run once more; says whether what was wrong with it still is. */
import { readRepro, type Repro, ReproFileError } from "#sim/report/repro-file.ts";
import { Report } from "#sim/report/report.ts";
import {
  importPrograms,
  type LoadedProgram,
  ProgramFileError,
} from "#sim/run-set/program-module.ts";
import { judge, type Judged, type SeedFailure } from "#sim/run-set/seed-run.ts";
import { planLines } from "./sim-failures.ts";
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
    const judged = await judge(repro.options, program, repro.mismatch !== null);
    process.stdout.write(`${verdictOf(repro, judged)}\n`);
    return judged.failures.length > 0 ? 1 : 0;
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

function verdictOf(repro: Repro, judged: Judged): string {
  const { failures, reports } = judged;
  const before = [...repro.violations.map(({ oracle }) => oracle)];
  if (repro.error !== null) before.push("program");
  if (repro.mismatch !== null) before.push("determinism");
  const now = failures.map(({ oracle }) => oracle);
  const isSame = before.length > 0 && before.every((oracle) => now.includes(oracle));
  const traces = comparedWith(repro, judged);
  if (failures.length === 0) return `passes now; ${traces}`;
  const head = isSame ? "fails again in the same way" : `fails in another way (was: ${before})`;
  const explained = Report.explain(reports[0]);
  const plan = planLines(repro.options.faults ?? []);
  return [`${head}; ${traces}`, ...failures.map(lineOf), ...plan, explained].join("\n");
}

/** A run that no seed fixes need not be the saved one: there two new ones are compared. */
function comparedWith(repro: Repro, { reports, mismatch }: Judged): string {
  if (mismatch !== null) return "two runs of it differ";
  if (repro.mismatch !== null) return "two runs of it are the same, to the last event";
  if (repro.traceHash === "")
    return "of the saved run, which took its thread with it, nobody knows";
  if (reports[0].traceHash === repro.traceHash) return "the run is the same, to the last event";
  return "it is another run than the saved one: the program or its imports have changed";
}

function lineOf({ oracle, entity, message }: SeedFailure): string {
  return `  ${oracle} (${entity}): ${message}`;
}
