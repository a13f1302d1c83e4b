/**
 * Many seeds of the programs of some modules, on worker threads: until all have run, time is up, or
 * enough have failed.
 *
 * State:  one slot a thread, each with at most one seed under way; what the results add up to.
 * In/out: seeds → SeedResult, each told as it comes; at the end the sum.
 * Bounds: `seedTimeoutMs` of real time a seed; a thread that stands still is ended and replaced.
 * Errors: a module that cannot run at all rejects; a seed that fails is a result.
 */
import { availableParallelism } from "node:os";
import { resolve } from "node:path";
import { Worker } from "node:worker_threads";
import type {
  FromRunSetWorker,
  RunSetProgram,
  RunSetWorkerData,
  SeedJob,
} from "./run-set-worker.ts";
import { type Repro, saveRepro } from "#sim/report/repro-file.ts";
import { pathArgument } from "./shell-line.ts";
import { type SeedResult, whySaveFails } from "./seed-run.ts";
import { type RunSetTally, TallyCounter } from "./tally.ts";

export interface RunSetOptions {
  /** Modules with programs; every program runs every seed. */
  readonly files: readonly string[];
  /** Only the program of this name. */
  readonly program?: string;
  readonly firstSeed: number;
  /** Seeds of each program; Infinity: until time is up. */
  readonly seedCount: number;
  /** Real time after which no seed begins, but for the first of each program. */
  readonly limitMs?: number;
  /** Threads; by default one a core. */
  readonly workers?: number;
  /** Each seed runs twice. */
  readonly checkDeterminism?: boolean;
  readonly reproFolder?: string | null;
  /** Rare states that must be reached somewhere in the set. */
  readonly mustReach?: readonly string[];
  /** Failed seeds after which no other begins; default 10. */
  readonly failuresMax?: number;
  /** Real time that one seed may take; default 120 s. */
  readonly seedTimeoutMs?: number;
  onResult?(result: SeedResult, tally: () => RunSetTally): void;
}

export interface RunSetReport extends RunSetTally {
  readonly ok: boolean;
  readonly programs: readonly string[];
  readonly workers: number;
  readonly failures: readonly SeedResult[];
  /** Of `mustReach`, what no seed reached. */
  readonly notReached: readonly string[];
  /** So many seeds had failed that others did not begin. */
  readonly endedEarly: boolean;
}

/** The run set could not begin, or its options suit no seed. */
export class RunSetError extends Error {
  override readonly name = "RunSetError";
}

const entry = new URL("./run-set-worker.js", import.meta.url);
const failuresMaxDefault = 10;
const seedTimeoutMsDefault = 120_000;
/** A thread that has nothing left to do ends by itself within this. */
const exitMs = 5_000;

interface Slot {
  readonly worker: Worker;
  job: SeedJob | null;
  /** What is saved of the job if its thread is lost; null where nothing is to be. */
  begun: Extract<FromRunSetWorker, { type: "begun" }> | null;
  timer: NodeJS.Timeout | undefined;
  /** Why it is being ended. */
  verdict: string | null;
}

/** Resolves when every thread has ended. */
export async function runSet(options: RunSetOptions): Promise<RunSetReport> {
  return new RunSet(options).run();
}

class RunSet {
  readonly #options: RunSetOptions;
  readonly #workerData: RunSetWorkerData;
  readonly #workerCount: number;
  readonly #counter = new TallyCounter();
  readonly #slots = new Set<Slot>();
  readonly #failures: SeedResult[] = [];
  readonly #startedMs = performance.now();
  #programs: readonly RunSetProgram[] | null = null;
  #nextJob = 0;
  #endedEarly = false;
  #error: RunSetError | null = null;
  #ended: () => void = () => {};

