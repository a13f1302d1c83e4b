/**
 * The failures of a run set, for a person: each kind in full once, and at its end in which seeds it
 * came again.
 *
 * State:  by program and signature of the failure the first seed that showed it, and the others.
 * Bounds: a set ends after a few failed seeds.
 */
import { signatureOf } from "#sim/shrinking/failure-signature.ts";
import type { Fault } from "#sim/faults/fault.ts";
import type { SeedResult } from "#sim/run-set/seed-run.ts";

const seedsShown = 5;
const faultsShown = 8;

interface Group {
  readonly program: string;
  readonly first: number;
  readonly others: number[];
}

export class FailureList {
  readonly #withExplanation: boolean;
  readonly #groups = new Map<string, Group>();

  constructor(options: { readonly withExplanation: boolean }) {
    this.#withExplanation = options.withExplanation;
  }

  /** What is to be printed of it; null for a seed that passed, or shows nothing new. */
  add(result: SeedResult): string | null {
    const { program, seed, failures } = result;
    const keys = failures.map((failure) => `${program}\n${signatureOf(failure)}`);
    const isNew = keys.some((key) => !this.#groups.has(key));
    if (!isNew) {
      this.#groups.get(keys[0] ?? "")?.others.push(seed);
      return null;
    }
    const group = { program, first: seed, others: [] };
    // What came beside a failure that is known is told with it, and is known from now on.
    for (const key of keys) if (!this.#groups.has(key)) this.#groups.set(key, group);
    return describeFailure(result, this.#withExplanation);
  }

  /** A line for each failure that more than one seed has shown. */
  repeated(): string[] {
    const groups = [...new Set(this.#groups.values())].filter(({ others }) => others.length > 0);
    return groups.map(({ program, first, others }) => {
      const seeds = [...others]
        .sort((a, b) => a - b)
        .slice(0, seedsShown)
        .join(", ");
      const more = others.length > seedsShown ? ", …" : "";
      const count = `${others.length} more ${others.length === 1 ? "seed" : "seeds"}`;
      return `${program}: the same as in seed ${first} in ${count}: ${seeds}${more}`;
    });
  }
}

/** What was wrong, and how to see it again; what led to it where there is only this one run. */
function describeFailure(result: SeedResult, withExplanation: boolean): string {
  const { program, seed, failures, faults, replay, reproFile, notSaved, explanation } = result;
  const lines = [
    `FAILED ${program}, seed ${seed}`,
    ...failures.map(({ oracle, entity, message }) => `  ${oracle} (${entity}): ${message}`),
    ...planLines(faults),
    `  replay: ${replay}`,
  ];
  if (reproFile !== null) lines.push(`  saved:  ${reproFile}`);
  if (notSaved !== null) lines.push(`  not saved: ${notSaved}`);
  if (withExplanation && explanation !== "") lines.push(explanation);
  return lines.join("\n");
}

/** In the words of the trace, in order of time. */
export function planLines(faults: readonly Fault[]): string[] {
  if (faults.length === 0) return [];
  const plan = [...faults].sort((a, b) => a.at - b.at);
  const left = plan.length - faultsShown;
  const lines = plan.slice(0, faultsShown).map((fault) => `    ${JSON.stringify(fault)}`);
  const more = left > 0 ? [`    … and ${left} more`] : [];
  return [
    `  plan of ${faults.length} ${faults.length === 1 ? "fault" : "faults"}:`,
    ...lines,
    ...more,
  ];
}
