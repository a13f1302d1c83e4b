/**
 * `npm run mutants`: plants one bug at a time into a copy of the sources and counts the seeds that
 * the project's properties need to find it.
 *
 * Exits 1 when the sources without any bug fail, 2 on a bad option; a survivor is a figure.
 */
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { describeMachine, describeVersions } from "../src/cli/machine.ts";
import { laterExamples, mutants } from "../test/mutants/engine-mutants.ts";
import type { Hunted } from "../test/mutants/hunt.ts";
import type { Mutant } from "../test/mutants/mutant.ts";
import { MutatedTree } from "../test/mutants/mutated-tree.ts";

const seedsDefault = 2_000;
/** A hunt ends itself when a seed hangs; this is for one that cannot. */
const silentMsMax = 300_000;
const none: Mutant = { name: "none", why: "the sources as they are", edits: [] };

interface Result extends Hunted {
  readonly name: string;
  readonly why: string;
  readonly isKilled: boolean;
  readonly wallSeconds: number;
}

const usage = `npm run mutants -- [--seeds N] [--seed S] [--only TEXT]... [--bugs-only]
                   [--json FILE]
  --seeds      budget for each bug, ${seedsDefault} by default
  --only       bugs with this, or one of these, in their names
  --bugs-only  the sources as they are, which must pass, are not run
`;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seeds: { type: "string", default: String(seedsDefault) },
      seed: { type: "string", default: "0" },
      only: { type: "string", multiple: true, default: [""] },
      json: { type: "string" },
      "bugs-only": { type: "boolean", default: false },
    },
  });
  const [seeds, firstSeed] = [numberOf(values.seeds), numberOf(values.seed)];
  const chosen = mutants.filter(({ name }) => {
    return values.only.some((text) => name.includes(text));
  });
  const results: Result[] = [];
  const tree = new MutatedTree();
  try {
    for (const mutant of values["bugs-only"] ? chosen : [none, ...chosen]) {
      const result = await hunt(tree, mutant, { seeds, firstSeed });
      print(lineOf(result));
      if (mutant !== none) results.push(result);
      else if (result.isKilled) process.exitCode = 1;
    }
  } finally {
    tree.remove();
  }
  const killed = results.filter(({ isKilled }) => isKilled);
  const killRate = killed.length / Math.max(1, results.length);
  print(`\n${killed.length} of ${results.length} killed (${(killRate * 100).toFixed(0)} %)`);
  for (const { name, waitsFor } of laterExamples) print(`not yet: ${name}: needs ${waitsFor}`);
  if (values.json === undefined) return;
  const machine = describeMachine();
  const versions = describeVersions();
  const whole = { machine, versions, seeds, firstSeed, killRate, results, later: laterExamples };
  writeFileSync(values.json, `${JSON.stringify(whole, null, 2)}\n`);
}

async function hunt(
  tree: MutatedTree,
  mutant: Mutant,
  { seeds, firstSeed }: { readonly seeds: number; readonly firstSeed: number },
): Promise<Result> {
  tree.plant(mutant);
  const startMs = performance.now();
  const args = [String(firstSeed), String(seeds), ...(mutant.program ? [mutant.program] : [])];
  const { status, lines, errors } = await tree.run("test/mutants/hunt.ts", args, silentMsMax);
  const wallSeconds = (performance.now() - startMs) / 1_000;
  const { name, why } = mutant;
  const last = lines.at(-1);
  if (status !== 0 && status !== null) throw new Error(`${name}: the hunt failed: ${errors}`);
  const nothing = { seeds: 0, cpuSeconds: wallSeconds, signature: null, message: "" };
  const hunted = last === undefined ? nothing : (JSON.parse(last) as Hunted);
  if (status === null) {
    // The seed that hangs is the one behind the last that it told of.
    const hung = { seeds: hunted.seeds + 1, cpuSeconds: wallSeconds, signature: "hang" };
    return { name, why, isKilled: true, wallSeconds, ...hunted, ...hung };
  }
  return { name, why, isKilled: hunted.signature !== null, wallSeconds, ...hunted };
}

function lineOf({ name, isKilled, seeds, cpuSeconds, signature }: Result): string {
  const what = isKilled ? `killed by ${signature}` : "survived";
  const effort = `${String(seeds).padStart(5)} seeds ${cpuSeconds.toFixed(1).padStart(6)} s`;
  return `${name.padEnd(38)} ${effort}  ${what}`;
}

function numberOf(text: string): number {
  const value = Number(text);
  if (text !== "" && Number.isSafeInteger(value) && value >= 0) return value;
  throw new TypeError(`a number of at least 0 is expected, got ${text}`);
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

try {
  await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n${usage}`);
  process.exitCode = 2;
}
