/** What a run came to: its result, what was wrong, and how to see it again. */
import type { Fault } from "./fault.ts";
import type { SimOptions, SimReport, Violation } from "./options.ts";
import { type Repro, reproVersion, saveRepro } from "./repro-file.ts";
import { formatLine } from "./trace.ts";
import type { World } from "./world.ts";

const tailLines = 40;
const storyLinesMax = 20;

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
    const { version: _, traceHash: __, ...run } = this.#repro();
    this.replay = `simulate(${JSON.stringify(run)}, program)`;
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
    await saveRepro(path, this.#repro());
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
