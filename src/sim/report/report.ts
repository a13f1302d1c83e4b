/** What a run came to: its result, what was wrong, and how to see it again. */
import type { Fault, FaultKind } from "#sim/faults/fault.ts";
import type { SimOptions, SimReport, Violation } from "#sim/options.ts";
import {
  engineVersion,
  type ReproMismatch,
  type ReproProgram,
  reproVersion,
  saveRepro,
} from "./repro-file.ts";
import type { FirstFailure } from "#sim/shrinking/first-failure.ts";
import { signatureOf } from "#sim/shrinking/failure-signature.ts";
import { storyOf } from "./story.ts";
import { formatLine, type Trace } from "./trace.ts";
import type { World } from "#sim/world/world.ts";

const tailLines = 40;
/** In hexadecimal digits: its owner and its serial number. */
const taskIdLength = 52;
/** Of a task or one of its results, where a text names one. */
const idPattern = /\b[0-9a-f]{52}(?:[0-9a-f]{4})?\b/;
/** What is thrown by the program itself is about it. */
export const programEntity = "driver";
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
  /** What comes after it has nothing to do with the failure. */
  readonly failedAtStep: number;
  /** Of the case of a property that the run belongs to. */
  readonly firstFailure: FirstFailure | undefined;
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

  /** Those that chaos drew are among them. */
  static planOf(report: SimReport<unknown>): readonly Fault[] {
    if (!(#fields in report)) throw new TypeError("planOf takes the report of simulate()");
    return report.#fields.options.faults ?? [];
  }

  /** For a person: the story of what failed, and the last steps behind what was drawn. */
  static explain(report: SimReport<unknown>): string {
    if (!(#fields in report)) throw new TypeError("explain takes the report of simulate()");
    return report.#explain();
  }

  trace(): string {
    const { drawn, world } = this.#fields;
    return [...drawn, world.trace.whole()].join("\n");
  }

  story(id: string): string {
    const lines = this.#storyOf(id);
    if (lines.length === 0) return `nothing in the trace names ${id}`;
    return [...this.#fields.drawn, ...lines].join("\n");
  }

  #storyOf(id: string, untilId = Infinity): string[] {
    const { world } = this.#fields;
    // What a task returns is known by its id, and more: the story of the one is that of the other.
    const ofTask = id.length > taskIdLength ? world.stepsOf(id.slice(0, taskIdLength)) : [];
    const all = [...new Set([...ofTask, ...world.stepsOf(id)])].sort((a, b) => a - b);
    const steps = all.filter((step) => step <= untilId);
    return storyOf(id, steps, world.trace).map(formatLine);
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
    const thrown = { oracle: "program", entity: programEntity, message: String(error) };
    const failures = hasFailed ? [...violations, thrown] : violations;
    this.#fields.firstFailure?.see(failures.map(signatureOf));
    const what = violations.map(
      ({ oracle, entity, message, atMs }) => `${oracle}: ${message} (${entity}, ${atMs} ms)`,
    );
    const head = what.length > 0 ? what.join("\n") : `the program failed: ${String(error)}`;
    const message = `${head}\n\nreplay: ${this.replay}\n\n${this.#explain()}`;
    throw new Error(message, hasFailed ? { cause: error } : {});
  }

  /** Of the steps those before it failed: a world that comes to rest takes many more. */
  #explain(): string {
    const { drawn, world, failedAtStep } = this.#fields;
    const story = this.#storyOf(this.#whatFailed(), failedAtStep);
    const { lines, leftOut } = world.trace.tail(tailLines, failedAtStep);
    const upkeep = leftOut === 0 ? [] : [`(without ${leftOut} steps of upkeep: trace() has all)`];
    const told = story.length === 0 ? [] : ["story:", ...story, ""];
    return [...told, "last steps:", ...drawn, ...lines, ...upkeep].join("\n");
  }

  /** What the first violation is about, the task that the error tells of, or the program. */
  #whatFailed(): string {
    const [violation] = this.violations;
    if (violation !== undefined) return violation.entity;
    const { error } = this;
    const taskId: unknown = error instanceof Error && "taskId" in error ? error.taskId : undefined;
    if (typeof taskId === "string" && taskId !== "") return taskId;
    return idPattern.exec(String(error))?.[0] ?? programEntity;
  }
}
