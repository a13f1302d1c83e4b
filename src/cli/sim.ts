/** `mobula sim`: what may stand on its command line, and what is wrong with what does. */
import { parseArgs, type ParseArgsConfig } from "node:util";
import { replayRepro } from "./sim-replay.ts";
import { runSeeds, type RunSeedsOptions } from "./sim-run.ts";
import { UsageError } from "./usage-error.ts";

export const simUsage = `\
  mobula sim run FILE [options]      runs the programs of a module, each seed another run
      --seeds N            seeds of each program (300)
      --minutes M          or as many as begin in M minutes
      --seed S             the first seed; alone: only this one (a random one)
      --program NAME       of several programs in the module only this one
      --check-determinism  each seed runs twice, and both must be the same to the last event
      --workers W          threads (one a core)
      --repros FOLDER      where failed runs are saved (mobula-repros)
      --must-reach A,B     rare states that must be reached somewhere in the set
      --seed-timeout S     seconds of real time that one seed may take (120)
      --json               one JSON object on stdout
  mobula sim replay REPRO [FILE]     runs a saved run again; FILE: the module of its program
      --program NAME       of several programs in the module this one, not the saved one
`;

const seedsDefault = 300;
const runOptions = {
  seeds: { type: "string" },
  minutes: { type: "string" },
  seed: { type: "string" },
  program: { type: "string" },
  "check-determinism": { type: "boolean", default: false },
  workers: { type: "string" },
  repros: { type: "string", default: "mobula-repros" },
  "must-reach": { type: "string", default: "" },
  "seed-timeout": { type: "string" },
  json: { type: "boolean", default: false },
} as const satisfies ParseArgsConfig["options"];

export async function simCommand(args: readonly string[]): Promise<number> {
  const [verb, ...rest] = args;
  switch (verb) {
    case "run":
      return runSeeds(readRunOptions(rest));
    case "replay": {
      const { values, positionals } = parse(rest, { program: { type: "string" } });
      const [repro, file, ...more] = positionals;
      if (repro === undefined) throw new UsageError("sim replay needs the path of a repro file");
      refuse(more);
      return replayRepro({ path: repro, file, name: values.program });
    }
    default:
      throw new UsageError(`sim takes run or replay, got ${verb ?? "nothing"}\n\n${simUsage}`);
  }
}

function readRunOptions(args: readonly string[]): RunSeedsOptions {
  const { values, positionals } = parse(args, runOptions);
  const [file, ...more] = positionals;
  if (file === undefined) throw new UsageError("sim run needs a module with a program");
  refuse(more);
  const seed = wholeNumber("seed", values.seed, 0);
  const seeds = wholeNumber("seeds", values.seeds, 1);
  const workers = wholeNumber("workers", values.workers, 1);
  const minutes = aboveZero("minutes", values.minutes);
  const seedTimeout = aboveZero("seed-timeout", values["seed-timeout"]);
  const seedsMissing = seed === undefined ? seedsDefault : 1;
  return {
    file,
    program: values.program,
    seed,
    seedCount: seeds ?? (minutes === undefined ? seedsMissing : Infinity),
    limitMs: minutes === undefined ? undefined : minutes * 60_000,
    checkDeterminism: values["check-determinism"],
    workers,
    reproFolder: values.repros,
    mustReach: values["must-reach"].split(",").filter((name) => name !== ""),
    seedTimeoutMs: seedTimeout === undefined ? undefined : seedTimeout * 1_000,
    json: values.json,
  };
}

function parse<T extends NonNullable<ParseArgsConfig["options"]>>(
  args: readonly string[],
  options: T,
) {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true, strict: true });
  } catch (error) {
    throw new UsageError(
      `${error instanceof Error ? error.message : String(error)}\n\n${simUsage}`,
    );
  }
}

function refuse(more: readonly string[]): void {
  if (more.length > 0) throw new UsageError(`one file at a time: ${more.join(" ")} is too much`);
}

function wholeNumber(name: string, text: string | undefined, min: number): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(value) && value >= min) return value;
  throw new UsageError(`--${name} must be a whole number of at least ${min}, got ${text}`);
}

function aboveZero(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (text.trim() !== "" && Number.isFinite(value) && value > 0) return value;
  throw new UsageError(`--${name} must be a number above 0, got ${text}`);
}
