/**
 * How fast the simulator is on one thread: seeds, events and virtual time a second in worlds with
 * user code, without faults. Prints one JSON, and to stderr which goals are met; exits 1 when a run
 * gave a wrong result, never because of a figure.
 *
 *   npm run build && npx tsx bench/sim.ts
 */
import { performance } from "node:perf_hooks";
import { get, remote } from "mobula";
import { simulate } from "mobula/sim";
import { describeMachine, describeVersions } from "./machine.ts";
import { summarize } from "./measure.ts";
import { renderGoals } from "./report.ts";
import { judgeSimGoals } from "./sim-goals.ts";

interface WorldSize {
  readonly nodes: number;
  readonly tasks: number;
  readonly runs: number;
}

const rounds = 5;
/** V8 goes on compiling for some 1,500 small worlds; a set of seeds has many more. */
const warmUpRounds = 10;
const sizes: readonly WorldSize[] = [
  { nodes: 3, tasks: 20, runs: 150 },
  { nodes: 1, tasks: 20, runs: 150 },
  { nodes: 3, tasks: 2_000, runs: 10 },
];

const square = remote((n: number) => n * n);

async function runOne(seed: number, { nodes, tasks }: WorldSize) {
  const report = await simulate({ seed, nodes }, () =>
    get(Array.from({ length: tasks }, (_, i) => square.remote(i))),
  );
  const isRight = report.check().every((value, i) => value === i * i);
  return { isRight, events: report.events, virtualMs: report.virtualMs };
}

/** Another seed each time, so that no run is the repetition of one before it. */
async function measure(size: WorldSize, round: number) {
  const sum = { events: 0, virtualMs: 0, wrong: 0 };
  const startMs = performance.now();
  for (let run = 0; run < size.runs; run += 1) {
    const { isRight, events, virtualMs } = await runOne(round * size.runs + run, size);
    sum.events += events;
    sum.virtualMs += virtualMs;
    if (!isRight) sum.wrong += 1;
  }
  const seconds = (performance.now() - startMs) / 1000;
  return { ...sum, seconds };
}

async function measureSize(size: WorldSize) {
  const cold = await measure(size, rounds);
  for (let round = 1; round < warmUpRounds; round += 1) await measure(size, rounds + round);
  const samples: Awaited<ReturnType<typeof measure>>[] = [];
  for (let round = 0; round < rounds; round += 1) {
    samples.push(await measure(size, round));
  }
  return {
    ...size,
    seedsPerSecond: summarize(samples.map(({ seconds }) => size.runs / seconds)),
    /** Of the first runs of this size. */
    eventsPerSecondCold: cold.events / cold.seconds,
    eventsPerSecond: summarize(samples.map(({ events, seconds }) => events / seconds)),
    eventsPerRun: summarize(samples.map(({ events }) => events / size.runs)),
    virtualPerRealTime: summarize(
      samples.map(({ virtualMs, seconds }) => virtualMs / 1000 / seconds),
    ),
    wrong: samples.reduce((sum, { wrong }) => sum + wrong, 0),
  };
}

const worlds: Awaited<ReturnType<typeof measureSize>>[] = [];
for (const size of sizes) worlds.push(await measureSize(size));
const goals = judgeSimGoals(worlds);
process.stderr.write(renderGoals(goals));
const about = { machine: describeMachine(), versions: describeVersions() };
const result = { ...about, rounds, warmUpRounds, goals, worlds };
process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
process.exitCode = worlds.some(({ wrong }) => wrong > 0) ? 1 : 0;
