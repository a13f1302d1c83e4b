/**
 * Runs commands one after the other, whatever the ones before did, and says in the last line how
 * many tests passed and failed: counts come from the test runner's own JSON reports.
 */
import { spawnSync } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";

export interface Step {
  readonly name: string;
  readonly command: readonly [string, ...string[]];
  /** Where the command writes a vitest JSON report; without one the step only passes or fails. */
  readonly report?: string;
}

interface Result {
  readonly step: Step;
  readonly seconds: number;
  readonly ok: boolean;
  readonly passedCount: number;
  readonly failedCount: number;
}

/** As much of the report as is read here. */
interface VitestReport {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly testResults: readonly { status: string; assertionResults: readonly unknown[] }[];
}

const root = fileURLToPath(new URL("..", import.meta.url));

/** A step that runs the tests whose paths begin with one of `paths`. */
export function vitestStep(name: string, paths: readonly string[]): Step {
  const report = `test-report.${name}.json`;
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
  return { name, command: ["vitest", "run", ...paths, ...reporters], report };
}

/** Tools are found in node_modules/.bin, as npm scripts find them. */
export function runSteps(steps: readonly Step[]): void {
  const results = steps.map(runStep);
  console.log("");
  for (const { step, ok, seconds, passedCount, failedCount } of results) {
    const counts = step.report === undefined ? "" : `${passedCount} passed, ${failedCount} failed`;
    const mark = ok ? "ok    " : "FAILED";
    console.log(`${mark} ${step.name.padEnd(12)} ${seconds.toFixed(1).padStart(6)} s  ${counts}`);
  }
  const passed = results.reduce((sum, result) => sum + result.passedCount, 0);
  const failed = results.reduce((sum, result) => sum + result.failedCount, 0);
  if (failed > 0) process.exitCode = 1;
  console.log(`${passed} passed, ${failed} failed`);
}

function runStep(step: Step): Result {
  const [program, ...args] = step.command;
  console.log(`\n> ${step.name}: ${step.command.join(" ")}`);
  if (step.report !== undefined) rmSync(`${root}/${step.report}`, { force: true });
  const startMs = performance.now();
  const path = `${root}/node_modules/.bin:${process.env["PATH"]}`;
  const run = spawnSync(program, args, {
    cwd: root,
    stdio: ["ignore", "inherit", "inherit"],
    env: { ...process.env, PATH: path },
  });
  if (run.error !== undefined) console.log(run.error.message);
  const seconds = (performance.now() - startMs) / 1000;
  const counts = step.report === undefined ? null : readCounts(step.report);
  const failedTests = counts?.failedCount ?? 0;
  const reportMissing = step.report !== undefined && counts === null;
  const ok = run.status === 0 && failedTests === 0 && !reportMissing;
  return {
    step,
    seconds,
    ok,
    passedCount: counts?.passedCount ?? 0,
    failedCount: ok ? 0 : Math.max(failedTests, 1),
  };
}

/** A file that could not even be loaded counts as one failed test; null when there is no report. */
function readCounts(report: string): { passedCount: number; failedCount: number } | null {
  let parsed: VitestReport;
  try {
    parsed = JSON.parse(readFileSync(`${root}/${report}`, "utf8")) as VitestReport;
  } catch (error) {
    console.log(`${report}: ${String(error)}`);
    return null;
  }
  const unloaded = parsed.testResults.filter(
    (file) => file.status === "failed" && file.assertionResults.length === 0,
  ).length;
  return {
    passedCount: parsed.numPassedTests,
    failedCount: parsed.numFailedTests + unloaded,
  };
}
