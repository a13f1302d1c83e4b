/**
 * `npm run sim`: the project's own programs (test/simulation) under every fault. Explores random
 * seeds and prints the first; `--seed N` begins there. Reports figures, never fails on them.
 *
 * Exits 1 when a seed failed or a rare state was never reached, 2 on a bad option.
 */
import { randomInt } from "node:crypto";
import { readdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { runSet } from "#sim/run-set/run-set.ts";
import { FailureList } from "../src/cli/sim-failures.ts";
import { SimProgress, summaryOf } from "../src/cli/sim-progress.ts";
import { describeMachine, describeVersions } from "../src/cli/machine.ts";

const folder = fileURLToPath(new URL("../test/simulation/", import.meta.url));
/** Modules of the folder that are no programs, but what programs share. */
const shared = ["outcome.ts", "world.ts"];
/** Seeds in all, split among the programs. */
const seedsDefault = 300;
const seedsOfCi = 2_000;
const seedsFull = 10_000;
/** A set of this many seeds that never gets there tests less than it says. */
const rareStates = [
  ...["leaseRevoked", "takenBack", "workerCrashedWhileRunning", "crashedAfterMessage"],
  ...["leaseReRequestedWhileGranting", "takeBackLost"],
  "endedForMemory",
  ...["retried", "retriedException", "maxRetriesExhausted", "attemptRefused"],
  ...["actorOutOfScope", "actorNeededAfterItsEnd", "actorAbandoned"],
  ...["driverCrashed", "deadlockFound"],
  ...["cancelledQueued", "cancelledRunning", "cancelledRecursively"],
  ...["cancelledByBorrower", "cancelledByForce", "cancelledOnItsWay"],
  ...["leaseSpilled", "sessionResumed", "nodeCrashed", "nodeDied", "nodeRestarted"],
  ...["restartedUnnoticed", "oldIdRefused", "zombieReturned", "objectStoreFull"],
  ...["borrowerOfBorrower", "holdMakerDied", "holdReleasedUnconfirmed"],
  ...["objectRecovered", "pulled", "pullRetried", "secondaryCopy", "copyRepinned", "copyLost"],
  "pullExplained",
  ...[
    "copyEvicted",
    "waitedForRoom",
    "fallback",
    "overflowed",
    "overflowRefused",
    "reclaimed",
    "segmentsReclaimed",
  ],
  ...["readOfTheDead", "placeTold", "buffersMoved", "buffersCopied", "buffersLost"],
  ...["formerFilesRemoved", "revokedSpilled", "endedWhileWriting", "fileLeft"],
  ...["spilled", "spillRestored", "spillServed", "spillFailed", "spillCorrupt", "spillLost"],
  ...["spillReadFailed", "spillReadAgain"],
];
const seedsForRareStates = 2_000;

const usage = `npm run sim -- [--seeds N] [--seed S] [--full | --ci] [--check-determinism]
               [--only PROGRAM] [--minutes M] [--workers W] [--json FILE]
  --seed  alone: only this seed, of each program
  --full  ${seedsFull} seeds, each twice
  --ci    the same ${seedsOfCi} seeds every time, each twice
`;

function readOptions() {
  const { values } = parseArgs({
    options: {
      seeds: { type: "string" },
      seed: { type: "string" },
      full: { type: "boolean", default: false },
      ci: { type: "boolean", default: false },
      "check-determinism": { type: "boolean", default: false },
      only: { type: "string" },
      minutes: { type: "string" },
      workers: { type: "string" },
      json: { type: "string" },
    },
  });
  const { full, ci } = values;
  const files = filesOf(values.only);
  const seedsWithout = values.seed === undefined ? seedsDefault : files.length;
  const seedsChosen = full ? seedsFull : ci ? seedsOfCi : seedsWithout;
  const minutes = numberOf("minutes", values.minutes);
  return {
    seeds: countOf("seeds", values.seeds) ?? (minutes === undefined ? seedsChosen : Infinity),
    firstSeed: numberOf("seed", values.seed) ?? (ci ? 0 : randomInt(2 ** 31)),
    checkDeterminism: full || ci || values["check-determinism"],
    files,
    minutes,
    workers: countOf("workers", values.workers),
    json: values.json,
  };
}

function numberOf(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (text !== "" && Number.isFinite(value) && value >= 0) return value;
  throw new TypeError(`--${name} must be a number of at least 0, got ${text}`);
}

function countOf(name: string, text: string | undefined): number | undefined {
  const value = numberOf(name, text);
  if (value === undefined || (Number.isSafeInteger(value) && value >= 1)) return value;
  throw new TypeError(`--${name} must be a whole number of at least 1, got ${text}`);
}

function filesOf(only: string | undefined): string[] {
  const names = readdirSync(folder).filter(
    (name) => name.endsWith(".ts") && !shared.includes(name),
  );
  const chosen = names.sort().filter((name) => only === undefined || name === `${only}.ts`);
  if (chosen.length === 0) throw new TypeError(`test/simulation has no program ${only}`);
  return chosen.map((name) => `${folder}${name}`);
}

async function main(options: ReturnType<typeof readOptions>): Promise<void> {
  const { seeds, firstSeed, checkDeterminism, files, minutes, workers, json } = options;
  const startedAt = new Date().toISOString();
  const machine = describeMachine();
  const progress = new SimProgress(process.stderr);
  const failures = new FailureList({ withExplanation: false });
  const each = checkDeterminism ? ", each twice" : "";
  progress.print(`${files.length} modules, ${seeds} seeds in all, from ${firstSeed}${each}`);
  const report = await runSet({
    files,
    firstSeed,
    seedCount: Math.ceil(seeds / files.length),
    checkDeterminism,
    reproFolder: "mobula-repros",
    mustReach: seeds >= seedsForRareStates && files.length > 1 ? rareStates : [],
    ...(minutes === undefined ? {} : { limitMs: minutes * 60_000 }),
    ...(workers === undefined ? {} : { workers }),
    onResult: (result, tally) => {
      const text = failures.add(result);
      if (text !== null) progress.print(text);
      progress.update(tally);
    },
  });
  progress.end();
  for (const line of failures.repeated()) progress.print(line);
  progress.print(summaryOf(report));
  if (json !== undefined) {
    const versions = describeVersions();
    const whole = { startedAt, machine, versions, firstSeed, checkDeterminism, ...report };
    writeFileSync(json, `${JSON.stringify(whole, null, 2)}\n`);
  }
  process.exitCode = report.ok ? 0 : 1;
}

let options: ReturnType<typeof readOptions> | undefined;
try {
  options = readOptions();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n${usage}`);
  process.exitCode = 2;
}
if (options !== undefined) await main(options);
