/** What a simulation is given and what it reports. */
import type { InitOptions } from "#api/options.ts";
import type { Fault, FaultKind } from "./faults/fault.ts";

export interface NodeSpec {
  numCpus?: number;
  numGpus?: number;
  resources?: Record<string, number>;
  labels?: Record<string, string>;
  objectStoreMemory?: number;
}

export interface SimOptions {
  seed: number;
  /** Node 0 is the head; three of two CPUs each unless told otherwise. */
  nodes?: number | NodeSpec[];
  faults?: readonly Fault[];
  /**
   * Scheduling choices, one integer per step where there is a choice; 0 = first come first served;
   * after the end: from the seed, or 0 with `choicesOnly`.
   */
  choices?: readonly number[];
  choicesOnly?: boolean;
  /** Random faults, drawn from the seed. */
  chaos?: boolean | { kinds?: readonly FaultKind[]; intensity?: number };
  hostile?: boolean;
  maxVirtualMs?: number;
  /** After this no fault acts: the run must become quiet. */
  healAtMs?: number;
  init?: InitOptions;
}

export interface Simulation {
  readonly nowMs: number;
  sleep(ms: number): Promise<void>;
  crash(node: number): void;
  crashDriver(): void;
  restart(node: number): void;
  partition(from: number[], to: number[]): void;
  heal(): void;
}

export interface Violation {
  readonly oracle: string;
  readonly entity: string;
  readonly message: string;
  readonly atMs: number;
}

export interface SimReport<R> {
  readonly result?: R;
  readonly error?: unknown;
  readonly violations: readonly Violation[];
  readonly traceHash: string;
  readonly events: number;
  readonly virtualMs: number;
  readonly faultsFired: number;
  /** Names of the rare states this run reached. */
  readonly reached: readonly string[];
  /**
   * One line that runs exactly this again, with all that it depends on: for a shell where the
   * program came from a module, else the call, and a comment that says so.
   */
  readonly replay: string;
  trace(): string;
  /** The steps that led to what happened to this task, actor or object. */
  story(id: string): string;
  save(path: string): Promise<void>;
  /**
   * The result; throws on an error or a violation, with the replay line and the last trace lines.
   */
  check(): R;
}
