/** One program, one seed: run once or twice, judged, saved when it failed, told as plain data. */
import { join } from "node:path";
import { compareRuns } from "#sim/determinism.ts";
import type { SimReport } from "#sim/options.ts";
import { Report } from "#sim/report.ts";
import { simulate } from "#sim/simulate.ts";
import type { LoadedProgram } from "./program-module.ts";

export interface SeedFailure {
  /** Number and name of the oracle; "program" for what it threw, "determinism", "thread". */
  readonly oracle: string;
  readonly entity: string;
  readonly message: string;
}

export interface SeedResult {
  readonly program: string;
  readonly seed: number;
  /** Of all runs of this seed. */
  readonly runs: number;
  readonly events: number;
  readonly virtualMs: number;
  readonly faultsFired: number;
  /** Carried out, by kind. */
  readonly faultsByKind: Readonly<Record<string, number>>;
  readonly reached: readonly string[];
  readonly failures: readonly SeedFailure[];
  readonly isMismatch: boolean;
  /** Shell line. */
  readonly replay: string;
  /** null when the seed passed, or nothing is to be saved. */
  readonly reproFile: string | null;
  /** The last steps of a failed run, else "". */
  readonly lastSteps: string;
}

export interface SeedRunSettings {
  readonly checkDeterminism: boolean;
  /** Where repro files go; null: nowhere. */
  readonly reproFolder: string | null;
  /** What stands before `--seed` in a replay line. */
  readonly replayCommand: string;
}

const lastStepsMax = 40;

/** Throws what `simulate` throws for options that no seed can run with. */
export async function runSeed(
  loaded: LoadedProgram,
  seed: number,
  settings: SeedRunSettings,
): Promise<SeedResult> {
  const { file, name, program } = loaded;
  const options = loaded.optionsOf(seed);
  const reports = [await simulate(options, program)];
  if (settings.checkDeterminism) reports.push(await simulate(options, program));
  const [report, again] = reports as [SimReport<unknown>, SimReport<unknown>?];
  const divergence = again === undefined ? null : compareRuns(report, again);
  const failures = [...failuresOf(report)];
  if (divergence !== null) {
    const entity = divergence.eventId === 0 ? "result" : `event ${divergence.eventId}`;
    failures.push({ oracle: "determinism", entity, message: divergence.text });
  }
  const replay = `${settings.replayCommand} --seed ${seed}`;
  Report.cameFrom(report, { program: { file, name }, replay });
  const hasFailed = failures.length > 0;
  let reproFile: string | null = null;
  if (hasFailed && settings.reproFolder !== null) {
    reproFile = join(settings.reproFolder, `${name.replace(/[^\w.-]+/g, "-")}-${seed}.json`);
    await report.save(reproFile);
  }
  return {
    program: name,
    seed,
    runs: reports.length,
    events: reports.reduce((sum, { events }) => sum + events, 0),
    virtualMs: reports.reduce((sum, { virtualMs }) => sum + virtualMs, 0),
    faultsFired: report.faultsFired,
    faultsByKind: Report.firedOf(report),
    reached: report.reached,
    failures,
    isMismatch: divergence !== null,
    replay,
    reproFile,
    lastSteps: hasFailed ? Report.lastSteps(report, lastStepsMax) : "",
  };
}

export function failuresOf(report: SimReport<unknown>): SeedFailure[] {
  const failures: SeedFailure[] = report.violations.map(({ oracle, entity, message }) => {
    return { oracle, entity, message };
  });
  // A program may reject with nothing: that is a failure too.
  if (!("error" in report)) return failures;
  const { error } = report;
  const message = error instanceof Error ? (error.stack ?? String(error)) : String(error);
  return [...failures, { oracle: "program", entity: "driver", message }];
}
