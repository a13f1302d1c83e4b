/** What a run came to: its result, what was wrong, and how to see it again. */
import { writeFile } from "node:fs/promises";
import type { Fault } from "./fault.ts";
import type { SimOptions, SimReport, Violation } from "./options.ts";
import { formatLine } from "./trace.ts";
import type { World } from "./world.ts";

const tailLines = 40;
const storyLinesMax = 20;
export const reproVersion = 1;

/** All that a run is a function of, beside the program. */
export interface Repro {
  readonly version: number;
  readonly seed: number;
  readonly nodes: SimOptions["nodes"];
  readonly faults: readonly Fault[];
  readonly choices: readonly number[];
  readonly choicesOnly: boolean;
  readonly traceHash: string;
}

interface Fields<R> {
  readonly result?: R;
  readonly error?: unknown;
  readonly violations: readonly Violation[];
  readonly world: World;
  readonly faults: readonly Fault[];
  readonly faultsFired: number;
  readonly options: SimOptions;
}

export class Report<R> implements SimReport<R> {
  declare readonly result?: R;
  declare readonly error?: unknown;
  readonly violations: readonly Violation[];
  readonly traceHash: string;
  readonly events: number;
  readonly virtualMs: number;
  readonly faultsFired: number;
  readonly reached: readonly string[];
  readonly replay: string;
  readonly #fields: Fields<R>;

  constructor(fields: Fields<R>) {
    const { world, violations, faultsFired } = fields;
    if ("result" in fields) this.result = fields.result as R;
    if ("error" in fields) this.error = fields.error;
    this.violations = violations;
    this.traceHash = world.trace.hash;
    this.events = world.trace.count;
    this.virtualMs = world.nowMs();
    this.faultsFired = faultsFired;
    this.reached = [...world.reached].sort();
    this.#fields = fields;
    this.replay = `npx mobula sim replay ${JSON.stringify(this.#repro())}`;
  }

  trace(): string {
    return this.#fields.world.trace.tail(Infinity);
  }

  story(id: string): string {
    const { trace } = this.#fields.world;
    const last = trace.lastAbout(id);
    if (last === undefined) return `nothing in the trace names ${id}`;
    return trace.causesOf(last.id, storyLinesMax).map(formatLine).join("\n");
  }

  async save(path: string): Promise<void> {
    await writeFile(path, `${JSON.stringify(this.#repro(), null, 2)}\n`);
  }

  check(): R {
    const { violations, error } = this;
    if (violations.length === 0 && error === undefined) return this.result as R;
    const what = violations.map(
      ({ oracle, entity, message, atMs }) => `${oracle}: ${message} (${entity}, ${atMs} ms)`,
    );
    const head = what.length > 0 ? what.join("\n") : `the program failed: ${String(error)}`;
    const tail = this.#fields.world.trace.tail(tailLines);
    const message = `${head}\n\nreplay: ${this.replay}\n\nlast steps:\n${tail}`;
    throw new Error(message, error === undefined ? {} : { cause: error });
  }

  #repro(): Repro {
    const { options, faults } = this.#fields;
    const { seed, nodes, choices = [], choicesOnly = false } = options;
    return {
      version: reproVersion,
      seed,
      nodes,
      faults,
      choices,
      choicesOnly,
      traceHash: this.traceHash,
    };
  }
}
