/** Entry of a run set's thread: imports the programs once, then runs one seed after another. */
import { parentPort, workerData } from "node:worker_threads";
import { importPrograms, type LoadedProgram } from "./program-module.ts";
import { flagArgument } from "./shell-line.ts";
import { type BegunRun, runSeed, type SeedResult, type SeedRunSettings } from "./seed-run.ts";

export interface RunSetWorkerData {
  readonly files: readonly string[];
  readonly only: string | undefined;
  readonly checkDeterminism: boolean;
  readonly reproFolder: string | null;
  /** As typed, in the order of `files`. */
  readonly replayCommands: readonly string[];
}

export interface SeedJob {
  readonly programIndex: number;
  readonly seed: number;
}

export interface RunSetProgram {
  readonly name: string;
  /** What stands before `--seed` in a replay line. */
  readonly replayCommand: string;
}

export type FromRunSetWorker =
  | { readonly type: "ready"; readonly programs: readonly RunSetProgram[] }
  /** As text: what cannot be saved is for `simulate` to refuse. */
  | { readonly type: "begun"; readonly path: string; readonly repro: string }
  | { readonly type: "done"; readonly result: SeedResult }
  /** No seed can run: a file without programs, options that `simulate` refuses. */
  | { readonly type: "broken"; readonly message: string };

interface Runnable {
  readonly loaded: LoadedProgram;
  readonly settings: SeedRunSettings;
}

const data = workerData as RunSetWorkerData;
const post = (message: FromRunSetWorker): void => parentPort?.postMessage(message);

function tellBegun({ path, repro }: BegunRun): void {
  post({ type: "begun", path, repro: JSON.stringify(repro) });
}

async function load(): Promise<Runnable[]> {
  const runnables: Runnable[] = [];
  for (const [i, file] of data.files.entries()) {
    const all = await importPrograms(file, data.only);
    for (const loaded of all) {
      const isOneOfSeveral = all.length > 1 || data.only !== undefined;
      const flag = isOneOfSeveral ? ` ${flagArgument("--program", loaded.name)}` : "";
      const { checkDeterminism, reproFolder } = data;
      const check = checkDeterminism ? " --check-determinism" : "";
      const replayCommand = `${data.replayCommands[i]}${flag}${check}`;
      const settings = { checkDeterminism, reproFolder, replayCommand, onBegun: tellBegun };
      runnables.push({ loaded, settings });
    }
  }
  return runnables;
}

async function run(runnables: readonly Runnable[], job: SeedJob): Promise<void> {
  const runnable = runnables[job.programIndex];
  if (runnable === undefined) throw new RangeError(`no program ${job.programIndex}`);
  post({ type: "done", result: await runSeed(runnable.loaded, job.seed, runnable.settings) });
}

const tell = (error: unknown): void => {
  post({ type: "broken", message: error instanceof Error ? error.message : String(error) });
};

try {
  const runnables = await load();
  parentPort?.on("message", (job: SeedJob | null) => {
    // What programs have printed goes out first.
    if (job === null) process.stdout.write("", () => process.exit());
    else void run(runnables, job).catch(tell);
  });
  const programs = runnables.map(({ loaded: { name }, settings: { replayCommand } }) => {
    return { name, replayCommand };
  });
  post({ type: "ready", programs });
} catch (error) {
  tell(error);
}
