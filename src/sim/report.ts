/** What a run came to: its result, what was wrong, and how to see it again. */
import type { FaultKind } from "./fault.ts";
import type { SimOptions, SimReport, Violation } from "./options.ts";
import { engineVersion, type ReproProgram, reproVersion, saveRepro } from "./repro-file.ts";
import { formatLine, type Trace } from "./trace.ts";
import type { World } from "./world.ts";

const tailLines = 40;
const storyLinesMax = 20;

interface Fields<R> {
  readonly result?: R;
  readonly error?: unknown;
  readonly violations: readonly Violation[];
  readonly world: World;
  /** By kind. */
  readonly fired: ReadonlyMap<FaultKind, number>;
  /** Those that chaos drew are among them. */
  readonly options: SimOptions;
  readonly drawn: readonly string[];
}

/** Where a program lies, and the shell line that runs it again. */
export interface Origin {
  readonly program: ReproProgram;
  readonly replay: string;
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
  readonly #fields: Fields<R>;
  #origin: Origin | null = null;

  constructor(fields: Fields<R>) {
    const { world, violations, fired } = fields;
    if ("result" in fields) this.result = fields.result as R;
    if ("error" in fields) this.error = fields.error;
    this.violations = violations;
    this.traceHash = world.trace.hash;
    this.events = world.trace.count;
    this.virtualMs = world.nowMs();
    this.faultsFired = [...fired.values()].reduce((sum, count) => sum + count, 0);
    this.reached = [...world.reached].sort();
    this.#fields = fields;
  }

  get replay(): string {
    if (this.#origin !== null) return this.#origin.replay;
    return `simulate(${JSON.stringify(this.#fields.options)}, program)`;
  }

  /** The run's program came from a module: a shell can run it again. */
  static cameFrom(report: SimReport<unknown>, origin: Origin): void {
    if (!(#fields in report)) throw new TypeError("cameFrom takes the report of simulate()");
    report.#origin = origin;
  }

  static traceOf(report: SimReport<unknown>): Trace {
    if (!(#fields in report)) throw new TypeError("traceOf takes the report of simulate()");
    return report.#fields.world.trace;
  }

  static firedOf(report: SimReport<unknown>): Record<string, number> {
    if (!(#fields in report)) throw new TypeError("firedOf takes the report of simulate()");
    return Object.fromEntries(report.#fields.fired);
  }

  /** Of the trace, behind what was drawn. */
  static lastSteps(report: SimReport<unknown>, count: number): string {
    if (!(#fields in report)) throw new TypeError("lastSteps takes the report of simulate()");
    return report.#lastSteps(count);
  }

  trace(): string {
    return this.#lastSteps(Infinity);
  }

  story(id: string): string {
    const { drawn, world } = this.#fields;
    const { trace } = world;
    const last = trace.lineOf(world.lastStepOf(id)) ?? trace.lastAbout(id);
    if (last === undefined) return `nothing in the trace names ${id}`;
    return [...drawn, ...trace.causesOf(last.id, storyLinesMax).map(formatLine)].join("\n");
  }

  async save(path: string): Promise<void> {
    const { options, drawn } = this.#fields;
    await saveRepro(path, {
      version: reproVersion,
      engine: engineVersion,
      program: this.#origin?.program ?? null,
      options,
      drawn,
      violations: this.violations,
      error: "error" in this ? String(this.error) : null,
      traceHash: this.traceHash,
    });
  }

  check(): R {
    const { violations, error } = this;
    const hasFailed = "error" in this;
    if (violations.length === 0 && !hasFailed) return this.result as R;
    const what = violations.map(
      ({ oracle, entity, message, atMs }) => `${oracle}: ${message} (${entity}, ${atMs} ms)`,
    );
    const head = what.length > 0 ? what.join("\n") : `the program failed: ${String(error)}`;
    const last = this.#lastSteps(tailLines);
    const message = `${head}\n\nreplay: ${this.replay}\n\nlast steps:\n${last}`;
    throw new Error(message, hasFailed ? { cause: error } : {});
  }

  #lastSteps(count: number): string {
    const { drawn, world } = this.#fields;
    return [...drawn, world.trace.tail(count)].join("\n");
  }
}
