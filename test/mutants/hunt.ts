/**
 * Runs inside a copy of the sources: goes through random cases until one fails, and says so in
 * lines of JSON. `node hunt.ts FIRST_SEED SEEDS [shrink | PROGRAM]`: a program of test/simulation,
 * under its own faults, instead of random ones.
 */
import { Worker } from "node:worker_threads";
import * as fc from "fast-check";
import { sameFailure, signatureOf } from "#sim/fast-check.ts";
import { simulate } from "#sim/simulate.ts";
import type { Failure } from "#sim/shrinking/failure-signature.ts";
import type { SimProgram } from "../simulation/world.ts";
import { type Case, cases } from "../property/programs/cases.ts";
import { judge } from "../property/programs/judge.ts";

export interface Hunted {
  readonly seeds: number;
  readonly cpuSeconds: number;
  /** What the failure was: null when none was found. */
  readonly signature: string | null;
  readonly message: string;
}

export interface Shrunk {
  readonly signature: string;
  readonly replayedSignature: string;
  readonly faults: number;
  /** Other than the default. */
  readonly choices: number;
  readonly story: readonly string[];
  readonly case: Case;
}

/** In turn: mostly three nodes, where there is more to go wrong. */
const nodeCounts = [3, 1, 3, 2, 4];

const [firstSeed = 0, seedsMax = 100] = process.argv.slice(2, 4).map(Number);
const shrinks = process.argv[4] === "shrink";
const programName = shrinks ? undefined : process.argv[4];

/** Of processor time, for one seed: more than any needs that goes on. */
const seedCpuUsMax = 15e6;
/** An engine that never leaves an event can be ended from another thread only. */
const watchdog = `
  const { workerData } = require("node:worker_threads");
  let seen = -1;
  let sinceUs = 0;
  setInterval(() => {
    const { user, system } = process.cpuUsage();
    const count = Atomics.load(workerData.count, 0);
    if (count !== seen) [seen, sinceUs] = [count, user + system];
    else if (user + system - sinceUs > workerData.maxUs) process.kill(process.pid, "SIGKILL");
  }, 250);
`;
const seedCount = new Int32Array(new SharedArrayBuffer(4));
const guard = new Worker(watchdog, {
  eval: true,
  workerData: { count: seedCount, maxUs: seedCpuUsMax },
});

const found = await hunt();
await guard.terminate();
if (shrinks && found !== null) say(await shrink(found));

async function hunt(): Promise<number | null> {
  const startUs = cpuUs();
  const tell = (seeds: number, signature: string | null, message: string): void => {
    say({ seeds, cpuSeconds: (cpuUs() - startUs) / 1e6, signature, message } satisfies Hunted);
  };
  for (let i = 0; i < seedsMax; i++) {
    const seed = firstSeed + i;
    const failure = await firstFailureOf(seed);
    if (failure !== undefined) {
      tell(i + 1, signatureOf(failure), failure.message);
      return seed;
    }
    Atomics.add(seedCount, 0, 1);
    tell(i + 1, null, "");
  }
  return null;
}

async function firstFailureOf(seed: number): Promise<Failure | undefined> {
  if (programName === undefined) {
    const [one] = fc.sample(casesOf(seed), { seed, numRuns: 1 });
    return (await judge((one as Case).options, (one as Case).program)).failures[0];
  }
  const { default: module } = (await import(`../simulation/${programName}.ts`)) as {
    default: SimProgram;
  };
  const { options, program } = module;
  const { violations, error } = await simulate({ chaos: true, ...options(seed), seed }, program);
  const thrown = { oracle: "program", entity: "driver", message: String(error) };
  return violations[0] ?? (error === undefined ? undefined : thrown);
}

/** The same case again, which fast-check then makes smaller; judged anew at the end. */
async function shrink(seed: number): Promise<Shrunk> {
  const check = sameFailure();
  let last: readonly string[] = [];
  let signature = "";
  const property = fc.asyncProperty(casesOf(seed), async ({ options, program }) => {
    const { report, failures } = await judge(options, program);
    try {
      check(failures);
    } catch (error) {
      const [failure] = failures;
      if (signature === "" && failure !== undefined) signature = signatureOf(failure);
      const same = failures.find((one) => signatureOf(one) === signature);
      last = same === undefined ? [] : report.story(same.entity).split("\n");
      throw error;
    }
  });
  const { counterexample, counterexamplePath } = await fc.check(property, { seed, numRuns: 1 });
  const [smallest] = counterexample ?? fc.sample(casesOf(seed), { seed, numRuns: 1 });
  let replayedSignature = "";
  const again = fc.asyncProperty(casesOf(seed), async ({ options, program }) => {
    const signatures = (await judge(options, program)).failures.map(signatureOf);
    replayedSignature = signatures.find((one) => one === signature) ?? signatures[0] ?? "";
    return signatures.length === 0;
  });
  await fc.check(again, { seed, path: counterexamplePath ?? "0", endOnFailure: true });
  const { faults = [], choices = [] } = (smallest as Case).options;
  return {
    signature,
    replayedSignature,
    faults: faults.length,
    choices: choices.filter((choice) => choice !== 0).length,
    story: last,
    case: smallest as Case,
  };
}

function casesOf(seed: number): fc.Arbitrary<Case> {
  return cases(nodeCounts[seed % nodeCounts.length] as number);
}

function cpuUs(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

function say(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}
