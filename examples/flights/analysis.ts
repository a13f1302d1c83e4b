/**
 * Life of the analysis: decode every row group → group its delays by hour and by origin → estimate
 * every group, the largest first. Told twice: on workers by refs, and on one thread by calling the
 * same functions directly.
 */
import { asCompleted, get, type ObjectRef } from "mobula";
import { airportName, decodeColumn, type RowRange } from "./decode.ts";
import type { Progress } from "./progress.ts";
import {
  delaysOf,
  estimateDelays,
  groupDelays,
  measureDelays,
  type BootstrapOptions,
  type Estimates,
  type GroupedDelays,
  type Measures,
} from "./statistics.ts";
import * as tasks from "./tasks.ts";

export interface Job {
  readonly path: string;
  readonly ranges: readonly RowRange[];
  readonly replicateCount: number;
}

export interface Group {
  readonly name: string;
  readonly flightCount: number;
  readonly estimates: Estimates;
}

export interface Analysis {
  readonly flightCount: number;
  readonly overall: Measures;
  /** Ascending. */
  readonly hours: readonly Group[];
  /** Busiest first. */
  readonly origins: readonly Group[];
}

interface GroupPlan {
  readonly by: "hour" | "origin";
  readonly key: number;
  readonly flightCount: number;
}

const runSeed = 2001;
const stepsPerRange = 5;

export async function analyzeOnWorkers(job: Job, progress: Progress): Promise<Analysis> {
  const columns = job.ranges.map((range) => ({
    hours: tasks.decodeColumn.remote(job.path, "hour", range),
    origins: tasks.decodeColumn.remote(job.path, "origin", range),
    delays: tasks.decodeColumn.remote(job.path, "delay", range),
  }));
  const byHour = columns.map(({ hours, delays }) => tasks.groupDelays.remote(hours, delays));
  const byOrigin = columns.map(({ origins, delays }) => tasks.groupDelays.remote(origins, delays));
  const overall = tasks.measureDelays.remote(...columns.map(({ delays }) => delays));

  const prepared = [...columns.flatMap((column) => Object.values(column)), ...byHour, ...byOrigin];
  progress.start("decode and group", prepared.length);
  await follow(new Map(prepared.map((ref) => [ref, 1] as const)), progress);

  // Views on shared memory: of the delays themselves nothing is copied to this thread.
  const plans = planGroups(await get(byHour), await get(byOrigin));
  const estimates = plans.map((plan) =>
    tasks.estimateGroup.remote(
      plan.key,
      bootstrapOf(plan, job),
      ...(plan.by === "hour" ? byHour : byOrigin),
    ),
  );
  progress.start("bootstrap", flightsIn(plans));
  await follow(
    new Map(estimates.map((ref, index) => [ref, plans[index]?.flightCount ?? 0] as const)),
    progress,
  );
  progress.end();
  return assemble(plans, await get(estimates), await get(overall));
}

export async function analyzeOnOneThread(job: Job, progress: Progress): Promise<Analysis> {
  const byHour: GroupedDelays[] = [];
  const byOrigin: GroupedDelays[] = [];
  const allDelays: Int16Array[] = [];
  progress.start("decode and group", job.ranges.length * stepsPerRange);
  for (const range of job.ranges) {
    const hours = await decodeColumn(job.path, "hour", range);
    const origins = await decodeColumn(job.path, "origin", range);
    const delays = await decodeColumn(job.path, "delay", range);
    byHour.push(groupDelays(hours, delays));
    byOrigin.push(groupDelays(origins, delays));
    allDelays.push(delays);
    progress.advance(stepsPerRange);
  }

  const plans = planGroups(byHour, byOrigin);
  progress.start("bootstrap", flightsIn(plans));
  const estimates = plans.map((plan) => {
    const sample = delaysOf(plan.key, plan.by === "hour" ? byHour : byOrigin);
    const estimated = estimateDelays(sample, bootstrapOf(plan, job));
    progress.advance(plan.flightCount);
    return estimated;
  });
  progress.end();
  return assemble(plans, estimates, measureDelays(allDelays));
}

/** Largest first, so that the last tasks to run are short and no worker waits long for another. */
function planGroups(
  byHour: readonly GroupedDelays[],
  byOrigin: readonly GroupedDelays[],
): GroupPlan[] {
  const plans = [...countGroups("hour", byHour), ...countGroups("origin", byOrigin)];
  return plans.sort((one, other) => other.flightCount - one.flightCount);
}

function countGroups(by: GroupPlan["by"], pieces: readonly GroupedDelays[]): GroupPlan[] {
  const counts = new Map<number, number>();
  for (const { keys, starts } of pieces) {
    for (const [index, key] of keys.entries()) {
      const count = (starts[index + 1] ?? 0) - (starts[index] ?? 0);
      counts.set(key, (counts.get(key) ?? 0) + count);
    }
  }
  const keys = [...counts.keys()].sort((one, other) => one - other);
  return keys.map((key) => ({ by, key, flightCount: counts.get(key) ?? 0 }));
}

/** A stream of random numbers for each group: the order in which groups run leaves no trace. */
function bootstrapOf({ by, key }: GroupPlan, { replicateCount }: Job): BootstrapOptions {
  return { replicateCount, seed: [runSeed, by === "hour" ? -1 - key : key] };
}

function assemble(
  plans: readonly GroupPlan[],
  estimates: readonly Estimates[],
  overall: Measures,
): Analysis {
  const hours: Group[] = [];
  const origins: Group[] = [];
  for (const [index, { by, key, flightCount }] of plans.entries()) {
    const estimated = estimates[index];
    if (estimated === undefined) throw new Error(`no estimates for ${by} ${key}`);
    const name = by === "hour" ? String(key).padStart(2, "0") : airportName(key);
    (by === "hour" ? hours : origins).push({ name, flightCount, estimates: estimated });
  }
  hours.sort((one, other) => Number(one.name) - Number(other.name));
  const flightCount = hours.reduce((sum, hour) => sum + hour.flightCount, 0);
  return { flightCount, overall, hours, origins };
}

function flightsIn(plans: readonly GroupPlan[]): number {
  return plans.reduce((sum, plan) => sum + plan.flightCount, 0);
}

async function follow(
  weights: ReadonlyMap<ObjectRef<unknown>, number>,
  progress: Progress,
): Promise<void> {
  for await (const ref of asCompleted(weights.keys())) progress.advance(weights.get(ref) ?? 0);
}
