/**
 * Measures mobula beside its peers, in one process: tables on stderr, one JSON on stdout or in
 * a file.
 *
 * Never fails on a figure; exits 1 when an answer was wrong or a call failed, 2 on a bad option.
 */
import { writeFileSync } from "node:fs";
import { performance } from "node:perf_hooks";
import { parseArgs } from "node:util";
import { actorLatency, actorPipelined } from "./cases/actor-calls.ts";
import { bytesByRef, bytesCopied } from "./cases/bytes-argument.ts";
import { bytesMoved, largeMoved } from "./cases/bytes-moved.ts";
import { cpuScalingLong, cpuScalingShort } from "./cases/cpu-scaling.ts";
import { noopLatency } from "./cases/noop-latency.ts";
import { noopPipelined } from "./cases/noop-pipelined.ts";
import { forceCancel } from "./cases/force-cancel.ts";
import { judgeGoals } from "./goals.ts";
import { describeMachine, describeVersions } from "./machine.ts";
import { measureCase, type CaseResult, type Effort } from "./measure.ts";
import { renderCase, renderGoals } from "./report.ts";
import { bare } from "./systems/bare.ts";
import { comlink } from "./systems/comlink.ts";
import { mobula } from "./systems/mobula.ts";
import { piscina } from "./systems/piscina.ts";
import { poolifier } from "./systems/poolifier.ts";
import { tinypool } from "./systems/tinypool.ts";
import { workerpoolSystem } from "./systems/workerpool.ts";

const systems = [mobula, ...piscina, tinypool, workerpoolSystem, poolifier, bare, comlink];
const cases = [
  noopLatency,
  noopPipelined,
  bytesCopied,
  bytesByRef,
  bytesMoved,
  largeMoved,
  actorLatency,
  actorPipelined,
  cpuScalingLong,
  cpuScalingShort,
  forceCancel,
];
const fullEffort: Effort = { size: "full", rounds: 5 };
const quickEffort: Effort = { size: "quick", rounds: 3 };

const usage = `bench [--quick] [--only CASE[,CASE]] [--systems NAME[,NAME]] [--out FILE]
  cases:   ${cases.map((benchCase) => benchCase.name).join(" ")}
  systems: ${systems.map((system) => system.name).join(" ")}
`;

function log(text: string): void {
  process.stderr.write(text);
}

function readOptions() {
  const { values } = parseArgs({
    options: {
      quick: { type: "boolean", default: false },
      only: { type: "string" },
      systems: { type: "string" },
      out: { type: "string" },
    },
  });
  return {
    effort: values.quick ? quickEffort : fullEffort,
    cases: chosen(cases, values.only),
    systems: chosen(systems, values.systems),
    out: values.out,
  };
}

function chosen<T extends { readonly name: string }>(all: readonly T[], names?: string) {
  if (names === undefined) return all;
  return names.split(",").map((name) => {
    const found = all.find((candidate) => candidate.name === name);
    if (found === undefined) throw new TypeError(`there is no "${name}" to measure`);
    return found;
  });
}

async function main(options: ReturnType<typeof readOptions>): Promise<void> {
  const startedAt = new Date().toISOString();
  const startMs = performance.now();
  const machine = describeMachine();
  const versions = describeVersions();
  const skipped = options.systems.flatMap((system) => {
    const reason = system.missing?.();
    return reason === undefined ? [] : [{ system: system.name, reason }];
  });
  for (const { system, reason } of skipped) log(`${system} is skipped: ${reason}\n`);
  const measured = options.systems.filter((system) => system.missing?.() === undefined);

  const results: CaseResult[] = [];
  for (const benchCase of options.cases) {
    const result = await measureCase(benchCase, measured, options.effort);
    log(renderCase(result));
    results.push(result);
  }

  const goals = judgeGoals(results);
  const rows = results.flatMap((result) => result.rows);
  const wrongResults = rows.reduce((sum, row) => sum + row.wrong, 0);
  const failedRows = rows.filter((row) => row.error !== undefined).length;
  const elapsedMs = Math.round(performance.now() - startMs);
  log(renderGoals(goals));
  log(`\n${wrongResults} wrong results, ${failedRows} failed rows, ${elapsedMs} ms\n`);
  const json = JSON.stringify(
    {
      startedAt,
      elapsedMs,
      machine,
      versions,
      effort: options.effort,
      wrongResults,
      goals,
      skipped,
      cases: results,
    },
    null,
    2,
  );
  if (options.out === undefined) process.stdout.write(`${json}\n`);
  else writeFileSync(options.out, `${json}\n`);
  process.exitCode = wrongResults > 0 ? 1 : 0;
  // A system that failed may have left threads behind; the JSON is written out first.
  if (failedRows > 0) process.stdout.write("", () => process.exit());
}

let options: ReturnType<typeof readOptions> | undefined;
try {
  options = readOptions();
} catch (error) {
  log(`${error instanceof Error ? error.message : String(error)}\n${usage}`);
  process.exitCode = 2;
}
if (options !== undefined) await main(options);
