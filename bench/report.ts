/** The tables for a reader: medians with their range, and ratios against three peers. */
import type { Figure } from "./case.ts";
import { bestOf, piscinaDefault, type Goal } from "./goals.ts";
import { ratioByRound, type CaseResult, type Row, type Summary } from "./measure.ts";

interface Column {
  readonly heading: string;
  cell(row: Row): string;
}

export function renderCase(result: CaseResult): string {
  const columns = [
    { heading: "system", cell: (row: Row) => row.system },
    ...result.figures.flatMap((figure) => columnsOf(result, figure)),
  ];
  const lines = [
    columns.map((column) => column.heading),
    ...result.rows.map((row) => columns.map((column) => column.cell(row))),
  ];
  const widths = columns.map((_, at) => Math.max(...lines.map((line) => line[at]?.length ?? 0)));
  const table = lines.map((line) => {
    return line
      .map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0)))
      .join("  ");
  });
  const notes = result.rows.flatMap((row) => notesOf(row));
  return [`\n${result.title} (${result.name})`, ...table, ...notes].join("\n") + "\n";
}

export function renderGoals(goals: readonly Goal[]): string {
  const lines = goals.map((goal) => {
    const measured =
      goal.measured === null
        ? "not measured"
        : `${fixed(goal.measured)} (${fixed(goal.min ?? 0)}-${fixed(goal.max ?? 0)})`;
    const verdict = goal.measured === null ? "?" : goal.met ? "met" : "missed";
    return `${verdict.padEnd(7)} ${goal.name}: ${measured}, required ${goal.required}`;
  });
  return ["\nGoals", ...lines].join("\n") + "\n";
}

function columnsOf(result: CaseResult, figure: Figure): readonly Column[] {
  const { key } = figure;
  const own: Column = {
    heading: figure.unit === "x" ? figure.heading : `${figure.heading}, ${figure.unit}`,
    cell(row) {
      const summary = row.figures[key];
      return summary === undefined ? "-" : range(summary);
    },
  };
  if (figure.compared !== true) return [own];
  const best = bestOf(result, piscinaDefault, key);
  const peers = [
    ["÷ piscina", piscinaDefault],
    ["÷ best piscina", best],
    ["÷ comlink", "comlink"],
  ];
  const ratios = peers.flatMap(([heading = "", peer = ""]): Column[] => {
    const other = result.rows.find((row) => row.system === peer)?.figures[key];
    if (other === undefined) return [];
    return [{ heading, cell: (row) => ratioCell(row.figures[key], other) }];
  });
  return [own, ...ratios];
}

function ratioCell(own: Summary | undefined, other: Summary): string {
  return own === undefined ? "-" : `${fixed(ratioByRound(own, other).median)}x`;
}

function notesOf(row: Row): readonly string[] {
  const notes: string[] = [];
  if (row.wrong > 0) notes.push(`! ${row.system}: ${row.wrong} wrong results`);
  if (row.error !== undefined) notes.push(`! ${row.system}: ${row.error}`);
  return notes;
}

function range({ median, min, max }: Summary): string {
  return `${short(median)} (${short(min)}-${short(max)})`;
}

function short(value: number): string {
  if (value >= 1e6) return `${(value / 1e6).toFixed(2)}M`;
  if (value >= 1e4) return `${(value / 1e3).toFixed(1)}k`;
  return value >= 1000 ? value.toFixed(0) : fixed(value);
}

function fixed(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toFixed(value >= 10 ? 1 : 2);
}