  constructor(options: RunSetOptions) {
    checkCounts(options);
    this.#options = options;
    const { files, program, checkDeterminism = false, reproFolder = null } = options;
    this.#workerCount = options.workers ?? availableParallelism();
    this.#workerData = {
      files: files.map((file) => resolve(file)),
      only: program,
      checkDeterminism,
      reproFolder,
      replayCommands: files.map((file) => `npx mobula sim run ${pathArgument(file)}`),
    };
  }

  async run(): Promise<RunSetReport> {
    const whenEnded = new Promise<void>((resolveEnded) => (this.#ended = resolveEnded));
    for (let i = 0; i < this.#workerCount; i++) this.#start();
    await whenEnded;
    if (this.#error !== null) throw this.#error;
    const { mustReach = [] } = this.#options;
    const notReached = mustReach.filter((name) => !this.#counter.hasReached(name));
    return {
      ...this.#counter.tally(),
      ok: this.#failures.length === 0 && notReached.length === 0,
      programs: (this.#programs ?? []).map(({ name }) => name),
      workers: this.#workerCount,
      failures: this.#failures,
      notReached,
      endedEarly: this.#endedEarly,
    };
  }

  #start(): void {
    // What programs print is not what the run set says: it goes where a person reads.
    const worker = new Worker(entry, { workerData: this.#workerData, stdout: true });
    worker.stdout.pipe(process.stderr, { end: false });
    const slot: Slot = { worker, job: null, begun: null, timer: undefined, verdict: null };
    this.#slots.add(slot);
    worker.on("message", (message: FromRunSetWorker) => this.#onMessage(slot, message));
    worker.on("error", (error) => (slot.verdict ??= `the thread failed: ${textOf(error)}`));
    worker.on("exit", (code) => void this.#onExit(slot, code));
    this.#watch(slot, "the modules were not imported");
  }

  #onMessage(slot: Slot, message: FromRunSetWorker): void {
    if (message.type === "begun") {
      slot.begun = message;
      return;
    }
    clearTimeout(slot.timer);
    switch (message.type) {
      case "ready":
        this.#programs = message.programs;
        return this.#next(slot);
      case "done":
        slot.job = null;
        this.#add(message.result);
        return this.#next(slot);
      case "broken":
        slot.job = null;
        this.#error ??= new RunSetError(message.message);
        for (const each of this.#slots) void each.worker.terminate();
    }
  }

  #next(slot: Slot): void {
    const job = this.#takeJob();
    if (job === null) {
      slot.worker.postMessage(null);
      slot.timer = setTimeout(() => void slot.worker.terminate(), exitMs);
      return;
    }
    slot.job = job;
    slot.begun = null;
    slot.worker.postMessage(job);
    this.#watch(slot, "the seed did not end");
  }

  #takeJob(): SeedJob | null {
    const { firstSeed, seedCount, limitMs = Infinity } = this.#options;
    const { failuresMax = failuresMaxDefault } = this.#options;
    const programCount = this.#programs?.length ?? 1;
    // A program that never ran has not passed.
    const isLate = this.#nextJob >= programCount && performance.now() - this.#startedMs >= limitMs;
    const isOver = isLate || this.#nextJob >= seedCount * programCount;
    if (isOver || this.#error !== null) return null;
    if (this.#failures.length >= failuresMax) {
      this.#endedEarly = true;
      return null;
    }
    const job = this.#nextJob++;
    return {
      programIndex: job % programCount,
      seed: firstSeed + Math.floor(job / programCount),
    };
  }

  #watch(slot: Slot, what: string): void {
    const { seedTimeoutMs = seedTimeoutMsDefault } = this.#options;
    slot.timer = setTimeout(() => {
      slot.verdict = `${what} within ${seedTimeoutMs / 1_000} s of real time`;
      void slot.worker.terminate();
    }, seedTimeoutMs);
  }

  async #onExit(slot: Slot, code: number): Promise<void> {
    clearTimeout(slot.timer);
    const verdict = slot.verdict ?? `the thread ended with code ${code}`;
    const { job, begun } = slot;
    const isLost = job !== null && this.#error === null;
    const saved = isLost ? await saveLost(begun, verdict) : nothingSaved;
    this.#slots.delete(slot);
    if (isLost) {
      this.#add({ ...this.#lostResult(job, verdict), ...saved });
      this.#start();
    } else if (this.#programs === null) {
      this.#error ??= new RunSetError(verdict);
    }
    if (this.#slots.size === 0) this.#ended();
  }

  #add(result: SeedResult): void {
    this.#counter.add(result);
    if (result.failures.length > 0) this.#failures.push(result);
    this.#options.onResult?.(result, () => this.#counter.tally());
  }

  /** Of a seed that took its thread with it. */
  #lostResult({ programIndex, seed }: SeedJob, message: string): SeedResult {
    const { name = "", replayCommand = "" } = this.#programs?.[programIndex] ?? {};
    return {
      program: name,
      seed,
      runs: 1,
      events: 0,
      virtualMs: 0,
      faultsFired: 0,
      faultsByKind: {},
      reached: [],
      failures: [{ oracle: "thread", entity: "thread", message }],
      isMismatch: false,
      replay: `${replayCommand} --seed ${seed}`,
      ...nothingSaved,
      explanation: "",
    };
  }
}

const nothingSaved = { faults: [], reproFile: null, notSaved: null } as const;

async function saveLost(
  begun: Slot["begun"],
  message: string,
): Promise<Pick<SeedResult, "faults" | "reproFile" | "notSaved">> {
  if (begun === null) return nothingSaved;
  const { path } = begun;
  const violation = { oracle: "thread", entity: "thread", message, atMs: 0 };
  const repro = JSON.parse(begun.repro) as Repro;
  const { faults = [] } = repro.options;
  const notSaved = await whySaveFails(() => saveRepro(path, { ...repro, violations: [violation] }));
  return { faults, reproFile: notSaved === null ? path : null, notSaved };
}

/** A set of no seeds would pass, one without threads would never begin. */
function checkCounts({ seedCount, workers = 1 }: RunSetOptions): void {
  for (const [name, count] of Object.entries({ seedCount, workers })) {
    const isWhole = Number.isSafeInteger(count) || (name === "seedCount" && count === Infinity);
    if (isWhole && count >= 1) continue;
    throw new RunSetError(`${name} must be a whole number of at least 1, got ${count}`);
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
