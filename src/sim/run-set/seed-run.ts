/** One program, one seed: run once or twice, judged, saved when it failed, told as plain data. */
import { join } from "node:path";
import { checkSimOptions } from "#sim/check-options.ts";
import { compareRuns } from "#sim/report/determinism.ts";
import { DriverCrashed } from "#sim/run-end/driver-crashed.ts";
import type { Fault } from "#sim/faults/fault.ts";
import type { SimOptions, SimReport } from "#sim/options.ts";
import { programEntity, Report } from "#sim/report/report.ts";
import {
  engineVersion,
  type Repro,
  reproFileName,
  type ReproMismatch,
  reproVersion,
} from "#sim/report/repro-file.ts";
import { simulate } from "#sim/simulate.ts";
import { drawSwarm } from "#sim/faults/swarm.ts";
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
  /** Of its plan, those that chaos drew among them; of a seed that passed none. */
  readonly faults: readonly Fault[];
  /** null when the seed passed, or nothing was saved. */
  readonly reproFile: string | null;
  /** Why a seed that failed could not be saved. */
  readonly notSaved: string | null;
  /** Of a failed run: its story and its last steps; else "". */
  readonly explanation: string;
}

export interface SeedRunSettings {
  readonly checkDeterminism: boolean;
  /** Where repro files go; null: nowhere. */
  readonly reproFolder: string | null;
  /** What stands before `--seed` in a replay line. */
  readonly replayCommand: string;
  /** Before each run: what is known of it should it never end. */
  onBegun?(begun: BegunRun): void;
}

export interface BegunRun {
  /** Where it would be saved. */
  readonly path: string;
  readonly repro: Repro;
}

/** Of an error: its causes, and theirs. */
const causesMax = 5;

/** Throws what `simulate` throws for options that no seed can run with. */
export async function runSeed(
  loaded: LoadedProgram,
  seed: number,
  settings: SeedRunSettings,
): Promise<SeedResult> {
  const { file, name, program } = loaded;
  const options = loaded.optionsOf(seed);
  const { checkDeterminism, reproFolder, onBegun } = settings;
  if (reproFolder !== null && onBegun !== undefined) {
    const path = join(reproFolder, reproFileName(name, seed));
    onBegun({ path, repro: reproOf(loaded, options) });
  }
  const { reports, failures, mismatch } = await judge(options, program, checkDeterminism);
  const [report] = reports;
  const replay = `${settings.replayCommand} --seed ${seed}`;
  Report.cameFrom(report, { program: { file, name }, replay, mismatch });
  const hasFailed = failures.length > 0;
  const isSaved = hasFailed && reproFolder !== null;
  const path = isSaved ? join(reproFolder, reproFileName(name, seed)) : null;
  const notSaved = path === null ? null : await whySaveFails(() => report.save(path));
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
    isMismatch: mismatch !== null,
    replay,
    faults: hasFailed ? Report.planOf(report) : [],
    reproFile: notSaved === null ? path : null,
    notSaved,
    explanation: hasFailed ? Report.explain(report) : "",
  };
}

/** What was found is told all the same. */
export async function whySaveFails(save: () => Promise<void>): Promise<string | null> {
  try {
    await save();
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Of a run that has not begun, with all that its seed draws. */
function reproOf({ file, name }: LoadedProgram, given: SimOptions): Repro {
  checkSimOptions(given);
  const { options, drawn } = drawSwarm(given);
  const nothing = { violations: [], error: null, mismatch: null, traceHash: "" };
  const versions = { version: reproVersion, engine: engineVersion };
  return { ...versions, program: { file, name }, options, drawn, ...nothing };
}

export interface Judged {
  /** The first run, and the second where there was one. */
  readonly reports: readonly [SimReport<unknown>, ...SimReport<unknown>[]];
  readonly failures: readonly SeedFailure[];
  readonly mismatch: ReproMismatch | null;
}

/** `twice`: a second run must be the same as the first. */
export async function judge(
  options: SimOptions,
  program: LoadedProgram["program"],
  twice: boolean,
): Promise<Judged> {
  const report = await simulate(options, program);
  const failures = failuresOf(report);
  if (!twice) return { reports: [report], failures, mismatch: null };
  const again = await simulate(options, program);
  const reports = [report, again] as const;
  const divergence = compareRuns(report, again);
  if (divergence === null) return { reports, failures, mismatch: null };
  const { eventId, text } = divergence;
  const entity = eventId === 0 ? "result" : `event ${eventId}`;
  failures.push({ oracle: "determinism", entity, message: text });
  return { reports, failures, mismatch: { eventId, text } };
}

export function failuresOf(report: SimReport<unknown>): SeedFailure[] {
  const failures: SeedFailure[] = report.violations.map(({ oracle, entity, message }) => {
    return { oracle, entity, message };
  });
  // A program may reject with nothing: that is a failure too.
  if (!("error" in report)) return failures;
  const { error } = report;
  // The fault's doing: what is left behind the program is what is judged.
  if (error instanceof DriverCrashed) return failures;
  return [...failures, { oracle: "program", entity: programEntity, message: textOf(error) }];
}

/** With its causes: what a task threw, and where, is the cause of what `get` throws. */
function textOf(error: unknown): string {
  const texts: string[] = [];
  let each: unknown = error;
  do {
    texts.push(each instanceof Error ? (each.stack ?? String(each)) : String(each));
    each = each instanceof Error ? each.cause : undefined;
  } while (each !== undefined && texts.length <= causesMax);
  return texts.join("\n  caused by: ");
}
