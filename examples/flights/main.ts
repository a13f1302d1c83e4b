/**
 * Life of the demo: start the workers → let everyone warm up → analyse on one thread → analyse on
 * the workers → show the delays, both times, and whether the numbers are identical.
 */
import { availableParallelism, cpus } from "node:os";
import { isDeepStrictEqual, parseArgs } from "node:util";
import { asCompleted, get, init } from "mobula";
import { analyzeOnOneThread, analyzeOnWorkers, type Analysis, type Job } from "./analysis.ts";
import { flightsPath, rowRanges } from "./decode.ts";
import { Progress } from "./progress.ts";
import { renderAnalysis, renderTiming } from "./report.ts";
import { rehearse, warmUp } from "./tasks.ts";

interface Options {
  readonly workerCount: number;
  readonly replicateCount: number;
  readonly rowCount: number;
  readonly roundCount: number;
  readonly local: boolean;
  readonly json: boolean;
}

interface Round {
  readonly analysis: Analysis;
  readonly oneThreadMs: number;
  readonly workersMs: number;
  readonly identical: boolean;
}

const usage = `npx tsx examples/flights/main.ts
  --workers N    worker threads (default: one a CPU)
  --bootstrap N  resamples of every group (default: 400)
  --rows N       only the first N flights (default: all three million)
  --rounds N     both runs N times, in turn; the medians count (default: 1)
  --local        every task in this thread, same engine
  --json         one JSON object instead of the tables`;

const columnsMin = 80;
const columnsOfFile = 100;

await main(readOptions());

async function main(options: Options): Promise<void> {
  const path = flightsPath();
  const job: Job = {
    path,
    ranges: await rowRanges(path, options.rowCount),
    replicateCount: options.replicateCount,
  };
  const [address, startMs] = await timed(() => start(options, job));
  const rounds: Round[] = [];
  while (rounds.length < options.roundCount) rounds.push(await playRound(job));
  const [{ analysis }] = rounds as [Round];

  const timing = {
    local: options.local,
    workerCount: options.workerCount,
    startMs,
    oneThreadMs: median(rounds.map((round) => round.oneThreadMs)),
    workersMs: median(rounds.map((round) => round.workersMs)),
    speedup: median(rounds.map((round) => round.oneThreadMs / round.workersMs)),
    identical: rounds.every((round) => round.identical),
  };
  if (options.json) {
    const machine = { node: process.version, cpu: cpus()[0]?.model, cpuCount: cpus().length };
    const times = rounds.map(({ oneThreadMs, workersMs }) => ({ oneThreadMs, workersMs }));
    print(JSON.stringify({ machine, address, ...options, ...timing, rounds: times, ...analysis }));
  } else {
    const columns = Math.max(columnsMin, process.stdout.columns ?? columnsOfFile);
    print(`${renderAnalysis(analysis, columns)}\n\n${renderTiming(timing)}`);
  }
  if (!timing.identical) process.exitCode = 1;
}

/** One run right after the other, so that both meet the machine in the same mood. */
async function playRound(job: Job): Promise<Round> {
  const [alone, oneThreadMs] = await timed(() => analyzeOnOneThread(job, progress("one thread")));
  const [analysis, workersMs] = await timed(() => analyzeOnWorkers(job, progress("workers   ")));
  return { analysis, oneThreadMs, workersMs, identical: isDeepStrictEqual(alone, analysis) };
}

/** More rehearsals than workers, so that none stays without. */
async function start({ workerCount, local }: Options, { path, ranges }: Job): Promise<string> {
  const [range] = ranges;
  if (range === undefined) throw new Error(`${path} holds no flights`);
  const runtime = await init({ numCpus: workerCount, localMode: local });
  const rehearsals = Array.from({ length: 2 * workerCount }, () => warmUp.remote(path, range));
  const starting = progress("start     ");
  starting.start("warm up", rehearsals.length + 1);
  for await (const _ of asCompleted(rehearsals)) starting.advance(1);
  await get(rehearsals);
  await rehearse(path, range);
  starting.end();
  return runtime.address;
}

async function timed<T>(work: () => Promise<T>): Promise<[result: T, durationMs: number]> {
  const startedAtMs = performance.now();
  const result = await work();
  return [result, performance.now() - startedAtMs];
}

function readOptions(): Options {
  try {
    const { values } = parseArgs({
      options: {
        workers: { type: "string", default: String(availableParallelism()) },
        bootstrap: { type: "string", default: "400" },
        rows: { type: "string", default: "3000000" },
        rounds: { type: "string", default: "1" },
        local: { type: "boolean", default: false },
        json: { type: "boolean", default: false },
      },
    });
    return {
      workerCount: positive("workers", values.workers),
      replicateCount: positive("bootstrap", values.bootstrap),
      rowCount: positive("rows", values.rows),
      roundCount: positive("rounds", values.rounds),
      local: values.local,
      json: values.json,
    };
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${usage}\n`);
    process.exit(2);
  }
}

function positive(name: string, text: string): number {
  const number = Number(text);
  if (Number.isSafeInteger(number) && number > 0) return number;
  throw new RangeError(`--${name} wants a whole number above 0, not ${text}`);
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((one, other) => one - other);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

function progress(label: string): Progress {
  return new Progress(label, process.stderr);
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
