/** What a run came to: its result, what was wrong, and how to see it again. */
import type { FaultKind } from "./fault.ts";
import type { SimOptions, SimReport, Violation } from "./options.ts";
import {
  engineVersion,
  type ReproMismatch,
  type ReproProgram,
  reproVersion,
  saveRepro,
} from "./repro-file.ts";
import { storyOf } from "./story.ts";
import { formatLine, type Trace } from "./trace.ts";
import type { World } from "./world.ts";

const tailLines = 40;
/** In hexadecimal digits: its owner and its serial number. */
const taskIdLength = 52;
const noShellLine =
  "no shell line: the program is in no module that a command could run. Call this where the " +
  "program is, or save(FILE), export it from MODULE and npx mobula sim replay FILE MODULE";

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

/** Where a program lies, the shell line that runs it again, and how a second run was another. */
export interface Origin {
  readonly program: ReproProgram;
  readonly replay: string;
  readonly mismatch: ReproMismatch | null;
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
    return `simulate(${JSON.stringify(this.#fields.options)}, program) // ${noShellLine}`;
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
    // What a task returns is known by its id, and more: the story of the one is that of the other.
    const ofTask = id.length > taskIdLength ? world.stepsOf(id.slice(0, taskIdLength)) : [];
    const steps = [...new Set([...ofTask, ...world.stepsOf(id)])].sort((a, b) => a - b);
    const lines = storyOf(id, steps, world.trace);
    if (lines.length === 0) return `nothing in the trace names ${id}`;
    return [...drawn, ...lines.map(formatLine)].join("\n");
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
      mismatch: this.#origin?.mismatch ?? null,
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
