/**
 * Life of the analysis on paper: a table by hour with bars → a plot by airport with intervals → the
 * times. Plain text, no colours.
 */
import type { Analysis, Group } from "./analysis.ts";
import type { Estimate } from "./statistics.ts";

export interface Timing {
  readonly local: boolean;
  readonly workerCount: number;
  readonly startMs: number;
  readonly oneThreadMs: number;
  readonly workersMs: number;
  readonly speedup: number;
  readonly identical: boolean;
}

/** Column `i` of the plot shows the minutes `lowest + i * step`. */
interface Axis {
  readonly lowest: number;
  readonly step: number;
  readonly width: number;
}

const barWidthMax = 26;
const plotWidthMax = 56;
/** What stands beside the bars, and beside the plot. */
const hourColumns = 71;
const airportColumns = 39;
const barEighths = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
const tickWidth = 8;
const airportCount = 20;

/** `columns` of the terminal; it looks right from 80 on. */
export function renderAnalysis(analysis: Analysis, columns: number): string {
  const { flightCount, overall } = analysis;
  const busiest = analysis.origins.slice(0, airportCount);
  return [
    `Arrival delay of ${thousands(flightCount)} flights, in minutes`,
    `mean ${overall.mean.toFixed(2)}, median ${overall.median},` +
      ` p90 ${overall.p90}, p99 ${overall.p99}`,
    "",
    "By hour of departure, with 95 % bootstrap intervals (bars: mean)",
    ...renderHours(analysis.hours, Math.min(barWidthMax, columns - hourColumns)),
    "",
    `Mean delay by airport of departure, the ${busiest.length} busiest`,
    ...renderAirports(busiest, Math.min(plotWidthMax, columns - airportColumns)),
  ].join("\n");
}

export function renderTiming(timing: Timing): string {
  const workers = timing.local
    ? "local mode"
    : `${timing.workerCount} ${timing.workerCount === 1 ? "worker" : "workers"}`;
  const label = Math.max(workers.length, "one thread".length);
  return [
    `${"one thread".padEnd(label)}  ${seconds(timing.oneThreadMs)}`,
    `${workers.padEnd(label)}  ${seconds(timing.workersMs)}   ${timing.speedup.toFixed(2)}×` +
      ` as fast (after ${seconds(timing.startMs).trim()} to start and warm up)`,
    timing.identical
      ? "Both give identical numbers, to the last bit."
      : "THE NUMBERS DIFFER between one thread and the workers.",
  ].join("\n");
}

function renderHours(hours: readonly Group[], barWidth: number): string[] {
  const means = hours.map((hour) => hour.estimates.mean.value);
  const scale = barWidth / (percentileOf(means, 0.8) || 1);
  return [
    "hour  flights          mean        median       p90           p99",
    ...hours.map(({ name, flightCount, estimates }) =>
      [
        `  ${name}`,
        thousands(flightCount).padStart(8),
        interval(estimates.mean, 1).padStart(19),
        String(estimates.median.value).padStart(6),
        interval(estimates.p90, 0).padStart(13),
        interval(estimates.p99, 0).padStart(13),
        ` ${bar(estimates.mean.value * scale, barWidth)}`,
      ]
        .join(" ")
        .trimEnd(),
    ),
  ];
}

function renderAirports(airports: readonly Group[], width: number): string[] {
  const means = airports.map((airport) => airport.estimates.mean);
  const lowest = Math.floor(Math.min(...means.map((mean) => mean.low)));
  const highest = Math.ceil(Math.max(...means.map((mean) => mean.high)));
  const axis: Axis = { lowest, step: Math.max(1, highest - lowest) / (width - 1), width };
  return [
    ...airports.map(({ name, flightCount, estimates }) =>
      [
        `  ${name}`,
        thousands(flightCount).padStart(9),
        `  ${whisker(estimates.mean, axis)}`,
        interval(estimates.mean, 1).padStart(20),
      ].join(" "),
    ),
    `${" ".repeat(18)}${ticks(axis)}`,
  ];
}

/** ├──●──┤ with the mean at the dot. */
function whisker({ low, value, high }: Estimate, axis: Axis): string {
  const cells = new Array<string>(axis.width).fill(" ");
  const [from, dot, to] = [columnOf(low, axis), columnOf(value, axis), columnOf(high, axis)];
  cells.fill("─", from, to + 1);
  cells[from] = "├";
  cells[to] = "┤";
  cells[dot] = "●";
  return cells.join("");
}

function ticks(axis: Axis): string {
  let line = "";
  for (let column = 0; column < axis.width; column += tickWidth) {
    line += `╵${(axis.lowest + column * axis.step).toFixed(1)}`.padEnd(tickWidth);
  }
  return line.trimEnd();
}

function columnOf(minutes: number, { lowest, step }: Axis): number {
  return Math.round((minutes - lowest) / step);
}

function bar(length: number, width: number): string {
  if (length >= width + 1) return `${"█".repeat(width)}▶`;
  const eighths = Math.max(0, Math.round(length * 8));
  return "█".repeat(Math.floor(eighths / 8)) + (barEighths[eighths % 8] ?? "");
}

function interval({ low, value, high }: Estimate, digits: number): string {
  return `${value.toFixed(digits)} (${low.toFixed(digits)}…${high.toFixed(digits)})`;
}

function percentileOf(values: readonly number[], share: number): number {
  const sorted = [...values].sort((one, other) => one - other);
  return sorted[Math.floor(share * (sorted.length - 1))] ?? 0;
}

function thousands(count: number): string {
  return count.toLocaleString("en-US");
}

function seconds(durationMs: number): string {
  return `${(durationMs / 1_000).toFixed(2)} s`.padStart(8);
}
