/** `mobula sim run`: many seeds of one module, told while they run; 1 when one of them failed. */
import { randomInt } from "node:crypto";
import { ProgramFileError } from "#sim/run-set/program-module.ts";
import { RunSetError, type RunSetReport, runSet } from "#sim/run-set/run-set.ts";
import { describeMachine, describeVersions } from "./machine.ts";
import { FailureList } from "./sim-failures.ts";
import { SimProgress, summaryOf } from "./sim-progress.ts";
import { UsageError } from "./usage-error.ts";

export interface RunSeedsOptions {
  readonly file: string;
  readonly program: string | undefined;
  /** The first one; undefined: random. */
  readonly seed: number | undefined;
  readonly seedCount: number;
  readonly limitMs: number | undefined;
  readonly checkDeterminism: boolean;
  readonly workers: number | undefined;
  readonly reproFolder: string;
  readonly mustReach: readonly string[];
  readonly seedTimeoutMs: number | undefined;
  readonly json: boolean;
}

export async function runSeeds(options: RunSeedsOptions): Promise<number> {
  const { file, seedCount, checkDeterminism, reproFolder, mustReach, json } = options;
  const firstSeed = options.seed ?? randomInt(2 ** 31);
  const startedAt = new Date().toISOString();
  const progress = new SimProgress(process.stderr);
  const failures = new FailureList({ withExplanation: seedCount === 1 });
  const many = seedCount === Infinity ? "" : `${seedCount} of them, `;
  const twice = checkDeterminism ? ", each twice" : "";
  progress.print(`${file}: seeds from ${firstSeed}, ${many}with chaos unless it says no${twice}`);
  const report = await refusing(
    runSet({
      files: [file],
      firstSeed,
      seedCount,
      checkDeterminism,
      reproFolder,
      mustReach,
      ...given({ program: options.program, workers: options.workers }),
      ...given({ limitMs: options.limitMs, seedTimeoutMs: options.seedTimeoutMs }),
      onResult: (result, tally) => {
        const text = failures.add(result);
        if (text !== null) progress.print(text);
        progress.update(tally);
      },
    }),
  );
  progress.end();
  for (const line of failures.repeated()) progress.print(line);
  progress.print(summaryOf(report));
  if (json) {
    const figures = { startedAt, machine: describeMachine(), versions: describeVersions() };
    const whole = { ...figures, file, firstSeed, checkDeterminism, ...report };
    process.stdout.write(`${JSON.stringify(whole, null, 2)}\n`);
  }
  return report.ok ? 0 : 1;
}

/** A module that cannot run is the caller's business: no stack of ours. */
async function refusing(running: Promise<RunSetReport>): Promise<RunSetReport> {
  try {
    return await running;
  } catch (error) {
    const isTheirs = error instanceof RunSetError || error instanceof ProgramFileError;
    throw isTheirs ? new UsageError(error.message) : error;
  }
}

/** Without the keys whose value is undefined. */
function given<T extends Record<string, unknown>>(
  fields: T,
): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const entries = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as { [K in keyof T]?: Exclude<T[K], undefined> };
}
